/** One HTTP/1.1 request and its response on a socket: sending, reading and what can go wrong with both. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ResponseParser, valuesOf, type Framing, type ResponseHead } from './http-response-parser';

/** How long to look for bytes after the end of a response that is the last one of its connection. */
const SURPLUS_WAIT_MS = 250;

/** One write; between two of them the socket is read, so that an early answer is not lost to a failing write. */
const WRITE_BYTES = 64 * 1024;

export interface Arrival {
  /** Since the request was begun. */
  readonly atMs: number;
  readonly length: number;
}

export interface HttpResponse extends ResponseHead {
  /** Without its coding. */
  readonly body: Buffer;
  /** The body as UTF-8. */
  readonly text: string;
  readonly framing: Framing;
  /**
   * False when the response was cut short: no end of the chunked coding, fewer bytes than Content-Length, or
   * the connection was reset. With framing `close` a response that was cut cleanly cannot be told from a whole one.
   */
  readonly complete: boolean;
  /** What cut it short, for a human. */
  readonly failure: string | undefined;
  /** One for each piece of the body, as it came from the socket. */
  readonly arrivals: readonly Arrival[];
  readonly interim: readonly ResponseHead[];
  /** Bytes after the end of the response: a desynchronised server (or, on a kept connection, the next response). */
  readonly surplus: Buffer;
  /** The first value of a header field. */
  header(name: string): string | undefined;
  /** All its values, in order. */
  headerValues(name: string): readonly string[];
}

/** One request and its response, while they are under way. */
export interface Exchange {
  /** Resolves when the final head has come; rejects when none will. */
  readonly head: Promise<ResponseHead>;
  /** Resolves when the response has ended, whole or cut; rejects when no head came, or the time is over. */
  readonly response: Promise<HttpResponse>;
  /** Resolves when so many bytes of the body have come; rejects when they will not. */
  bodyReached(length: number): Promise<void>;
  /** Goes away without a word, as a browser does when its user has had enough. */
  abort(): void;
  /** Stops reading from the socket. */
  pause(): void;
  resume(): void;
}

/** What is sent, as it is made. */
export type RequestPieces = Iterable<Buffer> | AsyncIterable<Buffer>;

export interface ExchangeOptions {
  readonly method: string;
  readonly timeoutMs: number;
  /** Leaves the socket open, and paused, at the end. */
  readonly keepAlive: boolean;
  /** What was read from the socket before. */
  readonly alreadyRead: Buffer;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** An exchange on a socket that nobody else reads meanwhile. */
export class RunningExchange implements Exchange {
  readonly head: Promise<ResponseHead>;
  readonly response: Promise<HttpResponse>;

  readonly #socket: Socket;
  readonly #keepAlive: boolean;
  readonly #parser: ResponseParser;
  readonly #startedAt = performance.now();
  readonly #interim: ResponseHead[] = [];
  readonly #body: Buffer[] = [];
  readonly #arrivals: Arrival[] = [];
  readonly #headSettled = deferred<ResponseHead>();
  readonly #ended = deferred<undefined>();
  #bodyWaiters: { readonly length: number; readonly settle: (error?: Error) => void }[] = [];
  #bodyLength = 0;
  /** Set when no more of the body will come. */
  #bodyEnd: Error | undefined;
  #head: ResponseHead | undefined;
  #failure: Error | undefined;

  constructor(socket: Socket, pieces: RequestPieces, options: ExchangeOptions) {
    this.#socket = socket;
    this.#keepAlive = options.keepAlive;
    this.#parser = new ResponseParser(options.method, {
      onInterim: (head) => this.#interim.push(head),
      onHead: (head) => this.#onHead(head),
      onBody: (bytes) => this.#onBody(bytes),
    });
    this.head = this.#headSettled.promise;
    this.response = this.#run(pieces, options);
    // A caller may look at only one of the two; the other must not end the process.
    this.head.catch(() => undefined);
    this.response.catch(() => undefined);
  }

  bodyReached(length: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      this.#bodyWaiters.push({ length, settle });
      this.#settleBodyWaiters();
    });
  }

  abort(): void {
    this.#fail(new Error('aborted by the client'));
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async #run(pieces: RequestPieces, options: ExchangeOptions): Promise<HttpResponse> {
    const socket = this.#socket;
    const onData = (bytes: Buffer): void => this.#onData(bytes);
    const onEnd = (): void => this.#onEnd();
    const onError = (error: Error): void => this.#fail(error);
    const onClose = (): void => this.#fail(new Error('the connection was closed'));
    const timer = setTimeout(() => this.#onTimeout(options.timeoutMs), options.timeoutMs);

    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    try {
      if (socket.destroyed || socket.readableEnded) {
        onClose();
      }
      onData(options.alreadyRead);
      socket.resume();
      const sent = this.#send(pieces);
      await this.#ended.promise;
      if (this.#keepAlive) {
        // RFC 9112 §9.3: what is not sent of this body would be cut out of the next request.
        await sent;
      } else {
        await this.#awaitSurplus();
      }
      return this.#result();
    } finally {
      clearTimeout(timer);
      this.#bodyEnd = new Error(`the response ended after ${String(this.#bodyLength)} bytes of body`);
      this.#settleBodyWaiters();
      socket.off('data', onData).off('end', onEnd).off('close', onClose);
      if (this.#keepAlive) {
        // The connection has its own listener, and reads nothing until the next request listens.
        socket.off('error', onError).pause();
      } else {
        // onError stays: what a destroyed socket still has to say ends with it.
        socket.destroy();
      }
    }
  }

  /** A server may answer early and go; what cannot be sent any more is no failure of the response. */
  async #send(pieces: RequestPieces): Promise<void> {
    try {
      for await (const piece of pieces) {
        for (let offset = 0; offset < piece.length; offset += WRITE_BYTES) {
          const isOver = this.#parser.ended && !this.#keepAlive;
          if (isOver || this.#failure !== undefined || this.#socket.destroyed) {
            return;
          }
          if (!(await this.#write(piece.subarray(offset, offset + WRITE_BYTES)))) {
            return;
          }
        }
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Resolves to whether the bytes have left; why they have not, the socket's 'error' event tells. */
  #write(bytes: Buffer): Promise<boolean> {
    return new Promise((resolve) => {
      // One turn of the event loop between two writes: it reads the socket before it writes again.
      this.#socket.write(bytes, (error) => setImmediate(resolve, error == null));
    });
  }

  #onData(bytes: Buffer): void {
    try {
      this.#parser.push(bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      this.#socket.destroy();
      return;
    }
    if (this.#parser.ended) {
      this.#ended.resolve(undefined);
    }
  }

  #onHead(head: ResponseHead): void {
    this.#head = head;
    this.#headSettled.resolve(head);
  }

  #onBody(bytes: Buffer): void {
    this.#body.push(bytes);
    this.#bodyLength += bytes.length;
    this.#arrivals.push({ atMs: performance.now() - this.#startedAt, length: bytes.length });
    this.#settleBodyWaiters();
  }

  #onEnd(): void {
    if (this.#parser.completeAtClose) {
      this.#ended.resolve(undefined);
      return;
    }
    this.#fail(new Error('the connection was ended by the server'));
  }

  #onTimeout(timeoutMs: number): void {
    const got = this.#head === undefined ? 'no head' : `${String(this.#bodyLength)} bytes of body`;
    const error = new Error(`no complete response within ${String(timeoutMs)} ms, only ${got}`);
    this.#ended.reject(error);
    this.#headSettled.reject(error);
    this.#socket.destroy();
  }

  /** Before the head: there is no response. After it: it is one that was cut. */
  #fail(error: Error): void {
    if (this.#parser.ended) {
      return;
    }
    this.#failure ??= error;
    if (this.#head === undefined) {
      const received = this.#parser.unread.subarray(0, 200).toString('latin1');
      const message = `no response: ${error.message}; received ${JSON.stringify(received)}`;
      this.#ended.reject(new Error(message, { cause: error }));
      this.#headSettled.reject(new Error(message, { cause: error }));
      return;
    }
    this.#ended.resolve(undefined);
  }

  async #awaitSurplus(): Promise<void> {
    if (this.#socket.destroyed || this.#socket.readableEnded) {
      return;
    }
    const enough = new AbortController();
    await Promise.race([
      once(this.#socket, 'close', { signal: enough.signal }),
      once(this.#socket, 'end', { signal: enough.signal }),
      sleep(SURPLUS_WAIT_MS, undefined, { signal: enough.signal }),
    ]).catch(() => undefined);
    enough.abort();
  }

  #settleBodyWaiters(): void {
    const waiting = this.#bodyWaiters;
    this.#bodyWaiters = [];
    for (const waiter of waiting) {
      if (this.#bodyLength >= waiter.length) {
        waiter.settle();
      } else if (this.#bodyEnd !== undefined) {
        waiter.settle(this.#bodyEnd);
      } else {
        this.#bodyWaiters.push(waiter);
      }
    }
  }

  #result(): HttpResponse {
    if (this.#head === undefined) {
      throw new Error('no response', { cause: this.#failure });
    }
    const { headers } = this.#head;
    const body = Buffer.concat(this.#body);

    return {
      ...this.#head,
      body,
      text: body.toString('utf8'),
      framing: this.#parser.framing,
      complete: this.#failure === undefined && this.#parser.completeAtClose,
      failure: this.#failure?.message,
      arrivals: this.#arrivals,
      interim: this.#interim,
      surplus: this.#parser.ended ? this.#parser.unread : Buffer.alloc(0),
      header: (name) => valuesOf(headers, name)[0],
      headerValues: (name) => valuesOf(headers, name),
    };
  }
}

/** Promise.withResolvers, which Node 20 does not have. */
function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => undefined;
  let reject: Deferred<T>['reject'] = () => undefined;
  const promise = new Promise<T>((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}
