/** One FastCGI request between the connection and the application. */
import type { Readable, Writable } from 'node:stream';
import { PeerError } from '../../src/errors';
import { ProtocolStatus, Role } from '../../src/fastcgi/constants';
import type { OpenRequest, RequestEvents } from '../../src/fastcgi/connection';
import {
  contentLengthOf,
  defineData,
  EnvironBuilder,
  setRole,
  type RequestObjects,
  type ServerFacts,
} from '../../src/gateway/environ';
import { parseContentLength } from '../../src/gateway/grammar';
import { wantsItsBodyRead } from '../../src/gateway/quirks';
import type { ResponseHead } from '../../src/gateway/response';
import { encodeFastCgiHead } from '../../src/gateway/response-head';
import { ApplicationRun, type ResponseWriter, type RunObserver } from '../../src/gateway/run-application';
import type { Application, Chunk, Environ, RoleName } from '../../src/gateway/types';
import { onceFlushed } from '../exchange/after-response';
import { createErrorStream, formatError, type ErrorLog } from '../exchange/error-log';
import { RequestBody } from '../exchange/request-body';
import type { FastCgiSettings } from './options';

/** What a request needs of its server; the same for all of them. */
export interface RequestHost {
  readonly application: Application;
  readonly facts: ServerFacts;
  readonly settings: FastCgiSettings;
  readonly development: boolean;
  readonly errorLog: ErrorLog;
  /** Requests whose response is not over, this one not counted. */
  readonly activeRequests: number;
  onRequestStarted(): void;
  onResponseOver(): void;
  onRequestSettled(): void;
}

/** What a request needs of its connection. */
export interface RequestTransport {
  /** The peer can take more output. */
  readonly hasRoom: boolean;
  /** Output was written. */
  onOutput(): void;
  onBodyFull(): void;
  onBodyRoom(): void;
  /** The response cannot be completed, and must not look so. */
  truncate(request: FastCgiRequest): void;
  onResponseOver(request: FastCgiRequest): void;
}

const ROLE_NAMES: Readonly<Record<number, RoleName>> = {
  [Role.RESPONDER]: 'RESPONDER',
  [Role.AUTHORIZER]: 'AUTHORIZER',
  [Role.FILTER]: 'FILTER',
};

export class FastCgiRequest implements RequestEvents, RequestObjects, ResponseWriter, RunObserver {
  readonly open: OpenRequest;
  readonly #host: RequestHost;
  readonly #transport: RequestTransport;
  readonly #run: ApplicationRun;
  #environ: Environ | undefined;
  #contentLength: number | undefined;
  #errors: Writable | undefined;

  #input: RequestBody | undefined;
  #inputEnded = false;
  /** The response is over, but END_REQUEST has to wait for the end of STDIN. */
  #isEndHeld = false;
  #data: RequestBody | undefined;
  #dataEnded = false;
  #isBodyFull = false;
  #isOver = false;

  constructor(open: OpenRequest, host: RequestHost, transport: RequestTransport) {
    this.open = open;
    this.#host = host;
    this.#transport = transport;
    this.#run = new ApplicationRun(this, this, host);
  }

  /** Which front end this is, for the way a truncated response is shown. */
  get environ(): Environ | undefined {
    return this.#environ;
  }

  /** Of its bodies: what has arrived and was not read yet. */
  get bufferedBytes(): number {
    return (this.#input?.bufferedBytes ?? 0) + (this.#data?.bufferedBytes ?? 0);
  }

  /** Builds the environ and calls the application. */
  start(): void {
    const { facts, settings, application, activeRequests } = this.#host;
    const builder = new EnvironBuilder(this, facts);

    this.#host.onRequestStarted();
    try {
      const environ = buildEnviron(builder, this.open);

      this.#environ = environ;
      // §6.3: an Authorizer has no body, whether or not an empty STDIN record comes.
      this.#contentLength = this.open.role === Role.AUTHORIZER ? 0 : contentLengthOf(environ);
      this.#checkLimits(activeRequests, settings);
    } catch (error) {
      this.#run.refuse(asPeerError(error), builder.environ.REQUEST_METHOD, builder.environ);
      return;
    }
    if (this.open.role === Role.FILTER) {
      defineData(this.#environ, () => this.#dataBody().stream);
    }
    this.#run.start(application, this.#environ);
  }

  /** Answers without calling the application: the connection could not take the request. */
  refuse(reason: PeerError): void {
    this.#host.onRequestStarted();
    this.#run.refuse(reason, methodOf(this.open.pairs));
  }

  /** The peer can take more. */
  resume(): void {
    this.#run.resume();
  }

  // RequestObjects

  get input(): Readable {
    return this.#inputBody().stream;
  }

  get errors(): Writable {
    return (this.#errors ??= createErrorStream((bytes) => {
      this.#host.errorLog(bytes.toString());
      if (this.#host.settings.stderrToFrontEnd) {
        this.open.stderr(bytes);
        this.#transport.onOutput();
      }
    }));
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  afterResponse(task: () => unknown): void {
    this.#run.afterResponse(onceFlushed(task));
  }

  // ResponseWriter

  writeHead(head: ResponseHead): void {
    this.open.stdout(encodeFastCgiHead(head), 'latin1');
    // nginx 1.22.1 with fastcgi_keep_conn holds a first piece of less than eight bytes back that shares the head's
    // record: it waits for a record's header first.
    this.open.endRecord();
    this.#transport.onOutput();
  }

  write(chunk: Chunk): boolean {
    this.open.stdout(chunk);
    this.#transport.onOutput();
    return this.#transport.hasRoom;
  }

  end(): void {
    // An empty chunked upload is never ended by HAProxy 2.6.12; for all others STDIN ends after the last byte.
    if (!this.#inputEnded && this.#contentLength !== 0 && wantsItsBodyRead(this.#environ)) {
      this.#isEndHeld = true;
      this.open.endStreams();
      this.#transport.onOutput();
    } else {
      this.#endRequest();
    }
    this.#onOver();
  }

  truncate(): void {
    this.#transport.truncate(this);
    this.#onOver();
  }

  // RunObserver

  onError(error: unknown, environ: Environ | undefined): void {
    this.#host.errorLog(formatError(error, environ));
  }

  onSettled(): void {
    this.#host.onRequestSettled();
  }

  // RequestEvents

  onStdin(content: Buffer): void {
    if (this.#isOver || this.#inputEnded || this.#contentLength === 0) {
      return;
    }
    this.#inputBody().push(content);
    this.#checkBodyFull();
  }

  onStdinEnd(): void {
    this.#inputEnded = true;
    if (this.#isEndHeld) {
      this.#endRequest();
      return;
    }
    if (this.#input === undefined && (this.#contentLength ?? 0) === 0) {
      return;
    }
    this.#inputBody().end();
  }

  onData(content: Buffer): void {
    if (!this.#isOver && !this.#dataEnded) {
      this.#dataBody().push(content);
      this.#checkBodyFull();
    }
  }

  onDataEnd(): void {
    this.#dataEnded = true;
    this.#data?.end();
  }

  onAbort(reason: PeerError): void {
    this.#isEndHeld = false;
    this.#input?.fail(reason);
    this.#data?.fail(reason);
    this.#run.abort(reason);
    this.#onOver();
  }

  #endRequest(): void {
    const isKnownRole = this.open.role in ROLE_NAMES;

    this.#isEndHeld = false;
    this.open.end(0, isKnownRole ? ProtocolStatus.REQUEST_COMPLETE : ProtocolStatus.UNKNOWN_ROLE);
    this.#transport.onOutput();
  }

  #checkLimits(activeRequests: number, settings: FastCgiSettings): void {
    if (activeRequests >= settings.maxConcurrentInAll) {
      throw new PeerError(
        'ERR_OVERLOADED',
        `more than ${String(settings.maxConcurrentInAll)} requests at once`,
      );
    }
    if ((this.#contentLength ?? 0) > settings.maxBodyBytes) {
      throw new PeerError(
        'ERR_BODY_TOO_LARGE',
        `the request body is larger than ${String(settings.maxBodyBytes)} bytes`,
      );
    }
  }

  #inputBody(): RequestBody {
    if (this.#input === undefined) {
      this.#input = this.#createBody(this.#contentLength);
      this.#catchUp(this.#input, this.#inputEnded);
    }
    return this.#input;
  }

  #dataBody(): RequestBody {
    if (this.#data === undefined) {
      // §6.4: FCGI_DATA_LENGTH is to DATA what CONTENT_LENGTH is to STDIN.
      const length = this.#environ?.['FCGI_DATA_LENGTH'];

      this.#data = this.#createBody(typeof length === 'string' ? parseContentLength(length) : undefined);
      this.#catchUp(this.#data, this.#dataEnded);
    }
    return this.#data;
  }

  #createBody(contentLength: number | undefined): RequestBody {
    const { maxBodyBytes } = this.#host.settings;

    return new RequestBody({
      contentLength,
      maxBodyBytes,
      onRoom: () => {
        this.#checkBodyFull();
      },
    });
  }

  /** A body that is touched late has missed what was said before. */
  #catchUp(body: RequestBody, hasEnded: boolean): void {
    if (hasEnded) {
      body.end();
    }
    if (this.#isOver) {
      body.discard();
    }
  }

  #checkBodyFull(): void {
    const { maxBufferedBytes } = this.#host.settings;
    const buffered = this.bufferedBytes;

    if (!this.#isBodyFull && buffered > maxBufferedBytes) {
      this.#isBodyFull = true;
      this.#transport.onBodyFull();
    } else if (this.#isBodyFull && buffered <= maxBufferedBytes) {
      this.#isBodyFull = false;
      this.#transport.onBodyRoom();
    }
  }

  /** The response is over, in whatever way; the rest of the body is of no interest. */
  #onOver(): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    this.#input?.discard();
    this.#data?.discard();
    this.#transport.onResponseOver(this);
    this.#host.onResponseOver();
  }
}

/** @throws {PeerError} what makes the request a bad one. */
function buildEnviron(builder: EnvironBuilder, open: OpenRequest): Environ {
  const { pairs } = open;

  if (pairs.length === 0) {
    throw new PeerError('ERR_REQUEST_EMPTY', 'the request has no parameters at all');
  }
  for (let index = 0; index < pairs.length; index += 2) {
    builder.add(pairs[index] ?? '', pairs[index + 1] ?? '');
  }

  const environ = builder.finish();
  const role = ROLE_NAMES[open.role];

  if (role !== undefined) {
    setRole(environ, role);
  }
  return environ;
}

/** As far as the parameters came. */
function methodOf(pairs: readonly string[]): string | undefined {
  for (let index = 0; index < pairs.length; index += 2) {
    if (pairs[index] === 'REQUEST_METHOD') {
      return pairs[index + 1];
    }
  }
  return undefined;
}

function asPeerError(error: unknown): PeerError {
  if (error instanceof PeerError) {
    return error;
  }
  throw error;
}
