/** Rows about what the application is told. */
import type { Behaviour, BehaviourRequest, Exception, HostFacts, Observation, Scene } from './behaviour';
import { describeResponse } from './observation';

type Variables = Readonly<Record<string, unknown>>;

export interface EnvironRow {
  readonly name: string;
  readonly request?: BehaviourRequest;
  /** The variables; undefined for one that must not be there. */
  readonly expect: Variables | ((host: HostFacts) => Variables);
  readonly only?: (host: HostFacts) => boolean;
  readonly exceptions?: readonly Exception[];
}

/** A request to the fixture `environ`, which answers with the environ as JSON. */
export function environRow({ expect, ...row }: EnvironRow): Behaviour {
  return {
    ...row,
    app: 'environ',
    observe: observeEnviron,
    expect: (host) => ({ environ: typeof expect === 'function' ? expect(host) : expect }),
  };
}

async function observeEnviron(scene: Scene): Promise<Observation> {
  const response = await scene.request();

  return response.status === 200
    ? { status: 200, environ: JSON.parse(response.text) as unknown }
    : describeResponse(response);
}
