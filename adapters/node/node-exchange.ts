/**
 * One request as node:http's `(req, res)`, made of Node's own classes, so that all they do is done by them. Only the
 * ends are ours: the head is taken before it becomes text, and the socket leads to the gateway.
 */
import { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { ApplicationError } from '../../src/errors';
import { contentLengthOf, requestDetails } from '../../src/gateway/environ';
import { requestTarget } from '../../src/gateway/request-target';
import type { Chunk, Environ, Header, StartResponse, Write } from '../../src/gateway/types';
import { createSocket, type GatewaySocket, type SocketOutput } from './gateway-socket';
import { rawHeadersOf } from './request-headers';

/** `req` as the handler gets it. */
export interface GatewayRequest extends IncomingMessage {
  /** The raw CGI variables, and the gateway's. */
  environ: Environ;
  /** As Express and Connect set them, for an application below a mount point. */
  baseUrl?: string;
  originalUrl?: string;
}

type Callback = (error?: Error | null) => void;

/** Bytes passed on before `write` says that it is enough; Node's own for sockets. */
const HIGH_WATER_MARK = 65536;

/** The parts of http.OutgoingMessage that are not in its types. */
interface OutgoingInternals {
  _header: string | null;
  _headerSent: boolean;
  chunkedEncoding: boolean;
  _closed: boolean;
  _storeHeader: (firstLine: string, headers: unknown) => void;
  _send: SendFunction;
  _writeRaw: SendFunction;
}

type SendFunction = (data: unknown, encoding?: unknown, callback?: unknown, byteLength?: unknown) => boolean;

interface IncomingInternals {
  _addHeaderLines: (headers: string[], count: number) => void;
  _consuming: boolean;
  _dump: () => void;
}

type Response = ServerResponse & OutgoingInternals;

export class NodeExchange implements SocketOutput, AsyncIterable<Chunk>, AsyncIterator<Chunk> {
  readonly request: GatewayRequest;
  readonly response: ServerResponse;
  readonly #environ: Environ;
  readonly #startResponse: StartResponse;
  readonly #socket: GatewaySocket;
  #write: Write | undefined;
  #input: Readable | undefined;
  #hasEnded = false;
  #failure: Error | undefined;

  /** Bytes passed on since the gateway last asked for more. */
  #pendingBytes = 0;
  #callbacks: Callback[] = [];
  #asked:
    { resolve: (step: IteratorResult<Chunk, undefined>) => void; reject: (error: Error) => void } | undefined;

  constructor(environ: Environ, startResponse: StartResponse) {
    this.#environ = environ;
    this.#startResponse = startResponse;
    this.#socket = createSocket(environ, this);
    this.request = createRequest(environ, this.#socket);
    this.response = createResponse(this.request, this, this.#socket);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The handler has returned: like node:http, only now is the end of an empty body told. */
  onHandled(): void {
    if (!hasBody(this.#environ)) {
      this.#endRequest();
    }
  }

  /** The handler threw, or its promise was rejected. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error), { cause: error });
    this.#asked?.reject(this.#failure);
    this.#asked = undefined;
  }

  /** The head, as node:http has put it together. */
  startResponse(status: string, headers: Header[]): void {
    this.#write = this.#startResponse(status, headers);
  }

  /** The application has ended the response. */
  onPrefinish(): void {
    this.#hasEnded = true;
    this.#asked?.resolve({ done: true, value: undefined });
    this.#asked = undefined;
  }

  /** Everything has been taken: what node:http does on a connection that is then closed. */
  onFinish(): void {
    const request = this.request as GatewayRequest & IncomingInternals;
    const response = this.response as Response;

    if (!request._consuming) {
      request._dump();
    }
    response.detachSocket(this.#socket);
    process.nextTick(() => {
      if (!response._closed) {
        response.destroyed = true;
        response._closed = true;
        response.emit('close');
      }
      this.#socket.destroySoon();
    });
  }

  // SocketOutput

  write(
    data: string | Uint8Array,
    encoding: BufferEncoding | undefined,
    callback: Callback | undefined,
  ): boolean {
    // Before the head there are only interim responses (writeContinue, writeEarlyHints), which CGI cannot carry.
    if (this.#write !== undefined && data.length > 0) {
      this.#pass(this.#write, typeof data === 'string' ? asChunk(data, encoding) : data);
    }
    if (callback !== undefined) {
      this.#whenTaken(callback);
    }
    if (this.#pendingBytes >= HIGH_WATER_MARK) {
      this.#askAgain();
      return false;
    }
    return true;
  }

  resumeInput(): void {
    if (!hasBody(this.#environ)) {
      return;
    }
    if (this.#input === undefined) {
      this.#input = this.#openInput();
    } else {
      this.#input.resume();
    }
  }

  pauseInput(): void {
    this.#input?.pause();
  }

  onSocketDestroyed(error: Error | undefined): void {
    if (this.#hasEnded) {
      return;
    }
    this.fail(
      error ??
        new ApplicationError(
          'ERR_RESPONSE_DESTROYED',
          'the application destroyed the response before its end',
        ),
    );
    // As node:http, before the 'close' of the socket and of the response.
    process.nextTick(() => {
      if (!this.request.destroyed) {
        this.request.destroy(connectionReset());
      }
    });
  }

  // The body that the gateway iterates: it carries no chunks, they have gone by write(). Being asked for one says
  // that the peer can take more.

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Chunk, undefined>> {
    this.#onTaken();
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    if (this.#hasEnded) {
      return Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      if (this.#pendingBytes >= HIGH_WATER_MARK) {
        this.#askAgain();
      }
    });
  }

  /** Called once, in every ending; if the response has not ended, the client has left. */
  return(): Promise<IteratorResult<Chunk, undefined>> {
    this.#socket.destroy();
    this.#onTaken();
    return Promise.resolve({ done: true, value: undefined });
  }

  #pass(write: Write, chunk: Chunk): void {
    try {
      write(chunk);
      this.#pendingBytes += chunk.length;
    } catch {
      // The client has left, or the response is longer than its Content-Length: as on a closed socket, it is lost.
      return;
    }
  }

  #whenTaken(callback: Callback): void {
    if (this.#pendingBytes < HIGH_WATER_MARK) {
      process.nextTick(callback);
    } else {
      this.#callbacks.push(callback);
    }
  }

  /** An empty chunk, which the gateway passes over: it asks for the next one when the peer can take more. */
  #askAgain(): void {
    this.#asked?.resolve({ done: false, value: '' });
    this.#asked = undefined;
  }

  #onTaken(): void {
    const wasFull = this.#pendingBytes >= HIGH_WATER_MARK;
    const callbacks = this.#callbacks;

    this.#pendingBytes = 0;
    if (callbacks.length > 0) {
      this.#callbacks = [];
      for (const callback of callbacks) {
        callback();
      }
    }
    if (wasFull) {
      emitDrain(this.response);
    }
  }

  #openInput(): Readable {
    const input = this.#environ['wsgi.input'];

    input.on('data', (chunk: Buffer) => {
      if (!this.request.push(chunk)) {
        input.pause();
      }
    });
    input.once('end', () => {
      this.#endRequest();
    });
    input.once('error', (error) => {
      if (!this.request.destroyed) {
        this.request.destroy(error);
      }
    });
    return input;
  }

  #endRequest(): void {
    if (!this.request.destroyed) {
      this.request.complete = true;
      this.request.push(null);
    }
  }
}

function hasBody(environ: Environ): boolean {
  const length = contentLengthOf(environ);

  return length === undefined ? requestDetails(environ)?.isChunked === true : length > 0;
}

function asChunk(data: string, encoding: BufferEncoding | undefined): Chunk {
  return encoding === undefined || encoding === 'utf8' || encoding === 'utf-8'
    ? data
    : Buffer.from(data, encoding);
}

function createRequest(environ: Environ, socket: GatewaySocket): GatewayRequest {
  const request = new IncomingMessage(socket) as GatewayRequest & IncomingInternals;
  const rawHeaders = rawHeadersOf(environ);
  const version = /^HTTP\/(\d)(?:\.(\d))?$/.exec(environ.SERVER_PROTOCOL);

  request.method = environ.REQUEST_METHOD;
  request.url = requestTarget(environ);
  request.httpVersionMajor = Number(version?.[1] ?? 1);
  request.httpVersionMinor = Number(version?.[2] ?? 0);
  request.httpVersion = `${String(request.httpVersionMajor)}.${String(request.httpVersionMinor)}`;
  request._addHeaderLines(rawHeaders, rawHeaders.length);
  request.environ = environ;
  if (environ.SCRIPT_NAME !== '') {
    request.baseUrl = environ.SCRIPT_NAME;
    request.originalUrl = environ.REQUEST_URI ?? environ.SCRIPT_NAME + request.url;
  }
  return request;
}

function createResponse(
  request: IncomingMessage,
  exchange: NodeExchange,
  socket: GatewaySocket,
): ServerResponse {
  const response = new ServerResponse(request) as Response & { [EXCHANGE]: NodeExchange };

  response[EXCHANGE] = exchange;
  // Own properties, because Express replaces the prototypes of both.
  response._storeHeader = storeHeader;
  response._send = send;
  // The front end writes the date, and says how the connection goes on.
  response.sendDate = false;
  response.shouldKeepAlive = false;
  response.useChunkedEncodingByDefault = true;
  response.on('prefinish', onPrefinish);
  response.on('finish', onFinish);
  response.assignSocket(socket);
  return response;
}

const EXCHANGE = Symbol('exchange');

interface WithExchange {
  readonly [EXCHANGE]: NodeExchange;
}

// The functions below are the response's own methods and listeners: `this` is the response.

const serverResponse = ServerResponse.prototype as unknown as OutgoingInternals;

function storeHeader(this: Response, firstLine: string, headers: unknown): void {
  serverResponse._storeHeader.call(this, firstLine, headers);
  // The front end frames the body (RFC 3875 §6.2: none of this is ours).
  this.chunkedEncoding = false;
}

function send(
  this: Response & WithExchange,
  data: unknown,
  encoding?: unknown,
  callback?: unknown,
  byteLength?: unknown,
): boolean {
  if (!this._headerSent && this._header !== null) {
    this._headerSent = true;
    sendHead(this[EXCHANGE], this._header);
  }
  return this._writeRaw(data, encoding, callback, byteLength);
}

function onPrefinish(this: WithExchange): void {
  this[EXCHANGE].onPrefinish();
}

function onFinish(this: WithExchange): void {
  this[EXCHANGE].onFinish();
}

/** Node's own headers of the hop, which is not this one. */
const HOP_HEADER =
  /^(?:connection|keep-alive|proxy-connection|transfer-encoding|te|trailer|upgrade|status)$/i;

/** `HTTP/1.1 200 OK`, then `Name: value` lines: node:http has checked them, and puts them together as latin-1. */
function sendHead(exchange: NodeExchange, head: string): void {
  const lines = head.split('\r\n');
  const headers: Header[] = [];

  for (let index = 1; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const colon = line.indexOf(':');

    if (colon > 0) {
      const name = line.slice(0, colon);

      if (!HOP_HEADER.test(name)) {
        headers.push([name, line.slice(colon + 2)]);
      }
    }
  }

  // A reason may be empty for node:http (`res.statusMessage = ' '`), but not on the wire of CGI.
  const status = (lines[0] ?? '').slice('HTTP/1.1 '.length);

  exchange.startResponse(/^\d{3} \S/.test(status) ? status : `${status.slice(0, 3)} Unknown`, headers);
}

/** `kNeedDrain` is how `writableNeedDrain` knows; the name is Node's, and private. */
function emitDrain(response: ServerResponse): void {
  if (!response.writableNeedDrain) {
    return;
  }

  const needDrain = Object.getOwnPropertySymbols(response).find(
    ({ description }) => description === 'kNeedDrain',
  );

  if (needDrain !== undefined) {
    (response as unknown as Record<symbol, boolean>)[needDrain] = false;
  }
  response.emit('drain');
}

/** What node:http destroys a request with whose client has left. */
function connectionReset(): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
}
