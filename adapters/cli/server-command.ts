/** `postern server <script>`: a script that listens by itself, unmodified, behind a web server. */
import { existsSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { GatewayError } from '../../src/errors';
import {
  answerListen,
  exitWithUsage,
  openGateway,
  type ServerGateway,
  type ServerOptions,
} from '../server/index';
import { brokenApplication } from './broken-application';

/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */
/** A CGI process often needs none of them. */
const modules = {
  arguments: () => require('./arguments') as typeof import('./arguments'),
  daemonOptions: () => require('./daemon-options') as typeof import('./daemon-options'),
  typeScript: () => require('./type-script') as typeof import('./type-script'),
};
/* eslint-enable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */

interface ServerCommand {
  readonly script: string;
  readonly scriptArguments: readonly string[];
  readonly options: ServerOptions;
}

export function serverCommand(args: readonly string[]): void {
  const isCgi = process.env['REQUEST_METHOD'] !== undefined;
  const { script, scriptArguments, options } = isCgi ? parseCgi(args) : parse(args);

  if (!isCgi) {
    assertExists(script);
  }

  const gateway = openGateway(options);

  if (gateway === undefined) {
    exitWithUsage();
  }
  runScript(script, scriptArguments, gateway);
}

/** Nothing after the script is read: web servers put words of the query there. */
function parseCgi(args: readonly string[]): ServerCommand {
  const [first = '-'] = args;

  if (!first.startsWith('-')) {
    return { script: first, scriptArguments: [], options: {} };
  }
  return parse(modules.arguments().upToApplication(args, modules.daemonOptions().DAEMON_OPTIONS));
}

function parse(args: readonly string[]): ServerCommand {
  const { DAEMON_OPTIONS, parseDaemonOptions } = modules.daemonOptions();
  const parsed = modules.arguments().parseArguments(args, DAEMON_OPTIONS);
  const [script, ...scriptArguments] = parsed.positionals;

  if (script === undefined) {
    throw new GatewayError(
      'ERR_USAGE',
      'which script? postern server <script> [--socket <path | host:port | fd:N>]',
    );
  }
  return { script, scriptArguments, options: parseDaemonOptions(parsed) };
}

function assertExists(script: string): void {
  if (!existsSync(script)) {
    throw new GatewayError('ERR_APPLICATION', `no such file: ${script}`);
  }
}

/** Runs it as `node script.js` would: as the main module, with its own arguments. */
function runScript(script: string, scriptArguments: readonly string[], gateway: ServerGateway): void {
  const path = resolve(script);

  process.argv.splice(1, Infinity, path, ...scriptArguments);
  answerListen(gateway, watchStart(path, gateway));
  try {
    assertExists(path);
    if (/^\.[cm]?ts$/.test(extname(path))) {
      modules.typeScript().prepareTypeScript(path);
    }
  } catch (error) {
    gateway.fail(error);
    return;
  }
  // Outside of this call, so that what the script throws is an uncaught error, as it would be.
  process.nextTick(runMain);
}

function runMain(): void {
  // Not in the documentation, but what every program that stands before another one calls (ts-node, nyc).
  const module = process.getBuiltinModule('node:module') as unknown as { readonly runMain: () => void };

  module.runMain();
}

/** Until it listens, what goes wrong with a script is told in one line. Afterwards it is Node's affair again. */
function watchStart(path: string, gateway: ServerGateway): () => void {
  if (gateway.protocol === 'cgi') {
    // An uncaught error is a 500 there, and so is a script that never listens.
    return () => undefined;
  }

  const onUncaught = (error: unknown): void => {
    if (process.listenerCount('uncaughtException') === 1) {
      gateway.fail(brokenApplication(path, error));
    }
  };
  const onIdle = (): void => {
    gateway.fail(new GatewayError('ERR_APPLICATION', `${path} has come to its end without listening`));
  };

  process.on('uncaughtException', onUncaught).on('beforeExit', onIdle);
  return () => {
    process.off('uncaughtException', onUncaught).off('beforeExit', onIdle);
  };
}
