/** A FastCGI server on a socket of its own, and the clients of one test; all gone afterwards, whatever happens. */
import { join } from 'node:path';
import { jest } from '@jest/globals';
import type { AddressInfo } from 'node:net';
import { createServer, type FastCgiOptions, type FastCgiServer } from '../../../../adapters/fastcgi/index';
import type { Application } from '../../../../src/index';
import { RawClient } from '../../../support/raw-client';
import type { Pair } from '../../../support/records';
import { withTemporaryFolder } from '../../../support/temporary-folder';

export interface RunningServer {
  readonly server: FastCgiServer;
  readonly folder: string;
  /** What the error log got. */
  readonly log: readonly string[];
  /** A new connection: on the Unix socket, or on TCP, where the system's buffers are larger and resets exist. */
  readonly connect: (how?: 'unix' | 'tcp') => Promise<RawClient>;
}

export async function withServer(
  application: Application,
  use: (running: RunningServer) => Promise<void>,
  options: FastCgiOptions = {},
): Promise<void> {
  const log: string[] = [];
  const clients: RawClient[] = [];
  const server = createServer(application, { errorLog: (text) => log.push(text), ...options });

  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 's');

    await server.listen(path);
    try {
      await use({
        server,
        folder,
        log,
        connect: async (how = 'unix') => {
          const client = await RawClient.connect(how === 'unix' ? path : await tcpPort(server));

          clients.push(client);
          return client;
        },
      });
    } finally {
      jest.useRealTimers();
      await Promise.all(clients.map((client) => client.destroy()));
      await server.close({ graceMs: 0 });
    }
  });
}

const ports = new WeakMap<FastCgiServer, number>();

/** Listens on TCP, too, the first time that somebody asks. */
async function tcpPort(server: FastCgiServer): Promise<number> {
  let port = ports.get(server);

  if (port === undefined) {
    await server.listen('127.0.0.1:0');
    port = Number(server.addresses.at(-1)?.split(':').at(-1));
    ports.set(server, port);
  }
  return port;
}

export function tcpPortOf(server: FastCgiServer): number {
  // A TCP listener has an address with a port.
  return (server.address() as AddressInfo).port;
}

/** The variables of a request, with those that a test is about. */
export function pairsOf(variables: Readonly<Record<string, string>> = {}): Pair[] {
  return Object.entries({
    REQUEST_METHOD: 'GET',
    SCRIPT_NAME: '',
    PATH_INFO: '/',
    REQUEST_URI: '/',
    SERVER_PROTOCOL: 'HTTP/1.1',
    ...variables,
  });
}

/** Waits until a number stays the same for many turns of the event loop: everything that can happen has happened. */
export async function settled(measure: () => number): Promise<number> {
  let last = measure();

  for (let still = 0; still < 200; still++) {
    await new Promise((resolve) => setImmediate(resolve));

    const now = measure();

    if (now !== last) {
      last = now;
      still = 0;
    }
  }
  return last;
}

/** A promise and the function that fulfils it. */
export class Gate<T = void> {
  readonly passed: Promise<T>;
  readonly open: (value: T) => void;

  constructor() {
    const { promise, resolve } = withResolvers<T>();

    this.passed = promise;
    this.open = resolve;
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil;
  });

  return { promise, resolve };
}
