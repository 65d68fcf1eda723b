/** A FastCGI daemon in one process: listens, says so, stops on signals. */
import type { Application } from '../../src/gateway/types';
import { createServer, type FastCgiServer } from './fastcgi-server';
import type { FastCgiOptions } from './options';

export interface FastCgiServeOptions extends FastCgiOptions {
  /** A path, `host:port` or `fd:N`; several of them in a list. */
  readonly socket: string | readonly string[];
  /** Milliseconds that a graceful stop waits for requests. Default 30,000. */
  readonly gracefulTimeoutMs?: number | undefined;
}

/**
 * Serves until a signal: TERM stops gracefully, INT and QUIT at once (as gunicorn). "Ready" is one line on the error
 * log that names the sockets.
 *
 * @throws {GatewayError} `ERR_USAGE`, `ERR_LISTEN`, `ERR_SOCKET_IN_USE`, `ERR_SOCKET_PATH`
 */
export async function serve(application: Application, options: FastCgiServeOptions): Promise<FastCgiServer> {
  const server = createServer(application, options);

  try {
    for (const socket of typeof options.socket === 'string' ? [options.socket] : options.socket) {
      await server.listen(socket);
    }
  } catch (error) {
    await server.close({ graceMs: 0 });
    throw error;
  }
  stopOnSignals(server, options.gracefulTimeoutMs);
  server.errorLog(`postern: ready on ${server.addresses.join(', ')} (pid ${String(process.pid)})\n`);
  return server;
}

function stopOnSignals(server: FastCgiServer, gracefulTimeoutMs = 30_000): void {
  let isStopping = false;
  const stop = (graceMs: number): void => {
    if (isStopping && graceMs > 0) {
      return;
    }
    if (graceMs === 0) {
      server.destroy();
    }
    isStopping = true;
    // Timers and sockets of the application do not keep a daemon alive that was told to stop.
    void server.close({ graceMs }).then(() => process.exit(0));
  };

  process.on('SIGTERM', () => {
    stop(gracefulTimeoutMs);
  });
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    process.on(signal, () => {
      stop(0);
    });
  }
}
