/** Finds the application in a file: `path[:export]`. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { GatewayError } from '../../src/errors';
import type { Application } from '../../src/gateway/types';

/** The exports that are looked for, in this order, when none is named. */
const EXPORT_NAMES = ['application', 'app', 'default', 'handler'] as const;

interface ApplicationName {
  readonly path: string;
  readonly exportName: string | undefined;
}

/**
 * Loads a CommonJS, ES or TypeScript module. Synchronous for CommonJS, so that a CGI script does not pay for the
 * ES module loader.
 *
 * @throws {GatewayError} `ERR_APPLICATION`, with a message that says it all: no file, no such export, an error in it.
 */
export function loadApplication(name: string): Application | Promise<Application> {
  const target = parseApplicationName(name);
  const loaded = loadModule(target.path);

  return loaded instanceof Promise
    ? loaded.then((exports) => chooseExport(exports, target))
    : chooseExport(loaded, target);
}

/** @throws {GatewayError} `ERR_APPLICATION` when there is no such file. */
export function parseApplicationName(name: string): ApplicationName {
  const whole = resolve(name);

  if (existsSync(whole)) {
    return { path: whole, exportName: undefined };
  }

  const [, path = '', exportName] = /^(.+):([^:/]+)$/.exec(name) ?? [];

  if (path !== '' && existsSync(resolve(path))) {
    return { path: resolve(path), exportName };
  }
  throw new GatewayError('ERR_APPLICATION', `no such file: ${path === '' ? name : path}`);
}

function loadModule(path: string): unknown {
  try {
    if (/^\.[cm]?ts$/.test(extname(path))) {
      return loadTypeScript(path);
    }
    return isEsModule(path) ? importModule(path) : requireModule(path);
  } catch (error) {
    throw brokenApplication(path, error);
  }
}

/** Node's own rule: `.mjs`, or `.js` below a package.json that says so. */
function isEsModule(path: string): boolean {
  const extension = extname(path);

  return extension === '.mjs' || (extension === '.js' && packageType(dirname(path)) === 'module');
}

function packageType(folder: string): string | undefined {
  const file = join(folder, 'package.json');

  if (existsSync(file)) {
    return (JSON.parse(readFileSync(file, 'utf8')) as { type?: string }).type;
  }

  const parent = dirname(folder);

  return parent === folder ? undefined : packageType(parent);
}

function requireModule(path: string): unknown {
  try {
    return require(path); // eslint-disable-line @typescript-eslint/no-require-imports -- the path is known at run time only
  } catch (error) {
    // ES module syntax in a .js file that no package.json speaks for.
    if (/^ERR_REQUIRE_(?:ESM|ASYNC_MODULE)$/.test((error as NodeJS.ErrnoException).code ?? '')) {
      return importModule(path);
    }
    throw error;
  }
}

async function importModule(path: string): Promise<unknown> {
  const { pathToFileURL } = process.getBuiltinModule('node:url');

  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    throw brokenApplication(path, error);
  }
}

/** Node strips types from 22.18 on; before that ts-node does, if the application has it installed. */
function loadTypeScript(path: string): unknown {
  if (stripsTypes()) {
    return importModule(path);
  }

  const { createRequire } = process.getBuiltinModule('node:module');

  try {
    const tsNode = createRequire(path)('ts-node') as { register(options: object): unknown };
    tsNode.register({ transpileOnly: true });
  } catch (error) {
    throw new GatewayError(
      'ERR_APPLICATION',
      `${path} is TypeScript: this Node does not run it, and ts-node is not installed beside it`,
      { cause: error },
    );
  }
  return requireModule(path);
}

function stripsTypes(): boolean {
  const { features } = process as { features: { typescript?: unknown } };

  return features.typescript !== undefined && features.typescript !== false;
}

function chooseExport(exports: unknown, { path, exportName }: ApplicationName): Application {
  if (exportName !== undefined) {
    return checkApplication(exportOf(exports, exportName), `the export ${exportName} of ${path}`);
  }
  for (const name of EXPORT_NAMES) {
    const found = exportOf(exports, name);

    if (found !== undefined) {
      return checkApplication(found, `the export ${name} of ${path}`);
    }
  }
  return checkApplication(exports, path);
}

/** A CommonJS module that was imported has its exports below `default`. */
function exportOf(exports: unknown, name: string): unknown {
  const own = propertyOf(exports, name);

  if (name === 'default' && typeof own === 'object' && own !== null) {
    return chooseNested(own);
  }
  return own ?? propertyOf(propertyOf(exports, 'default'), name);
}

function chooseNested(exports: object): unknown {
  return EXPORT_NAMES.map((name) => propertyOf(exports, name)).find((found) => found !== undefined);
}

function propertyOf(value: unknown, name: string): unknown {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function checkApplication(value: unknown, what: string): Application {
  if (typeof value !== 'function') {
    throw new GatewayError('ERR_APPLICATION', `${what} is not a function app(environ, startResponse)`);
  }
  // Whatever else it is will show when it is called.
  return value as Application;
}

function brokenApplication(path: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) {
    return error;
  }

  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);

  return new GatewayError('ERR_APPLICATION', `cannot load ${path}: ${oneLine(reason)}${placeOf(error)}`, {
    cause: error,
  });
}

function oneLine(text: string): string {
  return text.split('\n')[0] ?? '';
}

/** Where in the user's code it happened: a syntax error's stack begins with it, any other's first frame is it. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const place =
    /^(\/[^\n]+:\d+)\n/.exec(stack)?.[1] ??
    /\n\s+at (?:[^\n(]*\()?((?:file:\/\/)?\/[^\n)]+:\d+:\d+)/.exec(stack)?.[1];

  return place === undefined ? '' : ` (${place})`;
}
