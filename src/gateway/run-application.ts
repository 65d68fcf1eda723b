/**
 * One call of the application, from `app(environ, startResponse)` to the last byte.
 *
 * A synchronous application stays synchronous: with a string, bytes or an ordinary iterable nothing here waits,
 * and no promise is made. The peer's pace is the application's: no chunk is asked for while `ResponseWriter.write`
 * has said that the peer can take no more.
 */
import { ApplicationError, type PeerError } from '../errors';
import { failureResponse } from './failure';
import { hasNoBody, Response, type ResponseHead } from './response';
import type { Application, Body, Chunk, Environ, Headers, Write } from './types';

/** Where a response goes; one for each protocol. */
export interface ResponseWriter {
  /** Called once. The head must leave in one piece, together with the first chunk if that comes in the same tick. */
  writeHead(head: ResponseHead): void;
  /** @returns false when the peer can take no more; `ApplicationRun.resume` says when it can again. */
  write(chunk: Chunk): boolean;
  /** The response is complete. */
  end(): void;
  /** The response will never be complete, and must not look so. */
  truncate(): void;
}

/** What the server around a request wants to know. */
export interface RunObserver {
  /** A fault of the application or of the peer; the client has been told nothing of it. */
  onError(error: unknown, environ: Environ | undefined): void;
  /** Response, cleaning up and `postern.after_response` are all over; called once. */
  onSettled(): void;
}

export interface RunOptions {
  /** Show errors to the client; default false. */
  readonly development: boolean;
}

type AnyIterator = Iterator<unknown> | AsyncIterator<unknown>;

/** What may hang on a body besides its chunks. */
interface Closable {
  readonly close?: () => unknown;
  /** A Node stream's. */
  readonly destroy?: () => unknown;
  readonly pipe?: unknown;
  readonly on?: (event: 'error', listener: () => void) => unknown;
}

export class ApplicationRun {
  readonly #writer: ResponseWriter;
  readonly #observer: RunObserver;
  readonly #options: RunOptions;
  readonly #response = new Response();
  #environ: Environ | undefined;
  #method: string | undefined;

  /** Nothing more is sent: complete, failed, or the peer is gone. */
  #ended = false;
  #abortReason: PeerError | undefined;
  #abortController: AbortController | undefined;

  #body: Closable | undefined;
  #iterator: AnyIterator | undefined;
  #isAsync = false;
  /** A synchronous iterator is in `next()`, and a generator cannot be told to return while it runs. */
  #isInNext = false;
  /** The peer can take no more. */
  #isBlocked = false;
  /** The body loop stopped because of that. */
  #isWaiting = false;

  #bodyless = false;
  /** Bytes that the declared Content-Length still allows. */
  #bytesLeft: number | undefined;

  #tasks: (() => unknown)[] | undefined;
  /** Things the end of this run waits for: the call itself, promises of `close` and `return`, tasks. */
  #pending = 1;
  #settled = false;

  constructor(writer: ResponseWriter, observer: RunObserver, options: RunOptions) {
    this.#writer = writer;
    this.#observer = observer;
    this.#options = options;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** `postern.signal`. */
  get signal(): AbortSignal {
    if (this.#abortController === undefined) {
      this.#abortController = new AbortController();
      if (this.#abortReason !== undefined) {
        this.#abortController.abort(this.#abortReason);
      }
    }
    return this.#abortController.signal;
  }

  /** `postern.after_response`. */
  afterResponse(task: () => unknown): void {
    if (this.#ended) {
      this.#guard(task);
    } else {
      (this.#tasks ??= []).push(task);
    }
  }

  /** Calls the application. */
  start(application: Application, environ: Environ): void {
    this.#environ = environ;
    this.#method = environ.REQUEST_METHOD;

    let body: Body;

    try {
      const result = application(environ, this.#startResponse);

      if (isThenable(result)) {
        Promise.resolve(result).then(
          (later) => {
            this.#respond(later);
          },
          (error: unknown) => {
            this.#failCall(error);
          },
        );
        return;
      }
      body = result;
    } catch (error) {
      this.#failCall(error);
      return;
    }
    this.#respond(body);
  }

  /**
   * Answers without calling the application.
   * @param method the request's, as far as it is known: HEAD is answered without a body.
   */
  refuse(error: PeerError, method: string | undefined, environ?: Environ): void {
    this.#environ = environ;
    this.#method = method;
    this.#failCall(error);
  }

  /** Something outside of the call went wrong, so that the application will not finish this response. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  /** The peer can take more. */
  resume(): void {
    this.#isBlocked = false;
    if (this.#isWaiting) {
      this.#isWaiting = false;
      this.#pull();
    }
  }

  /** The peer is gone or no longer wants an answer: nothing more is sent, everything is closed. */
  abort(reason: PeerError): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    this.#abortReason = reason;
    this.#abortController?.abort(reason);
    this.#letGo();
  }

  readonly #startResponse = (status: string, headers: Headers, excInfo?: unknown): Write => {
    this.#response.start(status, headers, excInfo);
    return this.#write;
  };

  readonly #write: Write = (chunk) => {
    if (this.#abortReason !== undefined) {
      throw this.#abortReason;
    }
    if (this.#ended) {
      throw new ApplicationError('ERR_RESPONSE_ENDED', 'write() was called after the response had ended');
    }
    checkChunk(chunk);
    if (!this.#response.headSent) {
      this.#sendHead();
    }
    this.#sendChunk(chunk);
  };

  #failCall(error: unknown): void {
    this.#fail(error);
    this.#settle();
  }

  #respond(body: Body): void {
    try {
      if (body == null || typeof body === 'string' || body instanceof Uint8Array) {
        this.#respondWith(body ?? '');
      } else {
        this.#open(body);
        this.#pull();
      }
    } catch (error) {
      this.#fail(error);
    }
    if (this.#ended) {
      // It may have been over before there was a body.
      this.#letGo();
    }
    this.#settle();
  }

  #respondWith(chunk: Chunk): void {
    if (!this.#ended) {
      this.#takeChunk(chunk);
      this.#finish();
    }
  }

  #open(body: unknown): void {
    if (typeof body !== 'object' || body === null) {
      throw new ApplicationError('ERR_BODY_TYPE', `a body cannot be a ${typeof body}`);
    }
    this.#body = body;
    if (isAsyncIterable(body)) {
      this.#isAsync = true;
      this.#iterator = body[Symbol.asyncIterator]();
    } else if (isIterable(body)) {
      this.#iterator = body[Symbol.iterator]();
    } else {
      throw new ApplicationError('ERR_BODY_TYPE', 'a body is a string, a Uint8Array, or an iterable of them');
    }
  }

  /** Asks for chunks until the body ends or the peer can take no more. */
  #pull(): void {
    while (!this.#ended) {
      if (this.#isBlocked) {
        this.#isWaiting = true;
        return;
      }
      if (this.#isAsync) {
        this.#pullLater();
        return;
      }
      this.#pullNow();
    }
  }

  #pullNow(): void {
    this.#isInNext = true;
    try {
      // #isAsync says which of the two it is.
      this.#takeStep((this.#iterator as Iterator<unknown>).next());
    } catch (error) {
      this.#fail(error);
    }
    this.#isInNext = false;
    if (this.#ended) {
      this.#letGo();
    }
  }

  #pullLater(): void {
    try {
      // Resolved, for an iterator whose next() gives no promise.
      Promise.resolve((this.#iterator as AsyncIterator<unknown>).next()).then(
        this.#onStep,
        this.#onStepFailed,
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  readonly #onStep = (step: IteratorResult<unknown>): void => {
    if (this.#ended) {
      return;
    }
    try {
      this.#takeStep(step);
    } catch (error) {
      this.#fail(error);
    }
    this.#pull();
  };

  readonly #onStepFailed = (error: unknown): void => {
    this.#fail(error);
  };

  #takeStep(step: IteratorResult<unknown>): void {
    if (this.#ended) {
      return;
    }
    if (step.done === true) {
      this.#finish();
    } else {
      this.#takeChunk(step.value);
    }
  }

  /** A chunk of the body: the first that is not empty brings the head out. */
  #takeChunk(chunk: unknown): void {
    checkChunk(chunk);
    if (chunk.length === 0) {
      return;
    }
    if (!this.#response.headSent) {
      this.#sendHead();
    }
    if (this.#bodyless) {
      // Whatever else the application would make, nobody may see it.
      this.#finish();
    } else {
      this.#sendChunk(chunk);
    }
  }

  #sendHead(): void {
    const head = this.#response.takeHead();

    this.#bodyless = hasNoBody(this.#method, head.status);
    this.#bytesLeft = head.contentLength;
    this.#writer.writeHead(head);
  }

  #sendChunk(chunk: Chunk): void {
    if (this.#bodyless || chunk.length === 0) {
      return;
    }
    if (this.#bytesLeft === undefined) {
      this.#isBlocked = !this.#writer.write(chunk);
      return;
    }

    const length = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;
    const allowed = this.#bytesLeft;

    if (length <= allowed) {
      this.#bytesLeft = allowed - length;
      this.#isBlocked = !this.#writer.write(chunk);
      return;
    }
    // More than the head promised would be read as the next response by whoever trusts it (mod_fcgid 2.3.9).
    this.#bytesLeft = 0;
    if (allowed > 0) {
      this.#isBlocked = !this.#writer.write(asBytes(chunk).subarray(0, allowed));
    }
    this.#report(
      new ApplicationError(
        'ERR_BODY_LENGTH',
        'the body is longer than its Content-Length; the rest was cut off',
      ),
    );
    this.#end(() => this.#writer.end());
  }

  /** The body has ended. */
  #finish(): void {
    if (this.#ended) {
      return;
    }
    if (!this.#response.headSent) {
      // A short body is a failure before the head, while a real 500 can still be sent.
      const promised = this.#response.promisedBytes(this.#method);

      if (promised > 0) {
        throw bodyTooShort(promised);
      }
      this.#sendHead();
    }
    if (!this.#bodyless && this.#bytesLeft !== undefined && this.#bytesLeft > 0) {
      throw bodyTooShort(this.#bytesLeft);
    }
    this.#end(() => this.#writer.end());
  }

  /** The funnel: every failure of this request comes here, and what the client sees of it is decided here. */
  #fail(error: unknown): void {
    if (this.#ended) {
      // An application that is told to give up often does it by throwing.
      if (this.#abortReason === undefined) {
        this.#report(error);
      }
      return;
    }
    this.#report(error);
    if (this.#response.headSent) {
      this.#end(() => this.#writer.truncate());
      return;
    }

    const { status, headers, body } = failureResponse(error, this.#options.development);

    this.#response.replace(status, headers);
    this.#end(() => {
      this.#sendHead();
      if (!this.#bodyless) {
        this.#writer.write(body);
      }
      this.#writer.end();
    });
  }

  /** Ends the response once, in whatever way `last` says, then lets go of all that the application gave. */
  #end(last: () => void): void {
    this.#ended = true;
    try {
      last();
    } catch (error) {
      this.#report(error);
    }
    this.#letGo();
  }

  /** `return()` on the iterator and `close()` on the body, once each; then the tasks. */
  #letGo(): void {
    if (this.#isInNext) {
      return;
    }

    const iterator = this.#iterator;
    const body = this.#body;
    const tasks = this.#tasks;

    this.#iterator = undefined;
    this.#body = undefined;
    this.#tasks = undefined;
    if (iterator != null) {
      this.#guard(() => iterator.return?.());
    }
    if (body !== undefined) {
      this.#guard(() => close(body));
    }
    tasks?.forEach((task) => {
      this.#guard(task);
    });
    this.#checkSettled();
  }

  /** Runs the application's cleaning up: its failure is logged and changes nothing, its promise is waited for. */
  #guard(action: () => unknown): void {
    try {
      const result = action();

      if (isThenable(result)) {
        this.#pending++;
        Promise.resolve(result).then(this.#settle, (error: unknown) => {
          this.#report(error);
          this.#settle();
        });
      }
    } catch (error) {
      this.#report(error);
    }
  }

  readonly #settle = (): void => {
    this.#pending--;
    this.#checkSettled();
  };

  #checkSettled(): void {
    if (this.#pending === 0 && this.#ended && !this.#settled) {
      this.#settled = true;
      this.#observer.onSettled();
    }
  }

  #report(error: unknown): void {
    try {
      this.#observer.onError(error, this.#environ);
    } catch {
      // A log that fails must not keep the client waiting as well.
      return;
    }
  }
}

function close(body: Closable): unknown {
  if (typeof body.pipe === 'function') {
    // A Node stream: nobody is left to hear of its errors, and one that nobody hears ends the process.
    body.on?.('error', () => undefined);
    // Its iterator's return() waits for a read that may never come, destroy() does not.
    return body.destroy?.();
  }
  return typeof body.close === 'function' ? body.close() : undefined;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function isAsyncIterable(body: object): body is AsyncIterable<unknown> {
  return Symbol.asyncIterator in body && typeof body[Symbol.asyncIterator] === 'function';
}

function isIterable(body: object): body is Iterable<unknown> {
  return Symbol.iterator in body && typeof body[Symbol.iterator] === 'function';
}

function checkChunk(chunk: unknown): asserts chunk is Chunk {
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
    throw new ApplicationError('ERR_CHUNK_TYPE', 'a chunk of the body is neither a string nor a Uint8Array');
  }
}

function asBytes(chunk: Chunk): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

function bodyTooShort(missing: number): ApplicationError {
  return new ApplicationError(
    'ERR_BODY_LENGTH',
    `the body is ${String(missing)} bytes shorter than its Content-Length`,
  );
}
