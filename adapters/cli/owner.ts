/** `--socket-owner user:group`: names to numbers, by the system's own databases. */
import { execFileSync } from 'node:child_process';
import { GatewayError } from '../../src/errors';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * `www-data`, `www-data:www-data`, `33:33`, `:www-data`; what is left out stays as it is (-1 to chown).
 * @throws {GatewayError} `ERR_USAGE` for a name the system does not know.
 */
export function parseOwner(text: string | undefined): Owner | undefined {
  if (text === undefined) {
    return undefined;
  }

  const [user = '', group = ''] = text.split(':');

  return { uid: idOf('passwd', user), gid: idOf('group', group) };
}

function idOf(database: 'passwd' | 'group', name: string): number {
  if (name === '') {
    return -1;
  }
  if (/^\d+$/.test(name)) {
    return Number(name);
  }

  // getent knows LDAP and the like, too; the third field of both databases is the number.
  const id = Number(entryOf(database, name).split(':')[2]);

  if (!Number.isInteger(id)) {
    throw new GatewayError('ERR_USAGE', `no such ${database === 'passwd' ? 'user' : 'group'}: ${name}`);
  }
  return id;
}

function entryOf(database: string, name: string): string {
  try {
    return execFileSync('getent', [database, '--', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}
