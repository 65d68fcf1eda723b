/**
 * One request from the environment and standard input (RFC 3875), and the end of the process that was started for it.
 *
 * | the response | exit status |
 * |---|---|
 * | is complete, also if it is the gateway's 500 or 413 | 0 |
 * | is truncated; or the process failed outside of the application (an uncaught exception, an early `process.exit()`) | 1 |
 * | found nobody to read it | 141, as a shell shows SIGPIPE |
 * | was given up at the web server's SIGTERM | 143 |
 */
import type { Readable, Writable } from 'node:stream';
import { ApplicationError, PeerError } from '../../src/errors';
import { contentLengthOf, EnvironBuilder, type RequestObjects } from '../../src/gateway/environ';
import { mustCloseClient } from '../../src/gateway/quirks';
import { encodeCgiHead, encodeNphHead } from '../../src/gateway/response-head';
import { hasNoBody } from '../../src/gateway/response';
import { ApplicationRun, type RunObserver } from '../../src/gateway/run-application';
import type { Application, Environ } from '../../src/gateway/types';
import type { GatewayOptions } from '../exchange/gateway-options';
import { readEnvironment } from './process-environment';
import type { RequestInput } from './request-input';
import { ResponseOutput, type HeadEncoder, type OutputObserver } from './response-output';
import { takeStdout, type ResponseDescriptor } from './stdout-guard';

/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */
/** What most requests never need is loaded by those that do: each module costs every request about 1 % of its start. */
const modules = {
  errorLog: () => require('../exchange/error-log') as typeof import('../exchange/error-log'),
  fileWrapper: () => require('../exchange/file-wrapper') as typeof import('../exchange/file-wrapper'),
  gatewayOptions: () =>
    require('../exchange/gateway-options') as typeof import('../exchange/gateway-options'),
  requestInput: () => require('./request-input') as typeof import('./request-input'),
};
/* eslint-enable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */

export type CgiOptions = GatewayOptions;

const ExitStatus = { OK: 0, FAILED: 1, PEER_GONE: 128 + 13, TERMINATED: 128 + 15 } as const;
type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

/**
 * What an application has for its cleaning up after a failure or when nobody waits for it any more; Apache follows
 * its SIGTERM with SIGKILL after three seconds.
 */
const CLEAN_UP_MS = 1000;

/** What a writer learns when its reader has gone. */
const PEER_GONE_CODES: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ECONNRESET', 'ECONNABORTED']);

/**
 * Answers the request this process was started for and then ends the process, whatever timers and sockets the
 * application has left open.
 *
 * From here on standard output is the response: `console.log`, `process.stdout` and the output of children go to
 * standard error.
 */
export function serve(application: Application, options: CgiOptions = {}): void {
  new CgiRequest(options).start(application);
}

class CgiRequest implements RunObserver, OutputObserver, RequestObjects {
  readonly #options: GatewayOptions;
  readonly #descriptor: ResponseDescriptor;
  readonly #output: ResponseOutput;
  readonly #run: ApplicationRun;
  /** As `RequestInputOptions.contentLength`; 0 as long as the environ is not built. */
  #contentLength: number | undefined = 0;
  #input: RequestInput | undefined;
  #errors: Writable | undefined;
  #exitStatus: ExitStatus = ExitStatus.OK;
  #hasTasks = false;
  #isOutputOver = false;
  #isOutputClosed = false;
  /** All read, or nobody wants it. */
  #isInputOver = true;
  #isSettled = false;
  #wasTerminated = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#descriptor = takeStdout();
    this.#output = new ResponseOutput(this.#descriptor, headEncoder(process.env), this);
    this.#run = new ApplicationRun(this.#output, this, { development: options.development ?? false });
  }

  start(application: Application): void {
    // httpoxy, CVE-2016-5385: HTTP clients take it for the administrator's proxy.
    delete process.env['HTTP_PROXY'];
    process.on('SIGTERM', this.#onTerminated);
    process.on('uncaughtException', this.#onUncaught);
    process.on('beforeExit', this.#onIdle);
    process.on('exit', this.#onExit);

    const builder = new EnvironBuilder(this, {
      protocol: 'cgi',
      mount: this.#mount(),
      // The web server runs as many of these processes as it has requests.
      multiprocess: true,
      runOnce: true,
      fileWrapper: (source, blockSize) => modules.fileWrapper().fileWrapper(source, blockSize),
    });
    let environ: Environ;

    try {
      for (const [name, value] of readEnvironment()) {
        builder.add(name, value);
      }
      environ = builder.finish();
      this.#contentLength = bodyLength(environ, builder.transferEncoding);
      this.#isInputOver = this.#contentLength === 0;
      this.#checkLength();
    } catch (error) {
      if (error instanceof PeerError) {
        this.#run.refuse(error, process.env['REQUEST_METHOD'], builder.environ);
        return;
      }
      throw error;
    }
    this.#run.start(application, environ);
  }

  #mount(): string | undefined {
    const { mount } = this.#options;

    return mount === undefined ? undefined : modules.gatewayOptions().normalizeMount(mount);
  }

  /** @throws {PeerError} `ERR_BODY_TOO_LARGE` */
  #checkLength(): void {
    const { maxBodyBytes = Infinity } = this.#options;

    if (this.#contentLength !== undefined && this.#contentLength > maxBodyBytes) {
      throw new PeerError(
        'ERR_BODY_TOO_LARGE',
        `the request body is larger than ${String(maxBodyBytes)} bytes`,
      );
    }
  }

  // RequestObjects

  get input(): Readable {
    return this.#openInput().stream;
  }

  get errors(): Writable {
    const { errorLog } = this.#options;
    const { createErrorStream, writeToStderr } = modules.errorLog();

    return (this.#errors ??= createErrorStream(
      errorLog === undefined ? writeToStderr : (bytes) => errorLog(bytes.toString('utf8')),
    ));
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  afterResponse(task: () => unknown): void {
    this.#hasTasks = true;
    this.#run.afterResponse(task);
  }

  // RunObserver

  onError(error: unknown, environ: Environ | undefined): void {
    const { formatError, logToStderr } = modules.errorLog();

    (this.#options.errorLog ?? logToStderr)(formatError(error, environ));
  }

  onSettled(): void {
    this.#isSettled = true;
    setImmediate(this.#proceed);
  }

  // OutputObserver

  onBlocked(): void {
    if (!this.#isInputOver) {
      this.#openInput().readAhead();
    }
  }

  onDrained(): void {
    this.#run.resume();
  }

  onTruncated(): void {
    this.#exitStatus = ExitStatus.FAILED;
  }

  onFailed(error: NodeJS.ErrnoException): void {
    if (!PEER_GONE_CODES.has(error.code)) {
      this.onError(error, undefined);
    }
    this.#abandon(ExitStatus.PEER_GONE);
  }

  onFinished(): void {
    this.#isOutputOver = true;
    if (this.#hasTasks) {
      this.#closeOutput();
    }
    setImmediate(this.#proceed);
  }

  // The end

  /** Goes on with ending the process as far as it can; the script that called `serve` has come to its end by now. */
  readonly #proceed = (): void => {
    const isOver = this.#isOutputOver && this.#isSettled && this.#isInputOver;

    if (isOver) {
      process.exit(this.#exitStatus === ExitStatus.OK ? process.exitCode : this.#exitStatus);
    }
    if (this.#isOutputOver) {
      this.#closeOutput();
    }
    if (this.#isSettled && !this.#isInputOver) {
      this.#openInput().drain(this.#onInputOver);
    }
  };

  readonly #onInputOver = (): void => {
    this.#isInputOver = true;
    setImmediate(this.#proceed);
  };

  /** mod_cgi waits for the end of standard error as well, but that stays: what goes wrong from here on belongs there. */
  #closeOutput(): void {
    if (!this.#isOutputClosed) {
      this.#isOutputClosed = true;
      this.#descriptor.close();
    }
  }

  /** Nobody waits for the response any more. */
  #abandon(exitStatus: ExitStatus): void {
    const reason = new PeerError('ERR_PEER_GONE', 'the web server no longer wants the response');

    this.#exitStatus = exitStatus;
    this.#output.discard();
    this.#isOutputOver = true;
    this.#isInputOver = true;
    this.#run.abort(reason);
    this.#input?.abort(reason);
    this.#limitCleanUp();
  }

  #limitCleanUp(): void {
    setTimeout(() => this.onSettled(), CLEAN_UP_MS).unref();
    setImmediate(this.#proceed);
  }

  readonly #onTerminated = (): void => {
    if (this.#wasTerminated) {
      process.exit(ExitStatus.TERMINATED);
    }
    this.#wasTerminated = true;
    if (this.#isOutputOver) {
      // mod_cgi and lighttpd 1.4.69 say so as soon as the output is closed; postern.after_response may go on.
      this.#onInputOver();
    } else {
      this.#abandon(ExitStatus.TERMINATED);
    }
  };

  readonly #onUncaught = (error: unknown): void => {
    if (process.listenerCount('uncaughtException') > 1) {
      // The application has its own idea of what happens now.
      return;
    }
    this.#fail(error);
    this.#limitCleanUp();
  };

  /** Nothing is left that could call back: what has not ended will not. */
  readonly #onIdle = (): void => {
    if (this.#run.ended) {
      this.onSettled();
    } else {
      this.#fail(
        new ApplicationError('ERR_NO_RESPONSE', 'the response has not ended, and nothing is left to do'),
      );
    }
  };

  readonly #onExit = (code: number): void => {
    // Writing may take long now, and no handler would be called.
    process.removeListener('SIGTERM', this.#onTerminated);
    if (!this.#run.ended) {
      this.#fail(
        new ApplicationError('ERR_NO_RESPONSE', 'process.exit() was called before the response had ended'),
      );
    }
    this.#output.flush();
    process.exitCode = code === 0 ? this.#exitStatus : code;
  };

  #fail(error: unknown): void {
    if (this.#exitStatus === ExitStatus.OK) {
      this.#exitStatus = ExitStatus.FAILED;
    }
    this.#run.fail(error);
  }

  #openInput(): RequestInput {
    if (this.#input === undefined) {
      const { RequestInput } = modules.requestInput();

      this.#input = new RequestInput({
        contentLength: this.#contentLength,
        maxBodyBytes: this.#options.maxBodyBytes ?? Infinity,
      });
    }
    return this.#input;
  }
}

/** RFC 3875 §5: a script named `nph-…` talks to the client itself. The server goes by the name of the file. */
function headEncoder(variables: NodeJS.ProcessEnv): HeadEncoder {
  const script = variables['SCRIPT_FILENAME'] ?? variables['SCRIPT_NAME'] ?? '';

  if (!/(?:^|[/\\])nph-[^/\\]*$/.test(script)) {
    return (head, isKept) => {
      const owesBody = !isKept && !hasNoBody(variables['REQUEST_METHOD'], head.status);

      return encodeCgiHead(head, owesBody && mustCloseClient(variables));
    };
  }
  return (head) => encodeNphHead(head, variables['SERVER_PROTOCOL'] ?? 'HTTP/1.0');
}

/**
 * Bytes of the body; undefined: until end-of-file.
 *
 * Without CONTENT_LENGTH there is none, but for an upload in chunks: Apache decodes them and closes standard input
 * after the last. With busybox, Python's http.server and mini_httpd the chunk coding itself is there, and no end.
 *
 * @throws {PeerError} `ERR_LENGTH_REQUIRED`
 */
function bodyLength(environ: Environ, transferEncoding: string): number | undefined {
  const length = contentLengthOf(environ);

  if (length !== undefined || !/chunked/i.test(transferEncoding)) {
    return length ?? 0;
  }
  if (String(environ['SERVER_SOFTWARE']).startsWith('Apache')) {
    return undefined;
  }
  throw new PeerError('ERR_LENGTH_REQUIRED', 'the web server does not decode the chunks of this upload');
}
