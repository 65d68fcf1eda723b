/** `postern dev <app>` */
import { GatewayError } from '../../src/errors';
import { parseArguments, parseBytes, parseCount } from './arguments';
import { dev, type Via } from './dev';
import { loadApplication, parseApplicationName, parseStyle } from './load-application';

const OPTIONS = {
  port: 'value',
  via: 'value',
  watch: 'flag',
  as: 'value',
  mount: 'value',
  'max-body': 'value',
} as const;

const MAX_PORT = 65535;

export async function devCommand(args: readonly string[]): Promise<void> {
  const parsed = parseArguments(args, OPTIONS);
  const [name, surplus] = parsed.positionals;

  if (name === undefined || surplus !== undefined) {
    throw new GatewayError('ERR_USAGE', 'postern dev <file>[:export] [--port N] [--via direct|fastcgi|cgi]');
  }

  // Every wrong flag, and a file that is not there, is told before anything is started.
  const options = {
    port: parsePort(parsed.value('port')),
    via: parseVia(parsed.value('via')),
    watch: parsed.flag('watch'),
    style: parseStyle(parsed.value('as')),
    mount: parsed.value('mount'),
    maxBodyBytes: parseBytes('max-body', parsed.value('max-body')),
  };

  parseApplicationName(name);
  await dev({ ...options, name, load: () => loadApplication(name, options.style) });
}

function parsePort(text: string | undefined): number | undefined {
  const port = parseCount('port', text, 0);

  if (port !== undefined && port > MAX_PORT) {
    throw new GatewayError('ERR_USAGE', `--port takes a number up to ${String(MAX_PORT)}`);
  }
  return port;
}

function parseVia(text = 'direct'): Via {
  switch (text) {
    case 'direct':
    case 'fastcgi':
    case 'cgi':
      return text;
    default:
      throw new GatewayError('ERR_USAGE', `--via takes direct, fastcgi or cgi, not ${text}`);
  }
}
