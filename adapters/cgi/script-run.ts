/** One run of a CGI script: a process, its request and its response. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { pipeline, Readable } from 'node:stream';
import { GatewayError, PeerError } from '../../src/errors';
import { CgiResponseParser, type CgiResponse } from '../../src/gateway/cgi-response';
import type { Chunk, Environ, StartResponse } from '../../src/gateway/types';
import type { CgiApplicationOptions } from './cgi-application';
import { exportScript, scriptEnvironment } from './script-environment';

const DEFAULT_MAX_UNKNOWN_BODY_BYTES = 1024 * 1024;
const DEFAULT_KILL_TIMEOUT_MS = 3000;

export async function runScript(
  options: CgiApplicationOptions,
  environ: Environ,
  startResponse: StartResponse,
): Promise<ScriptBody> {
  const input = await knownInput(environ, options.maxUnknownBodyBytes ?? DEFAULT_MAX_UNKNOWN_BODY_BYTES);
  const script = await ScriptProcess.start(options, environ, input);

  try {
    const response = await script.readHead();

    startResponse(response.status, response.headers);
    return new ScriptBody(script, response.rest);
  } catch (error) {
    void script.close();
    throw error;
  }
}

interface KnownInput {
  readonly length: number;
  readonly stream: Readable | undefined;
}

/** RFC 3875 §4.2: a script reads as many bytes as CONTENT_LENGTH says, so there must be such a number. */
async function knownInput(environ: Environ, maxBytes: number): Promise<KnownInput> {
  const length = environ.CONTENT_LENGTH;

  if (length === '0') {
    return { length: 0, stream: undefined };
  }
  if (length !== undefined) {
    return { length: Number(length), stream: environ['wsgi.input'] };
  }

  const chunks: Buffer[] = [];
  let bytes = 0;

  // A stream of bytes gives Buffers.
  for await (const chunk of environ['wsgi.input'] as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new PeerError(
        'ERR_BODY_TOO_LARGE',
        `a request body of unknown length is larger than ${String(maxBytes)} bytes`,
      );
    }
    chunks.push(chunk);
  }

  return { length: bytes, stream: bytes === 0 ? undefined : Readable.from(chunks) };
}

/** How a process ended: one of the two is not null. */
interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

class ScriptProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #signal: AbortSignal;
  readonly #killTimeoutMs: number;
  readonly #parser: CgiResponseParser;
  readonly #exit: Promise<Exit>;
  #killTimer: NodeJS.Timeout | undefined;
  readonly output: AsyncIterator<Buffer>;

  /** @throws {GatewayError} `ERR_BACKEND` when there is no such program. */
  static async start(
    options: CgiApplicationOptions,
    environ: Environ,
    input: KnownInput,
  ): Promise<ScriptProcess> {
    const child = spawnScript(options, environ, input.length);

    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.on('error', (cause) =>
        reject(new GatewayError('ERR_BACKEND', `cannot run ${options.command}: ${cause.message}`, { cause })),
      );
    });
    return new ScriptProcess(child, options, environ, input.stream);
  }

  private constructor(
    child: ChildProcessWithoutNullStreams,
    options: CgiApplicationOptions,
    environ: Environ,
    input: Readable | undefined,
  ) {
    this.#child = child;
    this.#signal = environ['postern.signal'];
    this.#killTimeoutMs = options.killTimeoutMs ?? DEFAULT_KILL_TIMEOUT_MS;
    this.#parser = new CgiResponseParser({ maxHeadBytes: options.maxHeadBytes });
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#onExit();
        resolve({ code, signal });
      });
    });
    // A stream of bytes gives Buffers.
    this.output = child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    child.stderr.pipe(environ['wsgi.errors'], { end: false });
    sendInput(child, input);
    if (this.#signal.aborted) {
      this.#terminate();
    } else {
      this.#signal.addEventListener('abort', this.#terminate, { once: true });
    }
  }

  /** @throws {GatewayError} `ERR_BACKEND` */
  async readHead(): Promise<CgiResponse> {
    for (;;) {
      const step = await this.output.next();

      if (step.done === true) {
        throw new GatewayError(
          'ERR_BACKEND',
          `${describeExit(await this.#exit)} before its response head was complete`,
        );
      }

      const response = this.#parser.push(step.value);

      if (response !== undefined) {
        return response;
      }
    }
  }

  /** @throws {GatewayError} `ERR_BACKEND` */
  async assertSuccess(): Promise<void> {
    const exit = await this.#exit;

    if (exit.code !== 0) {
      throw new GatewayError('ERR_BACKEND', `${describeExit(exit)} within its response`);
    }
  }

  /**
   * Nobody reads on. A script that writes more gets EPIPE, as from any web server; it is killed only if the client
   * has left. Resolves when it has ended.
   */
  async close(): Promise<void> {
    this.#child.stdout.destroy();
    await this.#exit;
  }

  readonly #terminate = (): void => {
    // A child of the script may hold the other end for long.
    this.#child.stdout.destroy();
    this.#child.kill('SIGTERM');
    this.#killTimer = setTimeout(() => this.#child.kill('SIGKILL'), this.#killTimeoutMs);
  };

  #onExit(): void {
    clearTimeout(this.#killTimer);
    this.#signal.removeEventListener('abort', this.#terminate);
  }
}

/** The rest of a script's output. */
class ScriptBody implements AsyncIterable<Chunk> {
  readonly #script: ScriptProcess;
  readonly #first: Buffer;

  constructor(script: ScriptProcess, first: Buffer) {
    this.#script = script;
    this.#first = first;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk, void> {
    yield this.#first;
    for (;;) {
      const step = await this.#script.output.next();

      if (step.done === true) {
        await this.#script.assertSuccess();
        return;
      }
      yield step.value;
    }
  }

  close(): Promise<void> {
    return this.#script.close();
  }
}

function spawnScript(
  options: CgiApplicationOptions,
  environ: Environ,
  contentLength: number,
): ChildProcessWithoutNullStreams {
  const { command, args = [], cwd } = options;
  const { variables, rawVariables } = scriptEnvironment(environ, { contentLength, host: options.env });

  if (rawVariables.length === 0) {
    return spawn(command, args, { cwd, env: variables });
  }
  return spawn('/bin/sh', ['-c', exportScript(rawVariables), command, ...args], { cwd, env: variables });
}

function sendInput(child: ChildProcessWithoutNullStreams, input: Readable | undefined): void {
  if (input === undefined) {
    child.stdin.on('error', ignore).end();
    return;
  }
  // A script may end, or answer, without having read all of it; and a client that leaves is the signal's business.
  pipeline(input, child.stdin, ignore);
}

function describeExit({ code, signal }: Exit): string {
  return `the CGI script ended with ${signal === null ? `exit status ${String(code)}` : signal}`;
}

function ignore(): void {
  // Nothing to do.
}
