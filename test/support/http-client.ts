/**
 * An HTTP/1.1 client for tests: it sends the bytes it is told to, whether they are right or not, and reports
 * what came back as it came. Every wait has an end.
 */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { RunningExchange, type Exchange, type ExchangeOptions, type HttpResponse } from './http-exchange';
import { requestPieces, type HttpOrigin, type HttpRequest } from './http-request-bytes';
import { readAfterWriteError } from './read-after-write-error';

export type { Arrival, Exchange, HttpResponse } from './http-exchange';
export type { HttpOrigin, HttpRequest, RequestBody } from './http-request-bytes';
export type { Framing, HeaderField, ResponseHead } from './http-response-parser';

/** Long enough for a loaded machine, short enough to fail inside jest's limit of a test that asks for 15 s. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** Sends one request on a connection of its own (`Connection: close`) and waits for the response. */
export async function request(origin: HttpOrigin, options: HttpRequest = {}): Promise<HttpResponse> {
  return startRequest(origin, options).response;
}

/** The same, for those who want to watch, or to leave in the middle. */
export function startRequest(origin: HttpOrigin, options: HttpRequest = {}): Exchange {
  const pieces = requestPieces(origin, options, false);
  return new RunningExchange(openSocket(origin), pieces, exchangeOptions(options));
}

/** Sends exactly these bytes. `options` say only how to read the response, and for how long. */
export async function requestBytes(
  origin: HttpOrigin,
  bytes: Uint8Array | string,
  options: Pick<HttpRequest, 'method' | 'timeoutMs'> = {},
): Promise<HttpResponse> {
  const piece = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
  return new RunningExchange(openSocket(origin), [piece], exchangeOptions(options)).response;
}

/** A connection that is kept: one request after the other. */
export class HttpConnection {
  readonly #origin: HttpOrigin;
  readonly #socket: Socket;
  #surplus: Buffer = Buffer.alloc(0);

  constructor(origin: HttpOrigin) {
    this.#origin = origin;
    this.#socket = openSocket(origin);
    // An idle connection may be reset by its server; the next request will notice.
    this.#socket.on('error', () => undefined);
  }

  /** Not before the last response has ended. What came after that one is read as the beginning of this one. */
  async request(options: HttpRequest = {}): Promise<HttpResponse> {
    const pieces = requestPieces(this.#origin, options, true);
    const modes = { ...exchangeOptions(options), keepAlive: true, alreadyRead: this.#surplus };
    const response = await new RunningExchange(this.#socket, pieces, modes).response;
    this.#surplus = response.surplus;
    return response;
  }

  close(): void {
    this.#socket.destroy();
  }
}

function exchangeOptions(options: HttpRequest): ExchangeOptions {
  const { method = 'GET', timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  return { method, timeoutMs, keepAlive: false, alreadyRead: Buffer.alloc(0) };
}

function openSocket(origin: HttpOrigin): Socket {
  const { host, port } = origin;
  const address = { host, port, allowHalfOpen: true };
  const socket =
    origin.tls === true ? connectTls({ ...address, rejectUnauthorized: false }) : connectPlain(address);
  return readAfterWriteError(socket.setNoDelay(true));
}
