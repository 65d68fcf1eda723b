/** Command line arguments: what util.parseArgs finds, with errors as one line that names the flag. */
import { GatewayError } from '../../src/errors';

/** Options that take a value, and flags that do not; several: may be given more than once. */
export type OptionTypes = Readonly<Record<string, 'value' | 'values' | 'flag'>>;

export interface Arguments {
  readonly positionals: readonly string[];
  value(name: string): string | undefined;
  values(name: string): readonly string[];
  flag(name: string): boolean;
}

/** @throws {GatewayError} `ERR_USAGE` */
export function parseArguments(args: readonly string[], types: OptionTypes): Arguments {
  const { parseArgs } = process.getBuiltinModule('node:util');

  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(types).map(([name, type]) => [
          name,
          { type: type === 'flag' ? 'boolean' : 'string', multiple: type === 'values' } as const,
        ]),
      ),
    });
    const given = values as Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

    return {
      positionals,
      value: (name) => (typeof given[name] === 'string' ? given[name] : undefined),
      values: (name) => (Array.isArray(given[name]) ? given[name].map(String) : []),
      flag: (name) => given[name] === true,
    };
  } catch (error) {
    // parseArgs explains itself in several sentences; the first one names the flag.
    throw new GatewayError('ERR_USAGE', String((error as Error).message.split(/\.\s/)[0]), { cause: error });
  }
}

/**
 * For CGI: what the administrator wrote, without what the web server added. Apache, mini_httpd and Python append the
 * words of a query without `=` (RFC 3875 §4.4, CVE-2012-1823), so nothing after the application counts.
 */
export function upToApplication(args: readonly string[], types: OptionTypes): string[] {
  let index = 0;

  while (index < args.length) {
    const argument = args[index] ?? '';

    if (!argument.startsWith('-')) {
      return args.slice(0, index + 1);
    }
    index += types[argument.replace(/^--/, '')] === 'flag' || argument.includes('=') ? 1 : 2;
  }
  return [...args];
}

/** `1048576`, `512K`, `10M`, `1G`: bytes. @throws {GatewayError} `ERR_USAGE` */
export function parseBytes(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }

  const [, digits = '', unit = ''] = /^(\d{1,15})([KMG]?)$/i.exec(text) ?? [];

  if (digits === '') {
    throw new GatewayError('ERR_USAGE', `--${flag} takes a number of bytes, such as 1048576, 512K or 10M`);
  }
  return Number(digits) * 1024 ** ['', 'K', 'M', 'G'].indexOf(unit.toUpperCase());
}

/** @throws {GatewayError} `ERR_USAGE` */
export function parseCount(flag: string, text: string | undefined, least = 1): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  if (!/^\d{1,9}$/.test(text) || Number(text) < least) {
    throw new GatewayError('ERR_USAGE', `--${flag} takes a whole number from ${String(least)}`);
  }
  return Number(text);
}

/** Seconds, with a fraction if wanted, to milliseconds. @throws {GatewayError} `ERR_USAGE` */
export function parseSeconds(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  if (!/^\d{1,7}(?:\.\d{1,3})?$/.test(text)) {
    throw new GatewayError('ERR_USAGE', `--${flag} takes a number of seconds`);
  }
  return Number(text) * 1000;
}

/** `0660`, `660`, `0o660`. @throws {GatewayError} `ERR_USAGE` */
export function parseMode(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }

  const digits = /^(?:0o?)?([0-7]{3})$/.exec(text)?.[1];

  if (digits === undefined) {
    throw new GatewayError('ERR_USAGE', `--${flag} takes permissions in octal, such as 0660`);
  }
  return Number.parseInt(digits, 8);
}
