import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { RawClient } from '../../../support/raw-client';
import { withTemporaryFolder } from '../../../support/temporary-folder';

const RUN = join(__dirname, '../../../../dist/adapters/run');

const SCRIPT = `
const { run } = require(${JSON.stringify(RUN)});
run((environ, start) => {
  start('200 OK', []);
  return 'by ' + (environ['fastcgi.role'] ?? 'CGI');
});`;

interface Start {
  readonly stdio: StdioOptions;
  readonly environment?: Readonly<Record<string, string>>;
  /** Shell words before the command, for what only the process itself can say. */
  readonly prefix?: string;
}

function startScript(folder: string, { stdio, environment = {}, prefix = '' }: Start): ChildProcess {
  const script = join(folder, 'app.cjs');

  writeFileSync(script, SCRIPT);
  // exec, so that $$ is the number of the process that node will be.
  return spawn('/bin/sh', ['-c', `${prefix} exec "$1" "$2"`, 'sh', process.execPath, script], {
    stdio,
    env: { PATH: process.env['PATH'], ...environment },
  });
}

async function ended(child: ChildProcess): Promise<{ stdout: string; stderr: string; exit: unknown }> {
  const [stdout, stderr, [exit]] = await Promise.all([
    child.stdout === null ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
    once(child, 'exit') as Promise<[unknown]>,
  ]);

  return { stdout, stderr, exit };
}

/** A listening socket for a child; ours is closed, so that only the child accepts. */
async function startOnSocket(
  folder: string,
  start: (socket: Server) => Start,
): Promise<{ child: ChildProcess; port: number }> {
  const server = createServer();

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  // Listening on TCP, as it does here, it has such an address.
  const { port } = server.address() as AddressInfo;
  const child = startScript(folder, start(server));

  server.close();
  return { child, port };
}

/** The descriptor of a server, for which Node has no public word. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

test('with REQUEST_METHOD it is a CGI script', async () => {
  await withTemporaryFolder(async (folder) => {
    const result = await ended(
      startScript(folder, {
        stdio: ['ignore', 'pipe', 'pipe'],
        environment: { REQUEST_METHOD: 'GET', LISTEN_FDS: '1' },
        prefix: 'LISTEN_PID=$$',
      }),
    );

    expect(result).toEqual({ stdout: 'Status: 200 OK\r\n\r\nby CGI', stderr: '', exit: 0 });
  });
});

test.each([
  {
    how: 'LISTEN_FDS for this process',
    start: (socket: Server): Start => ({
      stdio: ['ignore', 'ignore', 'pipe', descriptorOf(socket)],
      environment: { LISTEN_FDS: '1' },
      prefix: 'LISTEN_PID=$$',
    }),
  },
  {
    how: 'a listening socket as standard input',
    start: (socket: Server): Start => ({ stdio: [descriptorOf(socket), 'ignore', 'pipe'] }),
  },
  {
    how: 'a listening socket as standard input, and LISTEN_FDS for another process',
    start: (socket: Server): Start => ({
      stdio: [descriptorOf(socket), 'ignore', 'pipe'],
      environment: { LISTEN_FDS: '1', LISTEN_PID: '1' },
    }),
  },
])('with $how it is a FastCGI program', async ({ start }) => {
  await withTemporaryFolder(async (folder) => {
    const { child, port } = await startOnSocket(folder, start);
    const result = ended(child);

    try {
      const client = await RawClient.connect(port);
      const response = await client.request([['REQUEST_METHOD', 'GET']]);

      expect(response.stdout.toString('latin1')).toBe('Status: 200 OK\r\n\r\nby RESPONDER');
      await client.destroy();
    } finally {
      child.kill('SIGTERM');
    }
    expect((await result).exit).toBe(0);
  });
});

test.each([
  { how: 'nothing', stdin: 'ignore' },
  // child_process gives a connected socket, as inetd and mod_cgid do.
  { how: 'a connected socket', stdin: 'pipe' },
] as const)('with $how as standard input it explains itself, and its exit status is 2', async ({ stdin }) => {
  await withTemporaryFolder(async (folder) => {
    const result = await ended(startScript(folder, { stdio: [stdin, 'pipe', 'pipe'] }));

    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(/^postern: nothing to serve\./);
    expect(result.exit).toBe(2);
  });
});
