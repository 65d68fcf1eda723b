/** One Request and its Response around a gateway application. */
import type { Readable, Writable } from 'node:stream';
import { ApplicationError, PeerError } from '../../src/errors';
import { contentLengthOf, EnvironBuilder, type RequestObjects } from '../../src/gateway/environ';
import { percentDecode } from '../../src/gateway/grammar';
import { hasNoBody, type ResponseHead } from '../../src/gateway/response';
import { ApplicationRun, type ResponseWriter, type RunObserver } from '../../src/gateway/run-application';
import type { Application, Chunk, Environ } from '../../src/gateway/types';
import { createErrorStream, formatError, type ErrorLog } from '../exchange/error-log';
import { fileWrapper } from '../exchange/file-wrapper';
import { errorLogOf, normalizeMount, type GatewayOptions } from '../exchange/gateway-options';
import { RequestBody } from '../exchange/request-body';

/** Bytes of a body that wait for the application to read them, and of a response that wait to be read: one pipe. */
const HIGH_WATER_MARK = 65536;

/** Letters, digits and hyphens, as nginx: anything else would be the alias of another name. */
const PASSED_HEADER = /^[a-z0-9-]+$/;

export interface ResponsePromise {
  resolve(response: Response): void;
  reject(error: Error): void;
}

export class FetchExchange implements RequestObjects, RunObserver, ResponseWriter {
  readonly #request: Request;
  readonly #promise: ResponsePromise;
  readonly #errorLog: ErrorLog;
  readonly #options: GatewayOptions;
  readonly #run: ApplicationRun;
  #input: RequestBody | undefined;
  #inputReader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #isReading = false;
  #errors: Writable | undefined;
  /** Of the response's body, if it has one. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #contentLength: number | undefined;

  constructor(request: Request, options: GatewayOptions, promise: ResponsePromise) {
    this.#request = request;
    this.#promise = promise;
    this.#options = options;
    this.#errorLog = errorLogOf(options);
    this.#run = new ApplicationRun(this, this, { development: options.development ?? false });
  }

  start(application: Application, variables: Readonly<Record<string, unknown>>): void {
    const builder = new EnvironBuilder(this, {
      protocol: 'http',
      mount: normalizeMount(this.#options.mount),
      multiprocess: false,
      runOnce: false,
      fileWrapper,
    });

    this.#request.signal.addEventListener('abort', this.#onAbort);
    try {
      for (const [name, value] of requestVariables(this.#request, variables)) {
        builder.add(name, value);
      }
      this.#contentLength = contentLengthOf(builder.finish());
    } catch (error) {
      this.#run.refuse(asPeerError(error), this.#request.method, builder.environ);
      return;
    }
    this.#run.start(application, builder.environ);
    if (this.#request.signal.aborted) {
      this.#onAbort();
    }
  }

  // RequestObjects

  get input(): Readable {
    return (this.#input ??= this.#openInput()).stream;
  }

  get errors(): Writable {
    return (this.#errors ??= createErrorStream((bytes) => this.#errorLog(bytes.toString())));
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  afterResponse(task: () => unknown): void {
    this.#run.afterResponse(task);
  }

  // RunObserver

  onError(error: unknown, environ: Environ | undefined): void {
    this.#errorLog(formatError(error, environ));
  }

  onSettled(): void {
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    this.#input?.discard();
    void this.#inputReader?.cancel().catch(() => undefined);
  }

  // ResponseWriter

  writeHead(head: ResponseHead): void {
    const status = Number(head.status.slice(0, 3));

    if (status > 599) {
      const error = new ApplicationError('ERR_STATUS', 'a Response has a status from 200 to 599');

      this.#promise.reject(error);
      throw error;
    }

    const isBodyless = hasNoBody(this.#request.method, head.status) || status === 205;

    this.#promise.resolve(
      new Response(isBodyless ? null : this.#openBody(), {
        status,
        statusText: head.status.slice(4),
        headers: headersOf(head),
      }),
    );
  }

  write(chunk: Chunk): boolean {
    const controller = this.#controller;

    if (controller === undefined) {
      return true;
    }
    controller.enqueue(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    return (controller.desiredSize ?? 0) > 0;
  }

  end(): void {
    this.#controller?.close();
  }

  truncate(): void {
    this.#controller?.error(
      new ApplicationError('ERR_BODY_LENGTH', 'the response will never be complete; the log says why'),
    );
  }

  #openBody(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#run.resume(),
        cancel: () => {
          this.#controller = undefined;
          this.#onAbort();
        },
      },
      { highWaterMark: HIGH_WATER_MARK, size: (chunk) => chunk.length },
    );
  }

  readonly #onAbort = (): void => {
    const gone = new PeerError('ERR_PEER_GONE', 'nobody wants the response any more');

    this.#input?.fail(gone);
    this.#run.abort(gone);
    this.#controller?.error(gone);
    this.#promise.reject(gone);
  };

  #openInput(): RequestBody {
    const { body } = this.#request;
    const input = new RequestBody({
      contentLength: body === null ? 0 : this.#contentLength,
      maxBodyBytes: this.#options.maxBodyBytes ?? Infinity,
      onRoom: () => void this.#read(input),
    });

    if (body !== null) {
      this.#inputReader = body.getReader();
      void this.#read(input);
    }
    return input;
  }

  /** Takes from the Request what the application has room for. */
  async #read(input: RequestBody): Promise<void> {
    const reader = this.#inputReader;

    if (reader === undefined || this.#isReading) {
      return;
    }
    this.#isReading = true;
    try {
      while (!input.isOver && input.bufferedBytes < HIGH_WATER_MARK) {
        const { done, value } = await reader.read();

        if (done) {
          input.end();
          return;
        }
        input.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      }
    } catch (error) {
      input.fail(
        new PeerError('ERR_BODY_TRUNCATED', 'the request body could not be read to its end', {
          cause: error,
        }),
      );
    } finally {
      this.#isReading = false;
    }
  }
}

function headersOf({ fieldLines }: ResponseHead): Headers {
  const headers = new Headers();

  for (const line of fieldLines.split('\r\n')) {
    const colon = line.indexOf(':');

    if (colon !== -1) {
      headers.append(line.slice(0, colon), line.slice(colon + 1));
    }
  }
  return headers;
}

function requestVariables(
  request: Request,
  given: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, string> {
  const { protocol, hostname, port, host, pathname, search } = new URL(request.url);
  const isHttps = protocol === 'https:';
  const variables = new Map([
    ['GATEWAY_INTERFACE', 'CGI/1.1'],
    ['SERVER_PROTOCOL', 'HTTP/1.1'],
    ['SERVER_NAME', hostname],
    ['SERVER_PORT', port === '' ? (isHttps ? '443' : '80') : port],
    ['REQUEST_METHOD', request.method],
    ['REQUEST_SCHEME', isHttps ? 'https' : 'http'],
    ['REQUEST_URI', pathname + search],
    ['SCRIPT_NAME', ''],
    ['PATH_INFO', percentDecode(pathname)],
    ['QUERY_STRING', search.slice(1)],
    ['HTTP_HOST', host],
  ]);

  if (isHttps) {
    variables.set('HTTPS', 'on');
  }
  for (const [name, value] of request.headers) {
    if (PASSED_HEADER.test(name)) {
      variables.set(variableOf(name), value);
    }
  }
  if (request.body !== null && !variables.has('CONTENT_LENGTH')) {
    variables.set('HTTP_TRANSFER_ENCODING', 'chunked');
  }
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string') {
      variables.set(name, value);
    }
  }
  return variables;
}

function variableOf(header: string): string {
  const name = header.toUpperCase().replaceAll('-', '_');

  return name === 'CONTENT_TYPE' || name === 'CONTENT_LENGTH' ? name : `HTTP_${name}`;
}

/** Building an environ throws nothing else; a mistake in it is answered all the same. */
function asPeerError(error: unknown): PeerError {
  return error instanceof PeerError
    ? error
    : new PeerError('ERR_PARAMS_MALFORMED', 'the request could not be read', { cause: error });
}
