import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a server may take from its start to its first accepted connection. */
const READY_TIMEOUT_MS = 15_000;
const READY_POLL_MS = 20;

export interface ServerCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Standard output and error of the server are appended here. */
  readonly outputFile: string;
}

/** A web server in the foreground, in a process group of its own, watched by `guard.sh`. */
export class ServerProcess {
  readonly #server: ChildProcess;
  readonly #guard: ChildProcess;
  readonly #guardEnded: Promise<unknown>;

  constructor(command: ServerCommand) {
    const output = openSync(command.outputFile, 'a');
    this.#server = spawn(command.file, command.args, {
      cwd: command.cwd,
      detached: true,
      env: command.env,
      stdio: ['ignore', output, output],
    });
    closeSync(output);

    if (this.#server.pid === undefined) {
      throw new Error(`cannot start ${command.file}`);
    }

    // Detached as well: a Ctrl-C at the terminal must end the tests, not the one who cleans up after them.
    this.#guard = spawn('/bin/sh', [join(__dirname, 'guard.sh'), String(this.#server.pid)], {
      detached: true,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    this.#guardEnded = once(this.#guard, 'exit');
    // At once, because the number of an empty process group may be given to somebody else.
    this.#server.once('exit', () => this.#guard.stdin?.end());
  }

  get ended(): boolean {
    return this.#server.exitCode !== null || this.#server.signalCode !== null;
  }

  /** Resolves to whether all ports accept connections; false once the server ended or the time is over. */
  async accepts(ports: readonly number[]): Promise<boolean> {
    const deadline = Date.now() + READY_TIMEOUT_MS;

    for (const port of ports) {
      while (!(await acceptsConnection(port))) {
        if (this.ended || Date.now() > deadline) {
          return false;
        }
        await sleep(READY_POLL_MS);
      }
    }

    return !this.ended;
  }

  /** Resolves when the server and all it started are gone. */
  async stop(): Promise<void> {
    this.#guard.stdin?.end();
    await this.#guardEnded;
  }
}

async function acceptsConnection(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });

  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
