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
  readonly close?: unknown;
  readonly destroy?: unknown;
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

  #body: Body;
  #iterator: AnyIterator | undefined;
  #isAsync = false;
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
      this.#runTask(task);
    } else {
      (this.#tasks ??= []).push(task);
    }
  }

  /** Calls the application. */
  start(application: Application, environ: Environ): void {
    this.#environ = environ;
    this.#method = environ.REQUEST_METHOD;

    let result: Body | Promise<Body>;

    try {
      result = application(environ, this.#startResponse);
    } catch (error) {
      this.#fail(error);
      this.#settle();
      return;
    }
    if (isThenable(result)) {
      Promise.resolve(result).then(this.#respondLater, this.#failLater);
    } else {
      this.#respond(result);
      this.#settle();
    }
  }

  /**
   * Answers without calling the application.
   * @param method the request's, as far as it is known: HEAD is answered without a body.
   */
  refuse(error: PeerError, method: string | undefined, environ?: Environ): void {
    this.#environ = environ;
    this.#method = method;
    this.#fail(error);
    this.#settle();
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
    this.#end();
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

  readonly #respondLater = (body: Body): void => {
    this.#respond(body);
    this.#settle();
  };

  readonly #failLater = (error: unknown): void => {
    this.#fail(error);
    this.#settle();
  };

  #respond(body: Body): void {
    this.#body = body;
    if (this.#ended) {
      this.#closeBody();
      return;
    }
    if (body == null) {
      this.#finish();
    } else if (typeof body === 'string' || body instanceof Uint8Array) {
      this.#takeChunk(body);
      this.#finish();
    } else {
      this.#iterate(body);
    }
  }

  #iterate(body: unknown): void {
    try {
      if (typeof body !== 'object' || body === null) {
        throw new ApplicationError('ERR_BODY_TYPE', `a body cannot be a ${typeof body}`);
      }
      if (isAsyncIterable(body)) {
        this.#isAsync = true;
        this.#iterator = body[Symbol.asyncIterator]();
      } else if (isIterable(body)) {
        this.#iterator = body[Symbol.iterator]();
      } else {
        throw new ApplicationError(
          'ERR_BODY_TYPE',
          'a body is a string, a Uint8Array, or an iterable of them',
        );
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#pull();
  }

  /** Asks for chunks until the body ends or the peer can take no more. */
  #pull(): void {
    while (!this.#ended) {
      if (this.#isBlocked) {
        this.#isWaiting = true;
        return;
      }
      if (this.#isAsync) {
        this.#pullOne();
        return;
      }

      let step: IteratorResult<unknown>;

      try {
        // #isAsync says which of the two it is.
        step = (this.#iterator as Iterator<unknown>).next();
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#takeStep(step);
    }
  }

  #pullOne(): void {
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
    if (!this.#ended) {
      this.#takeStep(step);
      this.#pull();
    }
  };

  readonly #onStepFailed = (error: unknown): void => {
    this.#fail(error);
  };

  #takeStep(step: IteratorResult<unknown>): void {
    if (step.done === true) {
      this.#finish();
    } else {
      this.#takeChunk(step.value);
    }
  }

  /** A chunk of the body: the first that is not empty brings the head out. */
  #takeChunk(chunk: unknown): void {
    try {
      checkChunk(chunk);
      if (chunk.length === 0) {
        return;
      }
      if (!this.#response.headSent) {
        this.#sendHead();
      }
    } catch (error) {
      this.#fail(error);
      return;
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
      this.#isBlocked = !this.#writer.write(Buffer.from(asBytes(chunk).subarray(0, allowed)));
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
    try {
      if (!this.#response.headSent) {
        // A short body is a failure before the head, while a real 500 can still be sent.
        const promised = this.#response.promisedBytes(this.#method);
        if (promised > 0) {
          throw bodyTooShort(promised);
        }
        this.#sendHead();
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!this.#bodyless && this.#bytesLeft !== undefined && this.#bytesLeft > 0) {
      this.#fail(bodyTooShort(this.#bytesLeft));
      return;
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
  #end(last?: () => void): void {
    this.#ended = true;
    last?.();
    this.#closeBody();
    for (const task of this.#tasks ?? []) {
      this.#runTask(task);
    }
    this.#tasks = undefined;
    this.#checkSettled();
  }

  /** `return()` on the iterator and `close()` on the body, once each. */
  #closeBody(): void {
    const iterator = this.#iterator;
    const body = this.#body;

    this.#iterator = undefined;
    this.#body = undefined;
    if (iterator?.return !== undefined) {
      this.#guard(() => iterator.return?.());
    }
    if (typeof body === 'object' && body !== null && !(body instanceof Uint8Array)) {
      this.#close(body as Closable);
    }
  }

  #close(body: Closable): void {
    if (typeof body.close === 'function') {
      const close = body.close as () => unknown;
      this.#guard(() => close.call(body));
    } else if (typeof body.destroy === 'function') {
      // A Node stream: its iterator's return() waits for a read that may never come, destroy() does not.
      const destroy = body.destroy as () => unknown;
      this.#guard(() => destroy.call(body));
    }
  }

  #runTask(task: () => unknown): void {
    this.#guard(task);
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
    this.#observer.onError(error, this.#environ);
  }
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
