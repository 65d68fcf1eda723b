/** A FastCGI server: sockets in, an application behind them. */
import { createServer as createNetServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { GatewayError } from '../../src/errors';
import { MAX_CONNS, MAX_REQS, MPXS_CONNS } from '../../src/fastcgi/constants';
import type { ServerFacts } from '../../src/gateway/environ';
import type { Application } from '../../src/gateway/types';
import {
  AllowedClients,
  DEFAULT_SOCKET_MODE,
  formatListenAddress,
  listening,
  listenOnUnixSocket,
  parseListenAddress,
  webServerAddresses,
  type ListenAddress,
} from '../daemon/index';
import { fileWrapper } from '../exchange/file-wrapper';
import { errorLogOf, normalizeMount } from '../exchange/gateway-options';
import type { ErrorLog } from '../exchange/error-log';
import { ConnectionDriver, type ConnectionHost } from './connection-driver';
import { DEFAULT_BACKLOG, settingsOf, type FastCgiOptions, type FastCgiSettings } from './options';

/** Loopback in every spelling that `--socket` takes. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i;

/** A socket read or write of this size is one full record. */
const SOCKET_BUFFER_BYTES = 65536;

export interface CloseOptions {
  /** Milliseconds that requests may still take; then their connections are cut. Default 30,000, as gunicorn's. */
  readonly graceMs?: number;
}

export class FastCgiServer implements ConnectionHost {
  readonly application: Application;
  readonly settings: FastCgiSettings;
  readonly facts: ServerFacts;
  readonly development: boolean;
  readonly errorLog: ErrorLog;
  readonly values: ReadonlyMap<string, string>;
  readonly #options: FastCgiOptions;
  readonly #allowedClients: AllowedClients | undefined;
  readonly #listeners: { readonly server: Server; readonly address: ListenAddress }[] = [];
  readonly #drivers = new Set<ConnectionDriver>();
  #activeRequests = 0;
  #unsettledRequests = 0;
  #isClosing = false;
  #whenIdle: (() => void)[] = [];

  /** @throws {GatewayError} `ERR_USAGE` for an option that makes no sense. */
  constructor(application: Application, options: FastCgiOptions = {}) {
    const allowed = options.allowedClients ?? webServerAddresses(process.env);

    this.application = application;
    this.#options = options;
    this.settings = settingsOf(options);
    this.development = options.development ?? false;
    this.errorLog = errorLogOf(options);
    this.facts = {
      protocol: 'fastcgi',
      mount: normalizeMount(options.mount),
      multiprocess: options.multiprocess ?? false,
      runOnce: false,
      fileWrapper,
    };
    this.values = new Map([
      [MAX_CONNS, String(this.settings.maxConcurrentInAll)],
      [MAX_REQS, String(this.settings.maxConcurrentInAll)],
      [MPXS_CONNS, '1'],
    ]);
    this.#allowedClients = allowed === undefined ? undefined : new AllowedClients(allowed);
  }

  /**
   * Listens on one more address: a path, `host:port`, `fd:N`, or the object of it.
   * @throws {GatewayError} `ERR_USAGE`, `ERR_LISTEN`, `ERR_SOCKET_IN_USE`, `ERR_SOCKET_PATH`
   */
  async listen(where: string | ListenAddress): Promise<this> {
    const address = typeof where === 'string' ? parseListenAddress(where) : where;
    const server = createNetServer(
      // nginx and others half-close; and a FIN must not cut off an answer that is on its way.
      { allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES },
      (socket) => {
        this.#onSocket(socket, server);
      },
    );

    await this.#listenOn(server, address);
    server.on('error', (error) => {
      this.errorLog(`postern: ${formatListenAddress(address)}: ${error.message}\n`);
    });
    this.#listeners.push({ server, address });
    return this;
  }

  /** Where the first listener is bound: Node's `server.address()`. */
  address(): AddressInfo | string | null {
    return this.#listeners[0]?.server.address() ?? null;
  }

  /** Every address that is listened on, as `--socket` writes them. */
  get addresses(): readonly string[] {
    return this.#listeners.map(({ server, address }) => {
      const bound = server.address();

      return formatListenAddress(
        address.kind === 'tcp' && typeof bound === 'object' && bound !== null
          ? { ...address, port: bound.port }
          : address,
      );
    });
  }

  /** Graceful stop: no new connections, open requests and their `postern.after_response` end, then it resolves. */
  async close({ graceMs = 30_000 }: CloseOptions = {}): Promise<void> {
    this.#isClosing = true;

    const closed = this.#listeners.map(
      ({ server }) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
        }),
    );

    for (const driver of [...this.#drivers]) {
      driver.closeWhenDone();
    }

    let timer: NodeJS.Timeout | undefined;
    const timeIsOver = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.destroy();
        resolve();
      }, graceMs);
    });

    await Promise.all(closed);
    await Promise.race([this.#idle(), timeIsOver]);
    clearTimeout(timer);
  }

  /** Cuts every connection. What the applications still do then goes on without a peer. */
  destroy(): void {
    for (const driver of [...this.#drivers]) {
      driver.destroy();
    }
  }

  get activeRequests(): number {
    return this.#activeRequests;
  }

  onRequestStarted(): void {
    this.#activeRequests++;
    this.#unsettledRequests++;
  }

  onResponseOver(): void {
    this.#activeRequests--;
  }

  onRequestSettled(): void {
    this.#unsettledRequests--;
    if (this.#unsettledRequests === 0) {
      for (const resolve of this.#whenIdle.splice(0)) {
        resolve();
      }
    }
  }

  onConnectionClosed(driver: ConnectionDriver): void {
    this.#drivers.delete(driver);
  }

  async #listenOn(server: Server, address: ListenAddress): Promise<void> {
    const backlog = this.#options.backlog ?? DEFAULT_BACKLOG;
    const where = formatListenAddress(address);

    switch (address.kind) {
      case 'unix':
        return listenOnUnixSocket(server, address.path, backlog, {
          mode: this.#options.socketMode ?? DEFAULT_SOCKET_MODE,
          owner: this.#options.socketOwner,
        });
      case 'tcp':
        if (this.#allowedClients === undefined && !LOOPBACK.test(address.host)) {
          throw new GatewayError(
            'ERR_USAGE',
            `listening on ${where} needs --allowed-clients: whoever reaches a FastCGI port can claim to be any user`,
          );
        }
        return listening(server, where, () =>
          server.listen({ host: address.host, port: address.port, backlog }),
        );
      case 'fd':
        return listening(server, where, () => server.listen({ fd: address.fd }));
    }
  }

  #onSocket(socket: Socket, server: Server): void {
    if (this.#isClosing) {
      socket.destroy();
      return;
    }
    if (!this.#isAllowed(socket, server)) {
      const peer = socket.remoteAddress ?? 'nobody who can be named';

      this.errorLog(`postern: connection from ${peer} refused: not among the allowed clients\n`);
      socket.destroy();
      return;
    }
    this.#drivers.add(new ConnectionDriver(socket, this));
  }

  #isAllowed(socket: Socket, server: Server): boolean {
    const address = server.address();
    const isTcp = typeof address === 'object' && address !== null;

    // A peer that is gone already has no address any more, but what it sent can still be read.
    return !isTcp || this.#allowedClients?.allows(socket.remoteAddress ?? '') !== false;
  }

  #idle(): Promise<void> {
    if (this.#unsettledRequests === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }
}

/** A FastCGI server that listens nowhere yet: `await createServer(app).listen('/run/app.sock')`. */
export function createServer(application: Application, options?: FastCgiOptions): FastCgiServer {
  return new FastCgiServer(application, options);
}
