/**
 * One request as node:http's `(req, res)`, made of Node's own classes, so that all they do is done by them. What
 * http.Server does between them and its socket is done here, between them and the gateway.
 */
import { AsyncResource } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import type { Readable } from 'node:stream';
import { types } from 'node:util';
import { ApplicationError, PeerError } from '../../src/errors';
import type { Chunk, Environ, Header, StartResponse, Write } from '../../src/gateway/types';
import {
  createSocket,
  HIGH_WATER_MARK,
  type Callback,
  type GatewaySocket,
  type SocketOutput,
} from './gateway-socket';
import { createRequest, hasBody, isRead, type Request } from './node-request';
import { createResponse, emitDrain, type Response, type ResponseOutput } from './node-response';
import { dispatch, type NodeServer, type RequestListener } from './node-server';

/** Bytes after which the gateway is asked whether the peer has taken them: as much as its own output holds. */
const ASK_BYTES = 65536;

type Step = IteratorResult<Chunk, undefined>;

interface Question {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: Error) => void;
}

/** http.Server tells them of every request; tracing goes by it. */
const startChannel = channel('http.server.request.start');
const finishChannel = channel('http.server.response.finish');

/**
 * Also the asynchronous resource of the request: what a handler puts into an AsyncLocalStorage stays with its own
 * request, whatever else comes on the same connection.
 *
 * And the body that the gateway iterates: it carries no chunks, they have gone by write(). Being asked for one says
 * that the peer can take more.
 */
export class NodeExchange
  extends AsyncResource
  implements SocketOutput, ResponseOutput, AsyncIterable<Chunk>, AsyncIterator<Chunk>
{
  readonly #environ: Environ;
  readonly #startResponse: StartResponse;
  readonly #socket: GatewaySocket;
  readonly #request: Request;
  readonly #response: Response;
  #write: Write | undefined;
  /** Bytes that the response's Content-Length still allows. */
  #bytesLeft = Infinity;
  #input: Readable | undefined;
  /** The application has ended the response. */
  #hasEnded = false;
  /** And all of it has been taken. */
  #isFinished = false;
  #failure: Error | undefined;

  /** Bytes that were written and not yet passed on, as far as the application can see. */
  #pendingBytes = 0;
  /** Bytes passed on since the gateway last asked for more. */
  #passedBytes = 0;
  /** The body is still read while the response is already complete. */
  #isLingering = false;
  #callbacks: Callback[] = [];
  #isFlushing = false;
  #asked: Question | undefined;

  constructor(environ: Environ, startResponse: StartResponse, server: NodeServer | undefined) {
    super('HTTPINCOMINGMESSAGE');
    this.#environ = environ;
    this.#startResponse = startResponse;
    this.#socket = createSocket(environ, this, server);
    this.#request = createRequest(environ, this.#socket);
    this.#response = createResponse(this.#request, this, this.#socket);
    if (server?.timeout !== undefined && server.timeout > 0) {
      this.#socket.setTimeout(server.timeout);
    }
  }

  /** Nothing is left to wait for: the gateway needs no body. */
  get isOver(): boolean {
    return this.#hasEnded && !this.#isLingering && this.#failure === undefined && !this.#mustAsk;
  }

  get #mustAsk(): boolean {
    return this.#passedBytes >= ASK_BYTES;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  run(handler: RequestListener): void {
    this.runInAsyncScope(this.#run, this, handler);
  }

  #run(handler: RequestListener): void {
    const request = this.#request;
    const response = this.#response;
    const { server } = this.#socket;

    if (startChannel.hasSubscribers) {
      startChannel.publish({ request, response, socket: this.#socket, server });
    }
    try {
      const result = dispatch(request, response, handler, server);

      if (isThenable(result)) {
        Promise.resolve(result).catch((error: unknown) => {
          this.onError(error);
        });
      }
    } catch (error) {
      this.onError(error);
    }
    // Like node:http, which reads the body, or the end of an empty one, after it has called the handler.
    if (hasBody(this.#environ)) {
      this.#openInput();
    } else {
      this.#endRequest();
    }
  }

  // ResponseOutput

  startResponse(status: string, headers: Header[]): void {
    try {
      this.#write = this.#startResponse(status, headers);
      // What does not come in this tick may be long in coming.
      this.#write('');
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#response._contentLength !== null) {
      this.#bytesLeft = this.#response._contentLength;
    }
  }

  onEnded(): void {
    this.#hasEnded = true;
    if (!this.#request.complete && isRead(this.#request) && hasBody(this.#environ)) {
      this.#linger();
    } else {
      this.#checkOver();
    }
  }

  onFinished(): void {
    const request = this.#request;
    const response = this.#response;

    this.#isFinished = true;
    if (finishChannel.hasSubscribers) {
      finishChannel.publish({ request, response, socket: this.#socket, server: this.#socket.server });
    }
    if (!isRead(request)) {
      request._dump();
    }
    response.detachSocket(this.#socket);
    process.nextTick(emitClose, response, this.#socket);
  }

  /** The handler threw or rejected, or an error was emitted and nobody listens. */
  onError(error: unknown): void {
    if (this.#hasEnded) {
      // The response is good; only the log hears of it.
      this.#report(error);
    } else {
      this.#fail(error);
    }
  }

  // SocketOutput

  write(data: string | Uint8Array, encoding?: BufferEncoding | null, callback?: Callback): boolean {
    if (data.length > 0 && this.#write !== undefined) {
      this.#pass(this.#write, asChunk(data, encoding));
    }
    if (callback !== undefined) {
      this.#callbacks.push(callback);
    }

    const hasRoom = this.#pendingBytes < HIGH_WATER_MARK;

    if (this.#socket.writableCorked === 0) {
      this.flush();
    }
    return hasRoom;
  }

  flush(): void {
    if (!this.#mustAsk) {
      this.#pendingBytes = 0;
    }
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      process.nextTick(afterFlush, this);
    }
  }

  /** For `afterFlush`. */
  onFlushed(): void {
    this.#isFlushing = false;
    if (this.#mustAsk) {
      // An empty chunk, which the gateway passes over: it asks for the next one when the peer can take more.
      this.#answer({ done: false, value: '' });
    } else {
      this.#onTaken();
    }
  }

  resumeInput(): void {
    this.#input?.resume();
  }

  pauseInput(): void {
    this.#input?.pause();
  }

  onSocketDestroyed(error: Error | undefined): void {
    if (this.#hasEnded) {
      return;
    }
    this.#fail(
      error instanceof PeerError
        ? error
        : new ApplicationError(
            'ERR_RESPONSE_DESTROYED',
            'the application destroyed the response before its end',
            { cause: error },
          ),
    );
  }

  onSocketClosed(): void {
    if (!this.#isFinished) {
      this.#request.destroy(connectionReset());
    }
  }

  onSocketTimeout(): void {
    const request = this.#request;
    const response = this.#response;
    const socket = this.#socket;
    const isHeard = [
      !request.complete && request.emit('timeout', socket),
      response.socket !== null && response.emit('timeout', socket),
      socket.server?.emit('timeout', socket),
    ];

    if (!isHeard.includes(true)) {
      socket.destroy();
    }
  }

  // The body that the gateway iterates.

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#mustAsk) {
      this.#passedBytes = 0;
      this.#pendingBytes = 0;
      this.runInAsyncScope(this.#onTaken, this);
    }
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    if (this.isOver) {
      return Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      if (this.#mustAsk) {
        this.flush();
      }
    });
  }

  /** Called once, in every ending; if the response has not ended, the client has left. */
  return(): Promise<Step> {
    if (!this.isOver) {
      this.runInAsyncScope(() => this.#socket.destroy());
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  #fail(error: unknown): void {
    this.#failure ??= types.isNativeError(error) ? error : new Error(String(error), { cause: error });
    this.#asked?.reject(this.#failure);
    this.#asked = undefined;
  }

  #answer(step: Step): void {
    this.#asked?.resolve(step);
    this.#asked = undefined;
  }

  #pass(write: Write, chunk: Chunk): void {
    const allowed = this.#allowed(chunk);

    if (allowed.length === 0) {
      return;
    }
    try {
      write(allowed);
      this.#pendingBytes += allowed.length;
      this.#passedBytes += allowed.length;
    } catch {
      // The client has left: as on a closed socket, it is lost.
      return;
    }
  }

  /** What the Content-Length allows of it: the front end would take the rest for the next response. */
  #allowed(chunk: Chunk): Chunk {
    if (this.#bytesLeft === Infinity) {
      return chunk;
    }

    const left = this.#bytesLeft;
    const length = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;

    this.#bytesLeft = left - length;
    if (length <= left) {
      return chunk;
    }
    if (left >= 0) {
      this.#report(
        new ApplicationError(
          'ERR_BODY_LENGTH',
          'the body is longer than its Content-Length; the rest was cut off',
        ),
      );
    }
    return left > 0 ? (typeof chunk === 'string' ? Buffer.from(chunk) : chunk).subarray(0, left) : '';
  }

  /** For the log; the response is not touched. */
  #report(error: unknown): void {
    this.#environ['postern.after_response'](() => {
      throw error;
    });
  }

  #onTaken(): void {
    const callbacks = this.#callbacks;

    if (!this.#hasEnded) {
      emitDrain(this.#response);
    }
    if (callbacks.length > 0) {
      this.#callbacks = [];
      for (const callback of callbacks) {
        callback();
      }
    }
  }

  #checkOver(): void {
    if (this.isOver) {
      this.#answer({ done: true, value: undefined });
    }
  }

  #openInput(): void {
    if (this.#input !== undefined) {
      return;
    }

    const input = this.#environ['wsgi.input'];
    const request = this.#request;

    this.#input = input;
    input.on(
      'data',
      // In what the handler has made of the context: node:http emits it there, too.
      AsyncResource.bind((chunk: Buffer) => {
        if (!request._dumped && !request.push(chunk)) {
          input.pause();
        }
      }),
    );
    input.once(
      'end',
      AsyncResource.bind(() => this.#endRequest()),
    );
    input.once('error', (error) => this.#onInputLost(error));
    input.once('close', () => this.#onInputLost(undefined));
  }

  /**
   * The body is still read. What has come of it is given out before the response is over, for then the gateway throws
   * it away: two turns, so that the records behind the parameters are parsed. The front ends themselves stop sending
   * once they have the response.
   */
  #linger(): void {
    this.#isLingering = true;
    setImmediate(setImmediate, () => {
      while (this.#input?.read() != null) {
        // Each chunk comes as 'data'.
      }
      this.#isLingering = false;
      this.#checkOver();
    });
  }

  #endRequest(): void {
    const request = this.#request;

    if (!request.complete && !request.destroyed) {
      request.complete = true;
      request.push(null);
    }
  }

  #onInputLost(error: Error | undefined): void {
    const request = this.#request;

    if (request.complete || request.destroyed) {
      return;
    }
    if (request._dumped) {
      this.#endRequest();
    } else if (isRefusal(error)) {
      this.runInAsyncScope(() => request.destroy(error));
    } else if (this.#isFinished) {
      this.runInAsyncScope(() => request.destroy(connectionReset()));
    } else {
      this.runInAsyncScope(() => this.#socket.destroy());
    }
  }
}

function emitClose(response: Response, socket: GatewaySocket): void {
  if (!response._closed) {
    response.destroyed = true;
    response._closed = true;
    response.emit('close');
  }
  socket.destroySoon();
}

function afterFlush(exchange: NodeExchange): void {
  exchange.onFlushed();
}

function asChunk(data: Chunk, encoding: BufferEncoding | null | undefined): Chunk {
  return typeof data !== 'string' || encoding == null || encoding === 'utf8' || encoding === 'utf-8'
    ? data
    : Buffer.from(data, encoding);
}

/** The client is told what was wrong with its body, if the application does not answer it. */
function isRefusal(error: Error | undefined): error is PeerError {
  return error instanceof PeerError && error.code === 'ERR_BODY_TOO_LARGE';
}

/** What node:http destroys a request with whose client has left. */
function connectionReset(): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
