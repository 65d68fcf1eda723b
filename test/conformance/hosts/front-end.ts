/** Real web servers, each with the daemon or the script behind it that its configuration asks for. */
import { join } from 'node:path';
import { frontEnds, type Backend, type FrontEnd } from '../../e2e/servers/front-end';
import type { ServerName } from '../../e2e/install-servers';
import { HttpConnection, startRequest } from '../../support/http-client';
import { openTemporaryFolder } from '../../support/temporary-folder';
import type { Host, RunningHost } from '../behaviour';
import { Daemon } from './daemon';
import { install, type Installation } from './installation';

/**
 * HAProxy 2.6.12 with `path-info` sends the bare mount point without PATH_INFO, as it sends every path without
 * `path-info`: the daemon must be told which of the two it is (src/gateway/quirks.ts, takeScriptNameForPath).
 */
const NEEDS_MOUNT: ReadonlySet<string> = new Set(['haproxy mpxs-conns mounted']);

export function frontEndHosts(server: ServerName): readonly Host[] {
  return frontEnds.filter((frontEnd) => frontEnd.server === server).map(hostOf);
}

/** Every one of them, for the report. */
export const allFrontEndHosts: readonly Host[] = frontEnds.map(hostOf);

function hostOf(frontEnd: FrontEnd): Host {
  const { name, protocol, mount } = frontEnd;
  return { name, kind: protocol, mount, start: () => startBehind(frontEnd) };
}

/** Undone in reverse order, whatever happens in between. */
type Undo = () => Promise<void>;

async function startBehind(frontEnd: FrontEnd): Promise<RunningHost> {
  const undo: Undo[] = [];
  const stop = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const step of undo.splice(0).reverse()) {
      await step().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, `stopping ${frontEnd.name}: ${failures.map(String).join('; ')}`);
    }
  };

  try {
    const folder = await openTemporaryFolder();
    undo.push(() => folder.remove());
    const installation = await install(folder.path);
    const backend = await startBackend(frontEnd, installation, undo);
    const running = await frontEnd.start(join(folder.path, 'server'), backend);
    undo.push(() => running.stop());
    const { origin, tlsOrigin } = running;

    return {
      marks: installation.marks,
      port: origin.port,
      startRequest: (request, which = 'plain') => startRequest(which === 'tls' ? tlsOrigin : origin, request),
      connect: () => new HttpConnection(origin),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startBackend(frontEnd: FrontEnd, installation: Installation, undo: Undo[]): Promise<Backend> {
  if (frontEnd.starts === 'script') {
    return { kind: 'script', scriptPath: installation.scriptFile };
  }

  const mount = NEEDS_MOUNT.has(frontEnd.name) ? frontEnd.mount : undefined;
  const daemon = await Daemon.start(installation, 'app', mount);
  undo.push(() => daemon.stop());

  return { kind: 'socket', socketPath: daemon.socketPath };
}
