/** The environment of a CGI script (RFC 3875 §4.1) from an environ: the request's variables and a few of the host's. */
import { isUtf8 } from 'node:buffer';
import type { Environ } from '../../src/gateway/types';

export interface ScriptEnvironment {
  /** As Node takes them: it writes UTF-8, so these are the bytes decoded. */
  readonly variables: Readonly<Record<string, string>>;
  /** Values whose bytes are not UTF-8, as latin-1: no string that Node could be given becomes them. */
  readonly rawVariables: readonly (readonly [name: string, value: string])[];
}

/** What Apache 2.4 gives its scripts of its own environment. */
const HOST_VARIABLES = ['PATH', 'LD_LIBRARY_PATH', 'TZ'] as const;

/**
 * The list of Apache's suexec. Anything else in an environ came as a FastCGI parameter, and a parameter must not
 * become `LD_PRELOAD` or `NODE_OPTIONS`.
 */
const REQUEST_VARIABLES: ReadonlySet<string> = new Set([
  'AUTH_TYPE',
  'CONTENT_TYPE',
  'CONTEXT_DOCUMENT_ROOT',
  'CONTEXT_PREFIX',
  'DOCUMENT_ROOT',
  'DOCUMENT_URI',
  'GATEWAY_INTERFACE',
  'HTTPS',
  'PATH_INFO',
  'PATH_TRANSLATED',
  'QUERY_STRING',
  'REMOTE_ADDR',
  'REMOTE_HOST',
  'REMOTE_IDENT',
  'REMOTE_PORT',
  'REMOTE_USER',
  'REQUEST_METHOD',
  'REQUEST_SCHEME',
  'REQUEST_URI',
  'SCRIPT_FILENAME',
  'SCRIPT_NAME',
  'SCRIPT_URI',
  'SCRIPT_URL',
  'SERVER_ADDR',
  'SERVER_ADMIN',
  'SERVER_NAME',
  'SERVER_PORT',
  'SERVER_PROTOCOL',
  'SERVER_SIGNATURE',
  'SERVER_SOFTWARE',
  'UNIQUE_ID',
]);

const REQUEST_PREFIXES = /^(?:HTTP|REDIRECT|SSL)_[A-Z0-9_]+$/;

/** The names in a host's environment that would be taken for the client's word. */
const CLIENT_VARIABLES = /^(?:HTTP_.*|CONTENT_LENGTH|CONTENT_TYPE|AUTH_TYPE|REMOTE_USER)$/;

export interface ScriptEnvironmentOptions {
  /** Bytes of the body; 0: none. */
  readonly contentLength: number;
  /** Default: PATH, LD_LIBRARY_PATH and TZ of this process. */
  readonly host: NodeJS.ProcessEnv | undefined;
}

export function scriptEnvironment(
  environ: Environ,
  { contentLength, host = hostVariables() }: ScriptEnvironmentOptions,
): ScriptEnvironment {
  const variables: Record<string, string> = {};
  const rawVariables: [string, string][] = [];

  for (const [name, value] of Object.entries(host)) {
    if (value !== undefined && !CLIENT_VARIABLES.test(name)) {
      variables[name] = value;
    }
  }
  if (contentLength > 0) {
    variables['CONTENT_LENGTH'] = String(contentLength);
  }
  // By names: an entry of wsgi.input would be the stream.
  for (const name of Object.keys(environ)) {
    const value = isRequestVariable(name) ? environ[name] : undefined;

    // No environment can hold a NUL.
    if (typeof value !== 'string' || value.includes('\0')) {
      continue;
    }

    const bytes = Buffer.from(value, 'latin1');

    if (isUtf8(bytes)) {
      variables[name] = bytes.toString('utf8');
    } else {
      rawVariables.push([name, value]);
    }
  }
  return { variables, rawVariables };
}

function hostVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(HOST_VARIABLES.map((name) => [name, process.env[name]]));
}

function isRequestVariable(name: string): boolean {
  return REQUEST_VARIABLES.has(name) || (REQUEST_PREFIXES.test(name) && name !== 'HTTP_PROXY');
}

/**
 * A POSIX shell script that sets variables to their bytes and becomes the program `"$0" "$@"`. A name has the
 * letters of REQUEST_PREFIXES only, and a value is all letters and octal numbers.
 */
export function exportScript(rawVariables: ScriptEnvironment['rawVariables']): string {
  const exports = rawVariables.map(
    // $(…) drops line feeds at the end, hence the x.
    ([name, value]) => `${name}=$(printf '${octal(value)}x'); ${name}=\${${name}%x}; export ${name}\n`,
  );

  return `${exports.join('')}exec "$0" "$@"`;
}

function octal(value: string): string {
  return value.replace(/[^A-Za-z/]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
