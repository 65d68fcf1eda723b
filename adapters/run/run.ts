/** One script for every server: finds out how it was started, and serves accordingly. */
import { fstatSync, writeSync } from 'node:fs';
import type { Application } from '../../src/gateway/types';
import { serve as serveCgi } from '../cgi/index';
import type { GatewayOptions } from '../exchange/gateway-options';

export type RunOptions = GatewayOptions;

/** sd_listen_fds(3): the first descriptor that systemd hands over. */
const LISTEN_FDS_START = 3;

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

  const sockets = systemdSockets(process.env);

  if (sockets.length > 0) {
    serveFastCgi(application, options, sockets);
  } else if (fstatSync(0).isSocket()) {
    // Which may also be a connected one; that shows when it is listened on.
    serveFastCgi(application, options, ['fd:0']);
  } else {
    exitWithUsage();
  }
}

/** sd_listen_fds(3). Taken out of the environment, as children are not meant. */
function systemdSockets(environment: NodeJS.ProcessEnv): string[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = environment;

  if (count === undefined || !/^\d{1,4}$/.test(count) || pid !== String(process.pid)) {
    return [];
  }
  delete environment['LISTEN_PID'];
  delete environment['LISTEN_FDS'];
  delete environment['LISTEN_FDNAMES'];
  return Array.from({ length: Number(count) }, (_, index) => `fd:${String(LISTEN_FDS_START + index)}`);
}

function serveFastCgi(application: Application, options: RunOptions, sockets: readonly string[]): void {
  // A CGI process must not pay for it.
  // eslint-disable-next-line @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports
  const { serve } = require('../fastcgi/index') as typeof import('../fastcgi/index');

  serve(application, { ...options, socket: sockets }).catch((error: unknown) => {
    if (sockets[0] === 'fd:0' && isNotListening(error)) {
      exitWithUsage();
    } else {
      exit(error instanceof Error ? `postern: ${error.message}\n` : `postern: ${String(error)}\n`, 1);
    }
  });
}

/** What listen(2) says of a pipe and of a connected socket. */
function isNotListening(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && (cause.code === 'ENOTSOCK' || cause.code === 'EINVAL')) {
      return true;
    }
  }
  return false;
}

function exitWithUsage(): void {
  exit(USAGE, EXIT_USAGE);
}

function exit(message: string, status: number): void {
  writeSync(2, message);
  process.exit(status);
}
