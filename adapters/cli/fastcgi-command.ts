/** `postern fastcgi <app> --socket …` */
import { GatewayError } from '../../src/errors';
import { splitList } from '../daemon/index';
import { serve } from '../fastcgi/index';
import { parseArguments, parseBytes, parseCount, parseMode, parseSeconds } from './arguments';
import { loadApplication } from './load-application';
import { parseOwner } from './owner';

const OPTIONS = {
  socket: 'values',
  'socket-mode': 'value',
  'socket-owner': 'value',
  backlog: 'value',
  'allowed-clients': 'value',
  workers: 'value',
  'graceful-timeout': 'value',
  mount: 'value',
  'max-body': 'value',
  'max-params': 'value',
  'max-concurrent': 'value',
  'stderr-to-front-end': 'flag',
  development: 'flag',
} as const;

export async function fastCgiCommand(args: readonly string[]): Promise<void> {
  const parsed = parseArguments(args, OPTIONS);
  const [name, surplus] = parsed.positionals;

  if (name === undefined || surplus !== undefined || parsed.values('socket').length === 0) {
    throw new GatewayError('ERR_USAGE', 'postern fastcgi <file>[:export] --socket <path | host:port | fd:N>');
  }

  const workers = parseCount('workers', parsed.value('workers'), 0) ?? 1;

  if (workers > 1) {
    throw new GatewayError('ERR_USAGE', 'this version runs one process: --workers 0 or 1');
  }

  const allowedClients = parsed.value('allowed-clients');

  // Every wrong flag is told before the application is started.
  const options = {
    socket: parsed.values('socket'),
    socketMode: parseMode('socket-mode', parsed.value('socket-mode')),
    socketOwner: parseOwner(parsed.value('socket-owner')),
    backlog: parseCount('backlog', parsed.value('backlog')),
    allowedClients: allowedClients === undefined ? undefined : splitList(allowedClients),
    gracefulTimeoutMs: parseSeconds('graceful-timeout', parsed.value('graceful-timeout')),
    mount: parsed.value('mount'),
    maxBodyBytes: parseBytes('max-body', parsed.value('max-body')),
    maxParamsBytes: parseBytes('max-params', parsed.value('max-params')),
    maxConcurrent: parseCount('max-concurrent', parsed.value('max-concurrent')),
    stderrToFrontEnd: parsed.flag('stderr-to-front-end'),
    development: parsed.flag('development'),
  };

  await serve(await loadApplication(name), options);
}
