/** Makes a test of every row of the table for every host: `<host>: <behaviour>`. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isDeepStrictEqual } from 'node:util';
import type {
  Behaviour,
  BehaviourRequest,
  Expectation,
  Host,
  HostFacts,
  Observation,
  RunningHost,
  Scene,
} from './behaviour';
import { describeResponse, project } from './observation';
import { behavioursOf, exceptionOf } from './rows';
import type { HttpRequest } from '../support/http-client';

const DEFAULT_TIMEOUT_MS = 15_000;
/** A server's start, and its stop. */
const HOST_TIMEOUT_MS = 30_000;

export interface RunOptions {
  /** The web server is not installed; global-setup has said so loudly, or stopped the run in CI. */
  readonly skip?: boolean;
}

export function runTable(hosts: readonly Host[], { skip = false }: RunOptions = {}): void {
  const describeIt = skip ? describe.skip : describe;

  for (const host of hosts) {
    // Jest puts a blank between the titles.
    describeIt(`${host.name}:`, () => {
      let running: RunningHost | undefined;

      beforeAll(async () => {
        running = await host.start();
      }, HOST_TIMEOUT_MS);
      afterAll(() => running?.stop(), HOST_TIMEOUT_MS);

      for (const behaviour of behavioursOf(host)) {
        test(
          behaviour.name,
          async () => {
            if (running === undefined) {
              throw new Error('the host did not start');
            }
            await checkBehaviour(host, running, behaviour);
          },
          behaviour.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        );
      }
    });
  }
}

async function checkBehaviour(host: Host, running: RunningHost, behaviour: Behaviour): Promise<void> {
  const { observe = observeOneResponse } = behaviour;
  const exception = exceptionOf(behaviour, host);
  const seen = await observe(sceneOf(host, running, behaviour));

  if (exception === undefined) {
    expectSeen(seen, expectationOf(behaviour.expect, host));
    return;
  }

  const rule = expectationOf(behaviour.expect, host);
  if (isDeepStrictEqual(project(seen, rule), rule)) {
    if (exception.isRace === true) {
      return;
    }
    throw new Error(`no longer an exception: ${exception.why}`);
  }
  expectSeen(seen, expectationOf(exception.expect, host));
}

function expectSeen(seen: Observation, expected: Observation): void {
  expect(project(seen, expected)).toEqual(expected);
}

function expectationOf(expectation: Expectation, host: HostFacts): Observation {
  return typeof expectation === 'function' ? expectation(host) : expectation;
}

async function observeOneResponse(scene: Scene): Promise<Observation> {
  return describeResponse(await scene.request());
}

let scenes = 0;

function sceneOf(facts: HostFacts, host: RunningHost, behaviour: Behaviour): Scene {
  const id = `scene-${String(++scenes)}`;
  const prepare: Scene['prepare'] = ({ app = behaviour.app, ...changes } = {}) =>
    mounted(facts, { ...behaviour.request, ...changes }, [
      ['X-Fixture', app],
      ['X-Mark', id],
    ]);
  const start: Scene['start'] = (changes = {}) => {
    const { tls = behaviour.request?.tls ?? false } = changes;
    return host.startRequest(prepare(changes), tls ? 'tls' : 'plain');
  };

  return {
    facts,
    host,
    id,
    isException: exceptionOf(behaviour, facts) !== undefined,
    prepare,
    start,
    request: (changes) => start(changes).response,
  };
}

/** An absolute target has the mount point after its authority. */
function mounted(
  { mount }: HostFacts,
  request: BehaviourRequest,
  headers: readonly (readonly [string, string])[],
): HttpRequest {
  const { target = '/' } = request;
  const [authority = ''] = /^https?:\/\/[^/]*/.exec(target) ?? [];

  return {
    ...request,
    target: `${authority}${mount}${target.slice(authority.length)}`,
    headers: [...(request.headers ?? []), ...headers],
  };
}
