/**
 * `postern/register`, for `node --require postern/register script.js`: `postern server` without its command line. An
 * option is a variable of the environment there: `--max-body 10M` is `POSTERN_MAX_BODY=10M`, a flag is on with any
 * value but `0`, and several sockets are separated by commas.
 */
import { writeSync } from 'node:fs';
import { answerListen, noGateway, openGateway, type ServerOptions } from '../server/index';

/** As `getopt`'s users have it: wrong usage, not a failure. */
const EXIT_USAGE = 2;

const PREFIX = 'POSTERN_';

function register(): void {
  const variables = Object.keys(process.env).filter((name) => name.startsWith(PREFIX));

  if (process.env['REQUEST_METHOD'] !== undefined) {
    // Words of the query, which the script would take for its arguments (RFC 3875 §4.4).
    process.argv.splice(2);
  }
  try {
    answerListen(openGateway(variables.length === 0 ? {} : parseVariables(process.env)) ?? noGateway);
  } catch (error) {
    writeSync(2, `postern: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(EXIT_USAGE);
  }
}

function parseVariables(environment: NodeJS.ProcessEnv): ServerOptions {
  // eslint-disable-next-line @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports -- a CGI process may not need it
  const daemonOptions = require('./daemon-options') as typeof import('./daemon-options');

  return daemonOptions.parseDaemonVariables((option) => {
    const value = environment[PREFIX + option.toUpperCase().replaceAll('-', '_')];

    return value === '' ? undefined : value;
  });
}

register();
