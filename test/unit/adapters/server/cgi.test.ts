import { describe, expect, jest, test } from '@jest/globals';
import { frameworks } from './frameworks';
import { cgi, MAIN } from './script-process';

jest.setTimeout(30_000);

const HELLO = `
const http = require('node:http');
console.log('loading', ...process.argv.slice(2));
const server = http.createServer((req, res) => {
  console.log('asked');
  res.end('hello ' + req.method + ' ' + req.url);
});
server.listen(3000, () => console.log('listening', server.address().port));
`;

describe('a script that listens, as CGI', () => {
  test('answers the request; what it prints goes to the log, and words of the query are not its arguments', async () => {
    expect(await cgi({ script: HELLO, args: (path) => [MAIN, 'server', path, '-s', 'word'] })).toEqual({
      exit: 0,
      stdout: 'Status: 200 OK\r\nContent-Length: 15\r\n\r\nhello GET /path',
      stderr: 'loading\nlistening 3000\nasked\n',
    });
  });

  test('gets the request after it was told that it listens', async () => {
    const script = `
      const server = require('http').createServer((req, res) => res.end(String(isReady)));
      let isReady = false;
      server.listen(3000);
      server.on('listening', async () => { await null; isReady = true; });`;

    expect((await cgi({ script })).stdout).toMatch(/true$/);
  });

  test('may take its time until it listens', async () => {
    const script = `
      const { setImmediate } = require('timers/promises');
      setImmediate().then(() => require('http').createServer((req, res) => res.end('late')).listen(3000));`;

    expect((await cgi({ script })).stdout).toMatch(/late$/);
  });

  test('as an ES module with a framework', async () => {
    const script = `
      import express from 'express';
      const app = express();
      app.get('/path', (req, res) => res.cookie('a', 'b').json({ path: req.path }));
      app.listen(process.env.PORT ?? 3000);`;

    expect(await cgi({ name: 'app.mjs', script })).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(
        /^Status: 200 OK\r\n.*Set-Cookie: a=b; Path=\/\r\n.*\{"path":"\/path"\}$/s,
      ),
    });
  });

  test.each(frameworks)('with $it', async ({ name, script, body }) => {
    const environment = { REMOTE_ADDR: '192.0.2.1', HTTP_HOST: 'a.test' };
    const result = await cgi({ name, script, environment });

    expect(result).toMatchObject({ exit: 0, stderr: expect.stringMatching(/^up/m) });
    expect(result.stdout.slice(result.stdout.indexOf('\r\n\r\n') + 4)).toBe(body);
  });

  test('with options before it', async () => {
    const args = (path: string): string[] => [MAIN, 'server', '--mount', '/path', path];

    expect((await cgi({ script: HELLO, args })).stdout).toMatch(/hello GET \/$/);
  });
});

describe('is a 500, and the log says why, when the script', () => {
  test.each([
    { it: 'throws', name: 'app.cjs', script: `throw new Error('as wanted')`, says: 'as wanted', exit: 1 },
    {
      it: 'throws as an ES module',
      name: 'app.mjs',
      script: `throw new Error('as wanted')`,
      says: 'as wanted',
      exit: 1,
    },
    { it: 'is no JavaScript', name: 'app.cjs', script: `this is not`, says: 'SyntaxError', exit: 1 },
    { it: 'never listens', name: 'app.cjs', script: ``, says: 'come to its end without listening', exit: 1 },
    { it: 'exits', name: 'app.cjs', script: `process.exit(3)`, says: 'process.exit() was called', exit: 3 },
    {
      it: 'listens with TLS',
      name: 'app.cjs',
      script: `require('https').createServer().listen(443)`,
      says: 'this script listens with https',
      exit: 1,
    },
  ])('$it', async ({ name, script, says, exit }) => {
    const result = await cgi({ name, script });

    expect(result.stdout).toMatch(/^Status: 500 Internal Server Error\r\n/);
    expect(result.stderr).toContain(says);
    expect(result.exit).toBe(exit);
  });

  test('is not there', async () => {
    const result = await cgi({ script: '', args: () => [MAIN, 'server', '/nowhere/app.js'] });

    expect(result.stdout).toMatch(/^Status: 500/);
    expect(result.stderr).toContain('no such file: /nowhere/app.js');
  });
});
