/** A FastCGI client: what a web server does with a FastCGI server, for tests, tools and the development front. */
import { connect } from 'node:net';
import { GatewayError } from '../../src/errors';
import { formatListenAddress } from '../daemon/index';
import { ClientConnection } from './client-connection';
import type { ClientRequestOptions, ClientResponse } from './client-exchange';

export type ClientAddress =
  { readonly path: string } | { readonly host?: string | undefined; readonly port: number };

export interface ClientOptions {
  /** Ask the server to keep the connection for another request (FastCGI §3.5). Default true. */
  readonly keepConn?: boolean | undefined;
  /**
   * Connections that are kept while they have nothing to do. Default 8: as many requests at once need no new
   * connection. Requests themselves are not limited; the server says when it has too many.
   */
  readonly maxIdleConnections?: number | undefined;
  /** Bytes of a response head. Default 65,536. */
  readonly maxHeadBytes?: number | undefined;
}

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_MAX_IDLE_CONNECTIONS = 8;

/** FastCGI §3.4 knows bytes only; writing anything above 0xFF as latin-1 would make another character of it. */
const NOT_BYTES = /[^\x00-\xff]/;

export class Client {
  readonly #address: ClientAddress;
  readonly #options: ClientOptions;
  /** The one used last is the last, and is used first. */
  readonly #idle: ClientConnection[] = [];
  #isClosed = false;

  constructor(address: ClientAddress, options: ClientOptions = {}) {
    this.#address = address;
    this.#options = options;
  }

  /**
   * Sends one request and resolves with the head of its response. A server that closes a kept connection at that very
   * moment is an error, as with every front end: only the caller knows whether the request may be sent twice.
   *
   * @param params names and values as bytes, one latin-1 code point each.
   * @throws {GatewayError} `ERR_BACKEND`; `ERR_USAGE` for a parameter that is not bytes; the reason of the signal.
   */
  async request(
    params: Iterable<readonly [name: string, value: string]>,
    options: ClientRequestOptions = {},
  ): Promise<ClientResponse> {
    const pairs = [...params];

    if (pairs.some(([name, value]) => NOT_BYTES.test(name) || NOT_BYTES.test(value))) {
      throw new GatewayError('ERR_USAGE', 'a FastCGI parameter has a character that is not a byte');
    }
    options.signal?.throwIfAborted();

    const connection = this.#idle.pop() ?? this.#connect();

    return connection.start(pairs, options).response;
  }

  /** Closes the connections that have nothing to do; the others close when their request is over. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) {
      connection.destroy();
    }
  }

  #connect(): ClientConnection {
    const address = this.#address;
    const socket =
      'path' in address
        ? connect({ path: address.path })
        : connect({ host: address.host ?? DEFAULT_HOST, port: address.port, noDelay: true });

    return new ClientConnection(socket, {
      keepConn: this.#options.keepConn ?? true,
      maxHeadBytes: this.#options.maxHeadBytes,
      where: formatListenAddress(
        'path' in address
          ? { kind: 'unix', path: address.path }
          : { kind: 'tcp', host: address.host ?? DEFAULT_HOST, port: address.port },
      ),
      onIdle: (connection) => this.#onIdle(connection),
      onClosed: (connection) => this.#onClosed(connection),
    });
  }

  #onIdle(connection: ClientConnection): void {
    const limit = this.#options.maxIdleConnections ?? DEFAULT_MAX_IDLE_CONNECTIONS;

    if (this.#isClosed || this.#idle.length >= limit) {
      connection.destroy();
    } else {
      this.#idle.push(connection);
    }
  }

  #onClosed(connection: ClientConnection): void {
    const index = this.#idle.indexOf(connection);

    if (index !== -1) {
      this.#idle.splice(index, 1);
    }
  }
}
