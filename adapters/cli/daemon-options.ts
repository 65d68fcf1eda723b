/** The options of `postern fastcgi` and `postern server`. */
import { GatewayError } from '../../src/errors';
import { splitList } from '../daemon/index';
import type { FastCgiOptions } from '../fastcgi/index';
import { parseBytes, parseCount, parseMode, parseSeconds, type Arguments } from './arguments';
import { parseOwner } from './owner';

export const DAEMON_OPTIONS = {
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

export interface DaemonOptions extends FastCgiOptions {
  readonly sockets: readonly string[];
  readonly gracefulTimeoutMs: number | undefined;
}

/** @throws {GatewayError} `ERR_USAGE` */
export function parseDaemonOptions(parsed: Arguments): DaemonOptions {
  const workers = parseCount('workers', parsed.value('workers'), 0) ?? 1;

  if (workers > 1) {
    throw new GatewayError('ERR_USAGE', 'this version runs one process: --workers 0 or 1');
  }

  const allowedClients = parsed.value('allowed-clients');

  return {
    sockets: parsed.values('socket'),
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
}

/**
 * The same from variables of the environment: all are text, a flag is on with any value but `0`, sockets are separated
 * by commas.
 *
 * @throws {GatewayError} `ERR_USAGE`
 */
export function parseDaemonVariables(valueOf: (option: string) => string | undefined): DaemonOptions {
  return parseDaemonOptions({
    positionals: [],
    value: valueOf,
    values: (option) => splitList(valueOf(option) ?? ''),
    flag: (option) => (valueOf(option) ?? '0') !== '0',
  });
}
