/** One script for every server: finds out how it was started, and serves accordingly. */
import { writeSync } from 'node:fs';
import type { Application } from '../../src/gateway/types';
import { serve as serveCgi } from '../cgi/index';
import type { GatewayOptions } from '../exchange/gateway-options';

export type RunOptions = GatewayOptions;

/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */
/** A CGI process must not pay for them. */
const modules = {
  daemon: () => require('../daemon/index') as typeof import('../daemon/index'),
  fastCgi: () => require('../fastcgi/index') as typeof import('../fastcgi/index'),
};
/* eslint-enable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */

/** As `getopt`'s users have it: wrong usage, not a failure. */
const EXIT_USAGE = 2;

const USAGE = `postern: nothing to serve. A web server starts this program, in one of these ways:
  as a CGI script           REQUEST_METHOD is in the environment
  as a FastCGI program      standard input is a listening socket, or LISTEN_FDS is set for this process
`;

/**
 * Serves in the way this process was started for: CGI variables in the environment → CGI; else systemd's `LISTEN_FDS`
 * for this process → FastCGI on those; else standard input is a listening socket (mod_fcgid, lighttpd, spawn-fcgi) →
 * FastCGI on it; else a message about usage on standard error, and exit status 2.
 *
 * `process.argv` is not looked at: web servers put words of the query there (RFC 3875 §4.4).
 */
export function run(application: Application, options: RunOptions = {}): void {
  if (process.env['REQUEST_METHOD'] !== undefined) {
    serveCgi(application, options);
    return;
  }

  const sockets = modules.daemon().inheritedSockets(process.env);

  if (sockets.length === 0) {
    exitWithUsage();
  } else {
    serveFastCgi(application, options, sockets);
  }
}

function serveFastCgi(application: Application, options: RunOptions, sockets: readonly string[]): void {
  modules
    .fastCgi()
    .serve(application, { ...options, socket: sockets })
    .catch((error: unknown) => {
      if (sockets[0] === 'fd:0' && modules.daemon().isNotListening(error)) {
        exitWithUsage();
      } else {
        exit(error instanceof Error ? `postern: ${error.message}\n` : `postern: ${String(error)}\n`, 1);
      }
    });
}

function exitWithUsage(): void {
  exit(USAGE, EXIT_USAGE);
}

function exit(message: string, status: number): void {
  writeSync(2, message);
  process.exit(status);
}
