/** Unmodified scripts under `postern server`, each in a process and a folder of its own. */
import { spawn, type ChildProcessByStdio, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { RawClient } from '../../../support/raw-client';
import type { DecodedResponse, Pair } from '../../../support/records';
import { withTemporaryFolder } from '../../../support/temporary-folder';

const ROOT = join(__dirname, '../../../..');

export const MAIN = join(ROOT, 'dist/postern.js');
export const REGISTER = join(ROOT, 'dist/adapters/cli/register.js');

/** The variables of a CGI request. */
export const CGI_REQUEST = {
  GATEWAY_INTERFACE: 'CGI/1.1',
  REQUEST_METHOD: 'GET',
  SCRIPT_NAME: '',
  PATH_INFO: '/path',
  REQUEST_URI: '/path',
  QUERY_STRING: '',
  SERVER_NAME: 'a.test',
  SERVER_PORT: '80',
  SERVER_PROTOCOL: 'HTTP/1.1',
};

export interface Start {
  readonly script: string;
  /** Default `app.cjs`. */
  readonly name?: string;
  /** Words for node before and after the script; default: `postern server`, on a socket in the folder. */
  readonly args?: (path: string, folder: string) => readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdio?: StdioOptions;
}

export interface Ending {
  /** The exit status, or the name of the signal. */
  readonly exit: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export class ScriptProcess {
  readonly folder: string;
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcessByStdio<Writable | null, Readable | null, Readable | null>;
  readonly #clients: RawClient[] = [];
  #stdout = '';
  #stderr = '';
  #hasEnded = false;
  #onOutput: () => void = () => undefined;

  constructor(folder: string, start: Start) {
    const { name = 'app.cjs', environment = {}, stdio = ['ignore', 'pipe', 'pipe'] } = start;
    const { args = daemonArguments } = start;
    const path = join(folder, name);

    this.folder = folder;
    writeFileSync(path, start.script);
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));

    const child = spawn(process.execPath, args(path, folder), {
      cwd: folder,
      stdio,
      env: { PATH: process.env['PATH'], ...environment },
    });

    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#stdout += chunk.toString('latin1');
      this.#onOutput();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString('latin1');
      this.#onOutput();
    });
    this.ended = once(child, 'close').then((result) => {
      // 'close' tells both, one of them null.
      const [code, signal] = result as [number | null, string];

      this.#hasEnded = true;
      this.#onOutput();
      return { exit: code ?? signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  /** Waits until something has been printed. @throws when the process ends without. */
  async printed(what: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = what.exec(this.#stdout) ?? what.exec(this.#stderr);

      if (found !== null) {
        return found;
      }
      if (this.#hasEnded) {
        throw new Error(`ended without ${String(what)}:\n${this.#stdout}${this.#stderr}`);
      }
      await new Promise<void>((resolve) => {
        this.#onOutput = resolve;
      });
    }
  }

  /** A connection to the socket in the folder, or to a port; waits for "ready". */
  async connect(target: string | number = join(this.folder, 's')): Promise<RawClient> {
    await this.printed(/^postern: ready on/m);

    const client = await RawClient.connect(target);

    this.#clients.push(client);
    return client;
  }

  /** One request; the response as text. */
  async request(variables: Readonly<Record<string, string>> = {}, body = ''): Promise<string> {
    return textOf(await (await this.connect()).request(pairsOf(variables, body), body));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Whatever is left of it. */
  async destroy(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.destroy()));
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

export function pairsOf(variables: Readonly<Record<string, string>> = {}, body = ''): Pair[] {
  return Object.entries({
    ...CGI_REQUEST,
    ...(body === '' ? {} : { CONTENT_LENGTH: String(body.length) }),
    ...variables,
  });
}

export function textOf(response: DecodedResponse): string {
  return response.stdout.toString('latin1');
}

function daemonArguments(path: string, folder: string): string[] {
  return [MAIN, 'server', path, '--socket', join(folder, 's')];
}

/** Starts a script and ends it, whatever happens. */
export async function withScript<T>(start: Start, use: (script: ScriptProcess) => Promise<T>): Promise<T> {
  return withTemporaryFolder(async (folder) => {
    const script = new ScriptProcess(folder, start);

    try {
      return await use(script);
    } finally {
      await script.destroy();
    }
  });
}

/** Starts a script and waits for its end. */
export function endOf(start: Start): Promise<Ending> {
  return withScript(start, (script) => script.ended);
}

/** One CGI request. */
export function cgi(start: Start): Promise<Ending> {
  return endOf({
    args: (path) => [MAIN, 'server', path],
    ...start,
    environment: { ...CGI_REQUEST, ...start.environment },
  });
}
