/** What stands where the port of an unmodified script would be: one CGI request, or FastCGI sockets. */
import { writeSync } from 'node:fs';
import type { Application } from '../../src/gateway/types';
import type { FastCgiOptions } from '../fastcgi/index';

/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */
/** Each process needs one of the two. */
const modules = {
  cgi: () => require('./cgi-gateway') as typeof import('./cgi-gateway'),
  fastCgi: () => require('./fastcgi-gateway') as typeof import('./fastcgi-gateway'),
  daemon: () => require('../daemon/index') as typeof import('../daemon/index'),
};
/* eslint-enable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */

/** As `getopt`'s users have it: wrong usage, not a failure. */
const EXIT_USAGE = 2;

export interface ServerOptions extends FastCgiOptions {
  /** Where to listen as a FastCGI daemon. Default: as the process was started. */
  readonly sockets?: readonly string[] | undefined;
  /** Milliseconds that a graceful stop waits for requests. Default 30,000. */
  readonly gracefulTimeoutMs?: number | undefined;
}

export interface ServerGateway {
  readonly protocol: 'cgi' | 'fastcgi';
  /** Requests go to the application from now on. Resolves when they can come; a failure ends the process. */
  open(application: Application): Promise<void>;
  /** No new requests. Resolves when the open ones have been answered. */
  close(): Promise<void>;
  /** The script failed before it listened. */
  fail(error: unknown): void;
}

/**
 * Finds out how this process was started, as `postern/run` does: sockets that were asked for → FastCGI; CGI variables
 * in the environment → CGI, where standard output is the response from here on; inherited sockets → FastCGI.
 *
 * @returns undefined when there is nothing to serve.
 */
export function openGateway(options: ServerOptions = {}): ServerGateway | undefined {
  if (options.sockets !== undefined && options.sockets.length > 0) {
    return new (modules.fastCgi().FastCgiGateway)(options, options.sockets);
  }
  if (process.env['REQUEST_METHOD'] !== undefined) {
    return new (modules.cgi().CgiGateway)(options);
  }

  const sockets = modules.daemon().inheritedSockets(process.env);

  return sockets.length === 0 ? undefined : new (modules.fastCgi().FastCgiGateway)(options, sockets);
}

export const USAGE = `postern: nothing to serve. Say where to listen, with --socket <path | host:port | fd:N> (postern/register:
POSTERN_SOCKET), or let a web server start the script: as a CGI program, or on a socket that it inherits.
`;

/** For a process that nobody started to serve: its `listen` ends it. */
export const noGateway: ServerGateway = {
  protocol: 'fastcgi',
  open: exitWithUsage,
  close: () => Promise.resolve(),
  fail: exitWithUsage,
};

export function exitWithUsage(): never {
  writeSync(2, USAGE);
  process.exit(EXIT_USAGE);
}
