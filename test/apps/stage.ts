/**
 * One nginx before the same handlers twice: as a node:http server (proxy_pass) and as a FastCGI server (fastcgi_pass).
 * Everything is in this process, so that a test sees what its handler saw.
 */
import { createServer as createNodeServer, type RequestListener } from 'node:http';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createServer } from '../../adapters/fastcgi';
import { fromNode } from '../../adapters/node';
import { launch } from '../e2e/servers/launch';
import { openTemporaryFolder } from '../support/temporary-folder';
import type { HttpOrigin } from '../support/http-client';

export type Way =
  | 'node:http'
  | 'node:http unbuffered'
  | 'FastCGI'
  | 'FastCGI keep-conn'
  | 'FastCGI unbuffered'
  | 'FastCGI mounted';

/** As in nginx/stage.conf. */
const ADDRESSES: Readonly<Record<Way, string>> = {
  'node:http': '127.0.0.1',
  'node:http unbuffered': '127.0.0.2',
  FastCGI: '127.0.0.3',
  'FastCGI keep-conn': '127.0.0.4',
  'FastCGI unbuffered': '127.0.0.5',
  'FastCGI mounted': '127.0.0.6',
};

export interface Stage {
  origin(way: Way): HttpOrigin;
  tlsOrigin(way: Way): HttpOrigin;
  /** What postern has logged so far. */
  readonly log: readonly string[];
  stop(): Promise<void>;
}

/** @param handlers the application for node:http, and what `fromNode` is given for FastCGI. */
export async function openStage(handlers: {
  readonly node: RequestListener;
  readonly postern: RequestListener | object;
}): Promise<Stage> {
  const folder = await openTemporaryFolder();
  const run = join(folder.path, 'run');
  const log: string[] = [];
  const node = createNodeServer(handlers.node);
  const postern = createServer(fromNode(handlers.postern), { errorLog: (text) => log.push(text) });

  await mkdir(run, { recursive: true });
  await new Promise<void>((resolve) => node.listen(join(run, 'node.sock'), resolve));
  await postern.listen(join(run, 'postern.sock'));

  const nginx = await launch(
    { server: 'nginx', configFile: join(__dirname, 'nginx', 'stage.conf') },
    folder.path,
    { kind: 'socket', socketPath: join(run, 'postern.sock') },
  );

  return {
    origin: (way) => ({ host: ADDRESSES[way], port: nginx.origin.port }),
    tlsOrigin: (way) => ({ host: ADDRESSES[way], port: nginx.tlsOrigin.port, tls: true }),
    log,
    stop: async () => {
      await nginx.stop();
      node.closeAllConnections();
      await new Promise((resolve) => node.close(resolve));
      await postern.close({ graceMs: 0 });
      await folder.remove();
    },
  };
}
