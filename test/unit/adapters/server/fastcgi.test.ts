import type { StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { frameworks } from './frameworks';
import { endOf, MAIN, pairsOf, textOf, withScript } from './script-process';

// Processes that load frameworks first.
jest.setTimeout(30_000);

const HELLO = `
const http = require('node:http');
const server = http.createServer((req, res) => res.end('hello ' + req.method + ' ' + req.url));
`;

/** Tells what a server says of itself once it listens. */
const TELL = `
server.on('listening', () => console.log('told ' + JSON.stringify([server.address(), server.listening])));
`;

describe('a script that listens', () => {
  test('is asked by FastCGI, and its port is not opened', async () => {
    const busy = createServer().listen(0, '127.0.0.1');

    await once(busy, 'listening');

    // A TCP server has such an address. Opening this port would fail.
    const { port } = busy.address() as AddressInfo;

    try {
      await withScript(
        { script: `${HELLO} server.listen(${String(port)}, '127.0.0.1');` },
        async (script) => {
          expect(await script.request({ PATH_INFO: '/a b', REQUEST_URI: '/a%20b' })).toMatch(
            /^Content-Length: 16\r\nStatus: 200 OK\r\n\r\nhello GET \/a%20b$/,
          );
        },
      );
    } finally {
      busy.close();
    }
  });

  test('is the main module, with its own arguments', async () => {
    const script = `${HELLO}
      console.log('told ' + JSON.stringify([require.main === module, process.argv[1] === __filename, process.argv.slice(2)]));
      server.listen(3000);`;
    const args = (path: string, folder: string): string[] => [
      MAIN,
      'server',
      '--socket',
      join(folder, 's'),
      path,
      'word',
      '--',
      '--flag',
    ];

    await withScript({ script, args }, async (running) => {
      expect((await running.printed(/^told (.*)$/m))[1]).toBe('[true,true,["word","--flag"]]');
    });
  });

  test.each([
    { args: '3000', told: { address: '127.0.0.1', family: 'IPv4', port: 3000 } },
    { args: '3000, "0.0.0.0"', told: { address: '0.0.0.0', family: 'IPv4', port: 3000 } },
    { args: '3000, "127.0.0.1", 10', told: { address: '127.0.0.1', family: 'IPv4', port: 3000 } },
    { args: '{ port: "3000", host: "::1" }', told: { address: '::1', family: 'IPv6', port: 3000 } },
    { args: '0', told: { address: '127.0.0.1', family: 'IPv4', port: 0 } },
    { args: '', told: { address: '127.0.0.1', family: 'IPv4', port: 0 } },
    { args: '"/nowhere/at/all.sock"', told: '/nowhere/at/all.sock' },
    { args: '{ path: "/nowhere/at/all.sock" }', told: '/nowhere/at/all.sock' },
  ])('with listen($args) is told so', async ({ args, told }) => {
    const script = `${HELLO}${TELL}
      if (server.listening || server.address() !== null) throw new Error('too early');
      if (server.listen(${args === '' ? '' : `${args}, `}() => console.log('called back')) !== server) throw new Error();`;

    await withScript({ script }, async (running) => {
      await running.printed(/^called back$/m);
      expect(JSON.parse((await running.printed(/^told (.*)$/m))[1] ?? '')).toEqual([told, true]);
    });
  });

  test.each([
    { it: 'a port that cannot be', code: 'server.listen(99999);', says: 'ERR_SOCKET_BAD_PORT' },
    {
      it: 'listening twice',
      code: 'server.listen(3000); server.listen(3001);',
      says: 'ERR_SERVER_ALREADY_LISTEN',
    },
    {
      it: 'closing twice',
      code: 'server.listen(3000, () => server.close(() => server.close((error) => { throw error; })));',
      says: 'ERR_SERVER_NOT_RUNNING',
    },
  ])("has Node's own error for $it", async ({ code, says }) => {
    const script = `process.on('uncaughtException', (error) => { console.log(error.code); process.exit(); });
      ${HELLO}${code}`;

    expect((await endOf({ script })).stdout).toContain(says);
  });

  test('is listening again after it was closed', async () => {
    const script = `${HELLO} server.listen(1, () => server.close(() => server.listen(2, () => console.log('again'))));`;

    await withScript({ script }, async (running) => {
      await running.printed(/^again$/m);
      expect(await running.request()).toContain('hello GET /path');
    });
  });

  test.each([
    { it: 'throws', handler: `() => { throw new Error('as wanted'); }` },
    { it: 'is rejected', handler: `async () => { throw new Error('as wanted'); }` },
  ])('a handler that $it costs one response', async ({ handler }) => {
    const script = `require('http').createServer(${handler}).listen(3000);`;

    await withScript({ script }, async (running) => {
      expect(await running.request()).toContain('Status: 500');
      expect(await running.request()).toContain('Status: 500');
      await running.printed(/as wanted/);
    });
  });

  test('gets the body', async () => {
    const script = `
      const server = require('http').createServer((req, res) => {
        let body = '';
        req.setEncoding('utf8').on('data', (text) => { body += text; }).on('end', () => res.end(body.toUpperCase()));
      });
      server.listen(3000);`;

    await withScript({ script }, async (running) => {
      expect(await running.request({ REQUEST_METHOD: 'POST' }, 'body')).toMatch(/\r\n\r\nBODY$/);
    });
  });
});

describe('close()', () => {
  const SLOW = `
    const http = require('http');
    const server = http.createServer((req, res) => {
      process.once('SIGUSR2', () => res.end('the end'));
      process.once('SIGHUP', () => {
        server.close((error) => console.log('closed', error));
        server.getConnections((error, count) => console.log('connections', count));
        console.log('closing', server.listening, server.address());
      });
      console.log('asked');
    });
    server.on('close', () => console.log('close event'));
    server.listen(3000);`;

  test('lets the open request end, then calls back, and the process ends', async () => {
    await withScript({ script: SLOW }, async (running) => {
      const client = await running.connect();
      const response = client.request(pairsOf());

      await running.printed(/^asked$/m);
      running.kill('SIGHUP');
      await running.printed(/^closing false null$/m);
      await running.printed(/^connections [1-9]/m);
      running.kill('SIGUSR2');
      expect(textOf(await response)).toMatch(/the end$/);
      await client.destroy();
      expect(await running.ended).toMatchObject({
        exit: 0,
        stdout: expect.stringMatching(/closed undefined\n.*close event|close event\n.*closed undefined/s),
      });
      expect(existsSync(join(running.folder, 's'))).toBe(false);
    });
  });
});

describe('signals', () => {
  const SLOW = `
    const server = require('http').createServer((req, res) => {
      process.once('SIGUSR2', () => res.end('the end'));
      console.log('asked');
    });
    server.listen(3000);
    setInterval(() => undefined, 1e6);`;

  test('SIGTERM lets open requests end, then ends the process', async () => {
    await withScript({ script: SLOW }, async (running) => {
      const client = await running.connect();
      const response = client.request(pairsOf());

      await running.printed(/^asked$/m);
      running.kill('SIGTERM');
      // Nobody else can connect from here on, which is how to know that it was heard.
      while (existsSync(join(running.folder, 's'))) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      running.kill('SIGUSR2');
      expect(textOf(await response)).toMatch(/the end$/);
      await client.destroy();
      expect((await running.ended).exit).toBe(0);
    });
  });

  test.each(['SIGINT', 'SIGQUIT'] as const)('%s ends it at once', async (signal) => {
    await withScript({ script: SLOW }, async (running) => {
      const client = await running.connect();
      const response = client.request(pairsOf());

      await running.printed(/^asked$/m);
      running.kill(signal);
      await expect(response).rejects.toThrow('without END_REQUEST');
      expect((await running.ended).exit).toBe(0);
    });
  });

  test('a script that listens to SIGTERM itself is left to it', async () => {
    const script = `${HELLO} server.listen(3000);
      process.on('SIGTERM', () => server.close(() => setImmediate(() => process.exit(7))));`;

    await withScript({ script }, async (running) => {
      await running.request();
      await (await running.connect()).destroy();
      running.kill('SIGTERM');
      expect((await running.ended).exit).toBe(7);
    });
  });
});

describe('other servers', () => {
  test('a second http server listens, and is answered by nobody: that is told', async () => {
    const script = `${HELLO}
      const admin = http.createServer((req, res) => res.end('admin'));
      server.listen(3000, () => admin.listen(9090, () => console.log('admin', admin.address().port)));`;

    await withScript({ script }, async (running) => {
      await running.printed(/^admin 9090$/m);
      await running.printed(
        /^postern: the script also listens on port 9090: only its first server, on port 3000, is answered$/m,
      );
      expect(await running.request()).toContain('hello');
    });
  });

  test('servers that are not of http are as ever', async () => {
    const script = `${HELLO}
      const net = require('net');
      const echo = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
        net.connect(echo.address().port).end('echoed').on('data', (text) => console.log(String(text)));
      });
      server.listen(3000);`;

    await withScript({ script }, (running) => running.printed(/^echoed$/m));
  });

  test.each([
    { module: 'https', make: "require('https').createServer()" },
    { module: 'http2', make: "require('http2').createServer()" },
    { module: 'http2', make: "require('http2').createSecureServer()" },
  ])('one of $module is refused: $make', async ({ module, make }) => {
    const result = await endOf({ script: `${make}.listen(3000);` });

    expect(result).toEqual({
      exit: 1,
      stdout: '',
      stderr: `postern: this script listens with ${module}: the web server speaks TLS and HTTP/2 for it, so let it listen with http\n`,
    });
  });
});

describe('scripts of every kind', () => {
  const LISTEN = `createServer((req, res) => res.end('hello')).listen(3000);`;

  test.each([
    { name: 'app.mjs', script: `import { createServer } from 'node:http'; ${LISTEN}` },
    {
      name: 'app.mjs',
      script: `import http from 'http'; await null; const { createServer } = http; export const x = 1; ${LISTEN}`,
    },
    { name: 'app.js', script: `const { createServer } = require('http'); ${LISTEN}` },
    { name: 'app.ts', script: `import { createServer } from 'node:http'; const x: number = 1; ${LISTEN}` },
    { name: 'app', script: `#!/usr/bin/env node\nconst { createServer } = require('http'); ${LISTEN}` },
  ])('$name: $script', async ({ name, script }) => {
    await withScript({ name, script }, async (running) => {
      expect(await running.request()).toMatch(/hello$/);
    });
  });

  test.each(frameworks)('$it', async ({ name, script, body }) => {
    await withScript({ name, script }, async (running) => {
      await running.printed(/^up/m);
      expect(await running.request({ REMOTE_ADDR: '192.0.2.1', HTTP_HOST: 'a.test' })).toMatch(
        new RegExp(`\\r\\n\\r\\n${body}$`),
      );
      running.kill('SIGTERM');
      expect(await running.ended).toMatchObject({
        exit: 0,
        stderr: expect.not.stringContaining('also listens'),
      });
    });
  });
});

describe('a script that fails before it listens', () => {
  test.each([
    {
      it: 'throws',
      name: 'app.cjs',
      script: `throw new TypeError('as wanted')`,
      says: /^cannot load \S+: TypeError: as wanted \(\S+app\.cjs:1:7\)$/,
    },
    {
      it: 'throws as an ES module',
      name: 'app.mjs',
      script: `throw new TypeError('as wanted')`,
      says: /^cannot load \S+: TypeError: as wanted \(\S+app\.mjs:1:7\)$/,
    },
    {
      it: 'is rejected',
      name: 'app.cjs',
      script: `Promise.reject(new TypeError('as wanted'))`,
      says: /^cannot load \S+: TypeError: as wanted/,
    },
    {
      it: 'is no JavaScript',
      name: 'app.cjs',
      script: `this is not`,
      says: /^cannot load \S+: SyntaxError: .*app\.cjs:1\)$/,
    },
    {
      it: 'is no JavaScript as an ES module',
      name: 'app.mjs',
      script: `this is not`,
      says: /^cannot load \S+: SyntaxError: /,
    },
    {
      it: 'misses a module',
      name: 'app.cjs',
      script: `require('nowhere')`,
      says: /^cannot load \S+: Error: Cannot find module 'nowhere'/,
    },
    {
      it: 'comes to its end',
      name: 'app.cjs',
      script: ``,
      says: /app\.cjs has come to its end without listening$/,
    },
  ])('$it: one line, and exit status 1', async ({ name, script, says }) => {
    const { exit, stdout, stderr } = await endOf({ name, script });
    const [line = '', rest] = stderr.split('\n');

    expect({ exit, stdout, rest }).toEqual({ exit: 1, stdout: '', rest: '' });
    expect(line).toMatch(/^postern: /);
    expect(line.slice('postern: '.length)).toMatch(says);
  });

  test('a script that handles its own errors does', async () => {
    const script = `process.on('uncaughtException', (error) => { console.log(error.message); process.exit(9); });
      setImmediate(() => { throw new Error('as wanted'); });`;

    expect(await endOf({ script })).toEqual({ exit: 9, stdout: 'as wanted\n', stderr: '' });
  });
});

describe('the socket', () => {
  const script = `${HELLO} server.on('error', () => console.log('told the script')); server.listen(3000);`;

  test('that cannot be had ends the process with one line', async () => {
    const result = await endOf({
      script,
      args: (path, folder) => {
        writeFileSync(join(folder, 's'), '');
        return [MAIN, 'server', path, '--socket', join(folder, 's')];
      },
    });

    expect(result).toMatchObject({ exit: 1, stdout: '' });
    expect(result.stderr).toMatch(
      /^postern: \S+ exists and is a regular file, not a socket; it is left alone\n$/,
    );
  });

  test.each([
    {
      how: 'standard input',
      stdio: (fd: number): StdioOptions => [fd, 'pipe', 'pipe'],
      environment: {},
    },
    {
      how: 'systemd',
      stdio: (fd: number): StdioOptions => ['ignore', 'pipe', 'pipe', fd],
      environment: { LISTEN_FDS: '1' },
    },
  ] as const)('is inherited from $how', async ({ how, stdio, environment }) => {
    const server = createServer().listen(0, '127.0.0.1');

    await once(server, 'listening');

    const { port } = server.address() as AddressInfo;

    await withScript(
      {
        // The process sets LISTEN_PID itself: it alone knows its number.
        script: `${HELLO} server.listen(3000);`,
        args: (path) =>
          how === 'systemd'
            ? [
                '-e',
                `process.env.LISTEN_PID = String(process.pid); require(process.argv[1])`,
                MAIN,
                'server',
                path,
              ]
            : [MAIN, 'server', path],
        stdio: stdio(descriptorOf(server)),
        environment,
      },
      async (running) => {
        server.close();

        const client = await running.connect(port);

        expect(textOf(await client.request(pairsOf()))).toMatch(/hello GET \/path$/);
      },
    );
  });

  test.each([
    { how: 'nothing', stdin: 'ignore' },
    { how: 'a connected socket', stdin: 'pipe' },
  ] as const)('is missed with $how as standard input', async ({ stdin }) => {
    const result = await endOf({
      script,
      args: (path) => [MAIN, 'server', path],
      stdio: [stdin, 'pipe', 'pipe'],
    });

    expect(result).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(/^postern: nothing to serve\./),
    });
  });
});

/** The descriptor of a server, for which Node has no public word. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}
