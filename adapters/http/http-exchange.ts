/** One HTTP request and its response: Node's objects on one side, an ApplicationRun on the other. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { PeerError } from '../../src/errors';
import { contentLengthOf, EnvironBuilder, type RequestObjects } from '../../src/gateway/environ';
import { ApplicationRun, type RunObserver } from '../../src/gateway/run-application';
import type { Application, Environ } from '../../src/gateway/types';
import { onceFlushed } from '../exchange/after-response';
import { createErrorStream, formatError, type ErrorLog } from '../exchange/error-log';
import { fileWrapper } from '../exchange/file-wrapper';
import { RequestBody } from '../exchange/request-body';
import { HttpResponseWriter } from './http-response-writer';
import { hasHeader, requestVariables, type HttpRequestHead, type Pair } from './request-variables';

/** Bytes of a body that are kept until the application reads them: one read of a socket in Node. */
const MAX_BUFFERED_BYTES = 65536;

/** The options of one server with every default filled in. */
export interface HttpSettings {
  readonly mount: string | undefined;
  readonly maxBodyBytes: number;
  readonly development: boolean;
  readonly errorLog: ErrorLog;
}

/** What a server knows of one request. */
export interface RequestSource {
  /** By which the variables came: each has its own mistakes to be repaired. */
  readonly protocol: 'http' | 'fastcgi';
  readonly mount: string | undefined;
  /** In the order sent. @throws {PeerError} for a request that has none. */
  variables(): Iterable<readonly [name: string, value: string]>;
}

export interface ExchangeObserver {
  /** Whether the connection may be kept for another request. */
  readonly keepAlive: () => boolean;
  /** Response, cleaning up and `postern.after_response` are all over; called once. */
  readonly onSettled: () => void;
}

export class HttpExchange implements RequestObjects, RunObserver {
  readonly #request: IncomingMessage;
  readonly #settings: HttpSettings;
  readonly #observer: ExchangeObserver;
  readonly #run: ApplicationRun;
  readonly #onDrain = (): void => this.#run.resume();
  readonly #response: ServerResponse;
  #body = new RequestBody({ contentLength: 0, maxBodyBytes: 0, onRoom: () => undefined });
  #isInputTouched = false;
  #errors: Writable | undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    settings: HttpSettings,
    observer: ExchangeObserver,
  ) {
    this.#request = request;
    this.#response = response;
    this.#settings = settings;
    this.#observer = observer;

    const writer = new HttpResponseWriter(response, {
      keepAlive: observer.keepAlive,
      onEnded: () => this.#onEnded(),
    });

    this.#run = new ApplicationRun(writer, this, { development: settings.development });
    response.on('drain', this.#onDrain);
    // A client that leaves is noticed by the close of its connection.
    response.on('error', ignore);
    request.on('error', ignore);
  }

  start(application: Application, source: RequestSource = this.#ownSource()): void {
    const builder = new EnvironBuilder(this, {
      protocol: source.protocol,
      mount: source.mount,
      multiprocess: false,
      runOnce: false,
      fileWrapper,
    });

    try {
      for (const [name, value] of source.variables()) {
        builder.add(name, value);
      }
      this.#openBody(builder.finish());
    } catch (error) {
      this.#run.refuse(asPeerError(error), this.#request.method, builder.environ);
      return;
    }
    this.#run.start(application, builder.environ);
  }

  /** The connection is closed. */
  onGone(): void {
    const gone = new PeerError('ERR_PEER_GONE', 'the client closed its connection');

    this.#body.fail(gone);
    this.#run.abort(gone);
  }

  get input(): Readable {
    this.#isInputTouched = true;
    return this.#body.stream;
  }

  get errors(): Writable {
    return (this.#errors ??= createErrorStream((bytes) => this.#settings.errorLog(bytes.toString())));
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  afterResponse(task: () => unknown): void {
    this.#run.afterResponse(onceFlushed(task));
  }

  onError(error: unknown, environ: Environ | undefined): void {
    this.#settings.errorLog(formatError(error, environ));
  }

  onSettled(): void {
    this.#response.off('drain', this.#onDrain);
    this.#discardBody();
    this.#observer.onSettled();
  }

  #ownSource(): RequestSource {
    return {
      protocol: 'http',
      mount: this.#settings.mount,
      variables: () => variablesOf(this.#request),
    };
  }

  /** @throws {PeerError} `ERR_BODY_TOO_LARGE` */
  #openBody(environ: Environ): void {
    const request = this.#request;
    const { maxBodyBytes } = this.#settings;
    const isChunked = hasHeader(request.rawHeaders, 'transfer-encoding');
    // RFC 9112 §6.3: a request with neither has no body.
    const contentLength = isChunked ? undefined : (contentLengthOf(environ) ?? 0);

    if (contentLength !== undefined && contentLength > maxBodyBytes) {
      throw new PeerError(
        'ERR_BODY_TOO_LARGE',
        `the request body is larger than ${String(maxBodyBytes)} bytes`,
      );
    }
    if (contentLength === 0) {
      return;
    }

    const body = new RequestBody({ contentLength, maxBodyBytes, onRoom: () => request.resume() });

    this.#body = body;
    request.on('data', (chunk: Buffer) => {
      body.push(chunk);
      if (body.bufferedBytes >= MAX_BUFFERED_BYTES) {
        request.pause();
      }
    });
    request.on('end', () => body.end());
    if (request.readableEnded) {
      // Somebody has read it before us; nobody must wait for what does not come.
      body.end();
    }
  }

  /** The next request on the connection cannot be read before the rest of this one's body. */
  #onEnded(): void {
    if (!this.#isInputTouched) {
      this.#discardBody();
    }
  }

  #discardBody(): void {
    if (!this.#body.isOver) {
      this.#body.discard();
    }
    this.#request.resume();
  }
}

/**
 * @param target the whole of it, where somebody has shortened `request.url`.
 * @throws {PeerError} `ERR_PATH`, `ERR_PARAMS_MALFORMED`
 */
export function variablesOf(request: IncomingMessage, target = request.url ?? ''): Pair[] {
  return requestVariables(headOf(request, target));
}

function headOf(request: IncomingMessage, target: string): HttpRequestHead {
  const { socket, rawHeaders, httpVersion } = request;

  return {
    method: request.method ?? '',
    target,
    httpVersion,
    rawHeaders,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
  };
}

/** Building an environ throws nothing else; a mistake in it is answered all the same. */
function asPeerError(error: unknown): PeerError {
  return error instanceof PeerError
    ? error
    : new PeerError('ERR_PARAMS_MALFORMED', 'the request could not be read', { cause: error });
}

function ignore(): void {
  // Listened to so that it does not end the process.
}
