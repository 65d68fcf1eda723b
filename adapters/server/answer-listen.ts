/**
 * Lets the gateway answer `listen` of http.Server. Everything that is said about it (arguments, callbacks, `listening`,
 * `address()`, `close()`) is said by Node itself: the last step of its `listen`, which would open the port, is ours,
 * and leaves a handle that is none.
 */
import { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { GatewayError } from '../../src/errors';
import type { Application } from '../../src/gateway/types';
import { logToStderr } from '../exchange/error-log';
import { fromNode } from '../node/index';
import type { ServerGateway } from './gateway';

/** The parts of net.Server that are not in its types; the same in Node 20 to 26. */
interface ServerInternals {
  _handle: ListenHandle | null;
  _connections: number;
  _emitCloseIfDrained: () => void;
  /** "it is still named like this to avoid breaking code that wraps this method" (Node's lib/net.js) */
  _listen2: ListenStep;
}

type ListenStep = (
  address: string | null,
  port: number | null,
  addressType: number | null,
  ...rest: unknown[]
) => void;

/** What net.Server calls on a handle of libuv. */
interface ListenHandle {
  close(): void;
  ref(): void;
  unref(): void;
  /** Pipes have none. */
  getsockname?: (out: { address?: string; family?: string; port?: number }) => number;
}

type HttpServer = Server & ServerInternals;

/** Where a script believes to listen. */
interface Place {
  /** An address, or the path of a Unix socket. */
  readonly address: string;
  /** undefined: a Unix socket. */
  readonly port: number | undefined;
  readonly family: 'IPv4' | 'IPv6';
}

/**
 * From here on the first http.Server of this process that listens is answered by the gateway, and others by nobody.
 * Servers of other kinds stay as they are, but for those of https and http2: TLS is the web server's.
 *
 * @param onListening called when requests can come.
 */
export function answerListen(gateway: ServerGateway, onListening: () => void = () => undefined): void {
  const answering = new Answering(gateway, onListening);
  // The prototypes have what the types do not tell.
  const httpPrototype = Server.prototype as unknown as ServerInternals;
  const netPrototype = NetServer.prototype as unknown as ServerInternals;
  const openPort = netPrototype._listen2;

  netPrototype._listen2 = function (this: NetServer & ServerInternals, ...args) {
    rejectTls(this);
    openPort.apply(this, args);
  };
  httpPrototype._listen2 = function (this: HttpServer, address, port, addressType) {
    answering.listen(this, placeOf(address, port, addressType));
  };
}

class Answering {
  readonly #gateway: ServerGateway;
  readonly #onListening: () => void;
  #first: { readonly server: HttpServer; readonly place: Place } | undefined;

  constructor(gateway: ServerGateway, onListening: () => void) {
    this.#gateway = gateway;
    this.#onListening = onListening;
  }

  listen(server: HttpServer, place: Place): void {
    if (server._handle !== null) {
      // node:cluster has given it one, or somebody called listen(handle).
      throw new GatewayError(
        'ERR_USAGE',
        'a server that shares a listening socket, such as in a worker of node:cluster, cannot be answered',
      );
    }
    if (this.#first === undefined) {
      this.#first = { server, place };
      this.#listenFirst(server, place);
    } else {
      this.#pretend(server, place, this.#first.place);
    }
  }

  #listenFirst(server: HttpServer, place: Place): void {
    server._handle = createHandle(place, () => this.#close(server));
    void this.#gateway.open(countingConnections(server, fromNode(server))).then(() => {
      this.#onListening();
      emitListening(server);
    });
  }

  #close(server: HttpServer): void {
    // Node waits with 'close' for as long as there are connections: the gateway is one of them.
    server._connections++;
    void this.#gateway.close().then(() => {
      this.#first = undefined;
      onConnectionClosed(server);
    });
  }

  /** Other servers of the script: Fastify's on the second address of localhost, an admin page on another port. */
  #pretend(server: HttpServer, place: Place, first: Place): void {
    if (place.port === undefined || place.port !== first.port) {
      logToStderr(
        `postern: the script also listens on ${nameOf(place)}: only its first server, on ${nameOf(first)}, is answered\n`,
      );
    }
    server._handle = createHandle(place, () => undefined);
    process.nextTick(emitListening, server);
  }
}

/** Each open request counts as one. */
function countingConnections(server: HttpServer, application: Application): Application {
  return (environ, startResponse) => {
    server._connections++;
    environ['postern.after_response'](() => {
      onConnectionClosed(server);
    });
    return application(environ, startResponse);
  };
}

function onConnectionClosed(server: HttpServer): void {
  server._connections--;
  server._emitCloseIfDrained();
}

function emitListening(server: HttpServer): void {
  // It may have been closed in the meantime.
  if (server._handle !== null) {
    server.emit('listening');
  }
}

function placeOf(address: string | null, port: number | null, addressType: number | null): Place {
  // Node's words: -1 for the port of a path, nothing at all for a descriptor.
  if (port === -1) {
    return { address: address ?? '', port: undefined, family: 'IPv4' };
  }
  return { address: address ?? '127.0.0.1', port: port ?? 0, family: addressType === 6 ? 'IPv6' : 'IPv4' };
}

function nameOf({ address, port }: Place): string {
  return port === undefined ? address : `port ${String(port)}`;
}

function createHandle({ address, port, family }: Place, close: () => void): ListenHandle {
  const handle = { close, ref: () => undefined, unref: () => undefined };

  if (port === undefined) {
    return handle;
  }
  return {
    ...handle,
    getsockname: (out) => {
      Object.assign(out, { address, family, port });
      return 0;
    },
  };
}

/** @throws {GatewayError} `ERR_USAGE` for the servers of https and http2. */
function rejectTls(server: NetServer): void {
  const isHttps = 'setSecureContext' in server && 'headersTimeout' in server;
  const isHttp2 = server.constructor.name.startsWith('Http2');

  if (isHttps || isHttp2) {
    throw new GatewayError(
      'ERR_USAGE',
      `this script listens with ${isHttps ? 'https' : 'http2'}: the web server speaks TLS and HTTP/2 for it, so let it listen with http`,
    );
  }
}
