#!/usr/bin/env node
/**
 * The command line. Each command's module is loaded when it is asked for: `postern cgi` and `postern run` start once
 * for each request.
 */
import { writeSync } from 'node:fs';

/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports -- loaded on demand */
const COMMANDS: Readonly<Record<string, () => (args: readonly string[]) => void | Promise<void>>> = {
  run: () => (require('./cgi-command') as typeof import('./cgi-command')).runCommand,
  cgi: () => (require('./cgi-command') as typeof import('./cgi-command')).cgiCommand,
  fastcgi: () => (require('./fastcgi-command') as typeof import('./fastcgi-command')).fastCgiCommand,
  server: () => (require('./server-command') as typeof import('./server-command')).serverCommand,
  dev: () => (require('./dev-command') as typeof import('./dev-command')).devCommand,
  help: () => printUsage,
  '--help': () => printUsage,
  '-h': () => printUsage,
  '--version': () => printVersion,
  '-v': () => printVersion,
};

function printUsage(): void {
  writeSync(1, (require('./usage') as typeof import('./usage')).USAGE);
}

function printVersion(): void {
  const { version } = require('postern/package.json') as { version: string };

  writeSync(1, `postern ${version}\n`);
}
/* eslint-enable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */

function main([command, ...args]: readonly string[]): void {
  const load = command !== undefined && Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;

  if (load === undefined) {
    fail(
      command === undefined
        ? 'no command given; see postern --help'
        : `no such command: ${command}; see postern --help`,
      2,
    );
  }
  try {
    Promise.resolve(load()(args)).catch(onError);
  } catch (error) {
    onError(error);
  }
}

/** One clear line; a stack only for what is our own fault. */
function onError(error: unknown): void {
  const {
    code = '',
    message = '',
    stack = '',
  } = (error ?? {}) as { code?: string; message?: string; stack?: string };

  if (code.startsWith('ERR_') && stack !== '') {
    fail(message, code === 'ERR_USAGE' ? 2 : 1);
  } else {
    fail(stack === '' ? String(error) : stack, 1);
  }
}

function fail(message: string, exitCode: number): never {
  writeSync(2, `postern: ${message}\n`);
  // Not only process.exitCode: a file that is no application may have begun to listen.
  process.exit(exitCode);
}

main(process.argv.slice(2));
