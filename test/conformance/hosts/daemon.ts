/** `postern fastcgi` in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Installation } from './installation';

const READY_TIMEOUT_MS = 10_000;

/** Ends the daemon when the test process has died, in whatever way. */
const GUARD = join(__dirname, '..', '..', 'e2e', 'servers', 'guard.sh');

export class Daemon {
  readonly socketPath: string;
  readonly #process: ChildProcess;
  #log = '';

  private constructor(socketPath: string, process: ChildProcess) {
    this.socketPath = socketPath;
    this.#process = process;
    process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
  }

  /** @throws {Error} with the daemon's own words when it does not come up. */
  static async start(installation: Installation, name: string, mount?: string): Promise<Daemon> {
    const socketPath = join(installation.folder, `${name}.sock`);
    const mountOption = mount === undefined ? [] : ['--mount', mount];
    const child = spawn(
      process.execPath,
      [
        installation.commandFile,
        'fastcgi',
        installation.applicationFile,
        '--socket',
        socketPath,
        ...mountOption,
      ],
      { detached: true, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const daemon = new Daemon(socketPath, child);

    guard(child);
    await daemon.#ready();
    return daemon;
  }

  /** All that it has logged so far. */
  get log(): string {
    return this.#log;
  }

  /** @throws {Error} when it has died before, or does not end in good order. */
  async stop(): Promise<void> {
    if (this.#hasEnded) {
      throw new Error(`the daemon has died; its log:\n${this.#log}`);
    }
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    const [code] = (await ended) as [number | null];
    if (code !== 0) {
      throw new Error(`the daemon ended with status ${String(code)}; its log:\n${this.#log}`);
    }
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  async #ready(): Promise<void> {
    const signal = AbortSignal.timeout(READY_TIMEOUT_MS);

    while (!this.#log.includes('ready on')) {
      if (this.#hasEnded || this.#process.stderr === null) {
        throw new Error(`the daemon has not come up; its log:\n${this.#log}`);
      }
      await Promise.race([
        once(this.#process.stderr, 'data', { signal }),
        once(this.#process, 'exit', { signal }),
      ]);
    }
  }
}

function guard(child: ChildProcess): void {
  const watcher = spawn('/bin/sh', [GUARD, String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });

  child.once('exit', () => watcher.stdin.end());
}
