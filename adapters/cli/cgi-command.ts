/** `postern cgi` and `postern run`: the commands that web servers start. */
import { GatewayError } from '../../src/errors';
import type { Application } from '../../src/gateway/types';
import { serve, type CgiOptions } from '../cgi/index';
import { run } from '../run/index';
import { parseArguments, parseBytes, upToApplication } from './arguments';
import { loadApplication, parseStyle, type Style } from './load-application';

const OPTIONS = { mount: 'value', 'max-body': 'value', as: 'value', development: 'flag' } as const;

interface CgiCommand {
  readonly name: string;
  readonly style: Style | undefined;
  readonly options: CgiOptions;
}

/** One request from the environment and standard input. */
export function cgiCommand(args: readonly string[]): void | Promise<void> {
  const { name, style, options } = parseCommand(upToApplication(args, OPTIONS));

  return startCgi(name, style, (application) => {
    serve(application, options);
  });
}

/** As started: a CGI script, or a FastCGI daemon on a socket it was born with. */
export function runCommand(args: readonly string[]): void | Promise<void> {
  const isCgi = process.env['REQUEST_METHOD'] !== undefined;
  const { name, style, options } = parseCommand(isCgi ? upToApplication(args, OPTIONS) : args);
  const start = (application: Application): void => {
    run(application, options);
  };

  return isCgi ? startCgi(name, style, start) : Promise.resolve(loadApplication(name, style)).then(start);
}

/** An application that cannot be loaded is a 500 to the client, as one that throws. */
function startCgi(
  name: string,
  style: Style | undefined,
  start: (application: Application) => void,
): void | Promise<void> {
  // Before the application's modules can read it (httpoxy, CVE-2016-5385).
  delete process.env['HTTP_PROXY'];

  const startBroken = (error: unknown): void => {
    process.exitCode = 1;
    start(() => {
      throw error;
    });
  };

  let loaded: Application | Promise<Application>;

  try {
    loaded = loadApplication(name, style);
  } catch (error) {
    startBroken(error);
    return;
  }
  if (loaded instanceof Promise) {
    return loaded.then(start, startBroken);
  }
  start(loaded);
}

function parseCommand(args: readonly string[]): CgiCommand {
  // The usual call has no options, and util.parseArgs need not be loaded for it.
  const [only = ''] = args;

  if (args.length === 1 && !only.startsWith('-')) {
    return { name: only, style: undefined, options: {} };
  }

  const parsed = parseArguments(args, OPTIONS);
  const [name, surplus] = parsed.positionals;

  if (name === undefined) {
    throw new GatewayError('ERR_USAGE', 'which application? postern cgi <file>[:export]');
  }
  if (surplus !== undefined) {
    throw new GatewayError('ERR_USAGE', `one application, please; what is ${surplus}?`);
  }
  return {
    name,
    style: parseStyle(parsed.value('as')),
    options: {
      mount: parsed.value('mount'),
      maxBodyBytes: parseBytes('max-body', parsed.value('max-body')),
      development: parsed.flag('development'),
    },
  };
}
