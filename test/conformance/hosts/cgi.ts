/** The script, one process for each request, as a web server would start it. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { dirname } from 'node:path';
import type { Exchange, HttpRequest } from '../../support/http-client';
import type { Pair } from '../../support/records';
import { openTemporaryFolder } from '../../support/temporary-folder';
import type { Host, RunningHost } from '../behaviour';
import { CgiStyleExchange } from './cgi-style-exchange';
import { install } from './installation';
import { madeUpRequest, PORT } from './made-up-request';

/** Apache's mod_cgi decodes the chunks of an upload and closes standard input after them; others do not decode. */
const SOFTWARE = 'Apache/2.4.71 (conformance)';

export const cgiHosts: readonly Host[] = [
  { name: 'cgi', kind: 'cgi', mount: '', start: () => start('') },
  { name: 'cgi mounted', kind: 'cgi', mount: '/cgi-bin/app.cgi', start: () => start('/cgi-bin/app.cgi') },
];

async function start(mount: string): Promise<RunningHost> {
  const folder = await openTemporaryFolder();
  const { scriptFile, marks } = await install(folder.path);
  const startRequest: RunningHost['startRequest'] = (request, origin = 'plain') =>
    runScript(scriptFile, request, mount, origin);

  return {
    marks,
    port: PORT,
    startRequest,
    connect: () => ({ request: (request) => startRequest(request).response, close: () => undefined }),
    stop: () => folder.remove(),
  };
}

function runScript(
  scriptFile: string,
  request: HttpRequest,
  mount: string,
  origin: 'plain' | 'tls',
): Exchange {
  const { pairs, body, contentLength } = madeUpRequest(request, mount, origin, SOFTWARE);
  const child = spawnWith(scriptFile, [...joined(pairs), ['SCRIPT_FILENAME', scriptFile]]);
  // As Apache does: SIGTERM for a client that has left.
  const exchange = new CgiStyleExchange(() => child.kill('SIGTERM'), request.timeoutMs);

  child.stdout.on('data', (bytes: Buffer) => exchange.push(bytes));
  child.stderr.resume();
  // A script may end without having read its input.
  child.stdin.on('error', () => undefined);
  child.once('error', (error) => exchange.fail(error));
  child.once('close', (code, signal) => {
    child.stdin.destroy();
    exchange.end(code === 0 ? undefined : `the script ended with ${String(code ?? signal)}`);
  });
  void send(child, body, contentLength === undefined && request.chunked === true);
  return exchange;
}

/** The pipe stays open after a body of known length: a script that waits for the end of file waits for ever. */
async function send(
  child: ChildProcessWithoutNullStreams,
  body: AsyncIterable<Buffer>,
  endsWithBody: boolean,
): Promise<void> {
  for await (const piece of body) {
    if (child.stdin.destroyed) {
      return;
    }
    await new Promise((resolve) => child.stdin.write(piece, resolve));
  }
  if (endsWithBody) {
    child.stdin.end();
  }
}

/** An environment has each name once. */
function joined(pairs: readonly Pair[]): readonly Pair[] {
  const variables = new Map<string, string>();

  for (const [name, value] of pairs) {
    const earlier = variables.get(name);
    const separator = name === 'HTTP_COOKIE' ? '; ' : ', ';
    variables.set(name, earlier === undefined ? value : `${earlier}${separator}${value}`);
  }
  return [...variables];
}

/** Node writes an environment as UTF-8 only; for other bytes a shell has to be asked. */
function spawnWith(scriptFile: string, variables: readonly Pair[]): ChildProcessWithoutNullStreams {
  const named = variables.filter(([name]) => /^[A-Z0-9_]+$/.test(name));
  const isAscii = ([, value]: Pair): boolean => /^[\x01-\x7f]*$/.test(value);
  const cwd = dirname(scriptFile);
  const env = { PATH: process.env['PATH'] ?? '', ...Object.fromEntries(named.filter(isAscii)) };
  const exports = named
    .filter((variable) => !isAscii(variable))
    .map(([name, value]) => `export ${name}="$(printf '${octal(value)}')"`);

  return exports.length === 0
    ? spawn(scriptFile, { cwd, env })
    : spawn('/bin/sh', ['-c', [...exports, `exec "${scriptFile}"`].join('\n')], { cwd, env });
}

function octal(bytes: string): string {
  return [...Buffer.from(bytes, 'latin1')].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}
