/** Node's HTTP server, with a stop that waits for every response and for the work after it. */
import { Server, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Application } from '../../src/gateway/types';
import { HttpExchange, type HttpSettings } from './http-exchange';

/** Milliseconds for a request head; Node's default. */
const HEADERS_TIMEOUT_MS = 60_000;

/** RFC 9110 §9.3.6: this server is no proxy. */
const CONNECT_REFUSAL = 'HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

export class FrontServer extends Server {
  readonly #application: Application;
  readonly #settings: HttpSettings;
  /** The responses that each connection still waits for; more than one if the client pipelines. */
  readonly #connections = new Map<Socket, Set<HttpExchange>>();
  readonly #working = new Set<HttpExchange>();
  #onIdle: (() => void) | undefined;

  constructor(application: Application, settings: HttpSettings) {
    super({
      headersTimeout: HEADERS_TIMEOUT_MS,
      // A body is read as fast as the application wants it, so its time is not the client's to answer for.
      requestTimeout: 0,
    });
    this.#application = application;
    this.#settings = settings;
    // The size of the head is limited anyway; the default would leave headers out without a word.
    this.maxHeadersCount = 0;
    this.on('connection', (socket: Socket) => this.#onConnection(socket));
    this.on('request', (request, response) => this.#onRequest(request, response));
    this.on('connect', (_request: IncomingMessage, socket: Socket) => socket.end(CONNECT_REFUSAL));
  }

  /** Takes no more connections; resolves when every response is out and all work after it is done. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.close(() => resolve()));
    if (this.#working.size > 0) {
      await new Promise<void>((resolve) => (this.#onIdle = resolve));
    }
  }

  /** Closes every connection, whatever is going on there, and waits for nothing any longer. */
  abort(): void {
    for (const socket of this.#connections.keys()) {
      socket.destroy();
    }
    this.#working.clear();
    this.#onIdle?.();
  }

  /** `close` calls this. Node's own would cut off a response that has ended but is still on its way. */
  override closeIdleConnections(): void {
    for (const [socket, exchanges] of this.#connections) {
      if (exchanges.size === 0) {
        socket.destroySoon();
      }
    }
  }

  #onConnection(socket: Socket): void {
    const exchanges = new Set<HttpExchange>();

    this.#connections.set(socket, exchanges);
    socket.once('close', () => {
      this.#connections.delete(socket);
      for (const exchange of exchanges) {
        exchange.onGone();
      }
    });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const exchanges = this.#connections.get(socket);

    if (exchanges === undefined) {
      // Read from a connection that is closed already: there is nobody to answer.
      return;
    }

    const exchange = new HttpExchange(request, response, this.#settings, {
      keepAlive: () => this.listening,
      onSettled: () => this.#onSettled(exchange),
    });

    exchanges.add(exchange);
    this.#working.add(exchange);
    response.once('finish', () => {
      exchanges.delete(exchange);
      if (exchanges.size === 0 && !this.listening) {
        socket.destroySoon();
      }
    });
    exchange.start(this.#application);
  }

  #onSettled(exchange: HttpExchange): void {
    this.#working.delete(exchange);
    if (this.#working.size === 0) {
      this.#onIdle?.();
    }
  }
}
