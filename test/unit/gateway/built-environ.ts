/** Environs built from pairs or recordings, without a server. */
import { EnvironBuilder, type RequestObjects, type ServerFacts } from '../../../src/gateway/environ';
import type { Environ } from '../../../src/gateway/types';
import type { EnvironFixture } from '../../support/fixtures';

export type Variables = Readonly<Record<string, string>>;

/** Objects that note when they are touched. */
export function touchedObjects(touched: string[] = []): RequestObjects {
  const note = (name: string): never => {
    touched.push(name);
    // What it is does not matter here, only when it is made.
    return { made: name } as never;
  };

  return {
    get input() {
      return note('input');
    },
    get errors() {
      return note('errors');
    },
    get signal() {
      return note('signal');
    },
    afterResponse: () => touched.push('afterResponse'),
  };
}

export function factsWith(facts: Partial<ServerFacts> = {}): ServerFacts {
  return {
    protocol: 'fastcgi',
    mount: undefined,
    multiprocess: false,
    runOnce: false,
    fileWrapper: () => null,
    ...facts,
  };
}

/** Pairs in the order sent. */
export function buildEnviron(
  pairs: Iterable<readonly [string, string]>,
  facts?: Partial<ServerFacts>,
): Environ {
  const builder = new EnvironBuilder(touchedObjects(), factsWith(facts));

  for (const [name, value] of pairs) {
    builder.add(name, value);
  }
  return builder.finish();
}

/** One request of `variables`, over FastCGI unless it is said otherwise. */
export function environOf(variables: Variables, facts?: Partial<ServerFacts>): Environ {
  return buildEnviron(Object.entries(variables), facts);
}

export function environOfFixture(fixture: EnvironFixture, mount?: string): Environ {
  return buildEnviron(fixture.pairs, { protocol: fixture.protocol, mount });
}

/** The `code` of what `action` throws. */
export function codeOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return (error as { readonly code?: unknown }).code;
  }
  return undefined;
}

export function pathsOf({ SCRIPT_NAME, PATH_INFO }: Environ): readonly [script: string, path: string] {
  return [SCRIPT_NAME, PATH_INFO];
}
