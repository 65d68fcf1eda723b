/** `postern fastcgi <app> --socket …` */
import { GatewayError } from '../../src/errors';
import { serve } from '../fastcgi/index';
import { parseArguments } from './arguments';
import { DAEMON_OPTIONS, parseDaemonOptions } from './daemon-options';
import { loadApplication, parseStyle } from './load-application';

const OPTIONS = { ...DAEMON_OPTIONS, as: 'value' } as const;

export async function fastCgiCommand(args: readonly string[]): Promise<void> {
  const parsed = parseArguments(args, OPTIONS);
  const [name, surplus] = parsed.positionals;
  const sockets = parsed.values('socket');

  if (name === undefined || surplus !== undefined || sockets.length === 0) {
    throw new GatewayError('ERR_USAGE', 'postern fastcgi <file>[:export] --socket <path | host:port | fd:N>');
  }

  // Every wrong flag is told before the application is started.
  const options = parseDaemonOptions(parsed);
  const style = parseStyle(parsed.value('as'));

  await serve(await loadApplication(name, style), { ...options, socket: sockets });
}
