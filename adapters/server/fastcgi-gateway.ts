/** A FastCGI daemon that begins when the script listens. */
import { writeSync } from 'node:fs';
import type { Application } from '../../src/gateway/types';
import { isNotListening } from '../daemon/index';
import { createServer, type FastCgiServer } from '../fastcgi/index';
import { exitWithUsage, type ServerGateway, type ServerOptions } from './gateway';

const EXIT_FAILED = 1;

export class FastCgiGateway implements ServerGateway {
  readonly protocol = 'fastcgi';
  readonly #options: ServerOptions;
  readonly #sockets: readonly string[];
  #server: FastCgiServer | undefined;
  #listening: Promise<void> | undefined;
  #isStopping = false;

  constructor(options: ServerOptions, sockets: readonly string[]) {
    this.#options = options;
    this.#sockets = sockets;
  }

  async open(application: Application): Promise<void> {
    try {
      const server = createServer(application, this.#options);

      this.#server = server;
      this.#listening = this.#listen(server);
      await this.#listening;
      server.errorLog(`postern: ready on ${server.addresses.join(', ')} (pid ${String(process.pid)})\n`);
    } catch (error) {
      // The script knows ports, not sockets: what it does about EADDRINUSE would not help.
      this.fail(error);
    }
    process
      .on('SIGTERM', this.#onTerminated)
      .on('SIGINT', this.#onInterrupted)
      .on('SIGQUIT', this.#onInterrupted);
  }

  async close(): Promise<void> {
    await this.#listening;
    await this.#server?.close({ graceMs: this.#options.gracefulTimeoutMs ?? 30_000 });
    // Nest ends with sending the signal to itself once more.
    process
      .off('SIGTERM', this.#onTerminated)
      .off('SIGINT', this.#onInterrupted)
      .off('SIGQUIT', this.#onInterrupted);
  }

  fail(error: unknown): void {
    if (this.#sockets[0] === 'fd:0' && isNotListening(error)) {
      exitWithUsage();
    }
    writeSync(2, `postern: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(EXIT_FAILED);
  }

  async #listen(server: FastCgiServer): Promise<void> {
    for (const socket of this.#sockets) {
      await server.listen(socket);
    }
  }

  readonly #onTerminated = (): void => {
    // A script that listens to the signal closes its server itself, and knows what else there is to do.
    if (this.#isStopping || process.listenerCount('SIGTERM') > 1) {
      return;
    }
    this.#isStopping = true;
    void this.#server
      ?.close({ graceMs: this.#options.gracefulTimeoutMs ?? 30_000 })
      // Timers and sockets of the script do not keep a daemon alive that was told to stop.
      .then(() => process.exit(0));
  };

  readonly #onInterrupted = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) {
      return;
    }
    this.#server?.destroy();
    void this.#server?.close({ graceMs: 0 }).then(() => process.exit(0));
  };
}
