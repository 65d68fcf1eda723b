/** What the command line takes for an application, each asked once as CGI. */
import { spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { withTemporaryFolder } from '../../../support/temporary-folder';

jest.setTimeout(30_000);

const ROOT = join(__dirname, '../../../..');
const MAIN = join(ROOT, 'dist/postern.js');

const CGI = {
  REQUEST_METHOD: 'GET',
  SERVER_PROTOCOL: 'HTTP/1.1',
  PATH_INFO: '/x',
  REQUEST_URI: '/x',
  HTTP_HOST: 'a.test',
};

/** The body of the response; @throws when there is none, with what was said about it. */
function answerOf(
  code: string,
  { name = 'app.js', exportName = '', options = [] as readonly string[] } = {},
): Promise<string> {
  return withTemporaryFolder((folder) => {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, name), code);

    const { stdout, stderr } = spawnSync(
      process.execPath,
      [MAIN, 'cgi', ...options, join(folder, name) + exportName],
      { encoding: 'utf8', input: '', env: { PATH: process.env['PATH'], ...CGI } },
    );

    if (!stdout.startsWith('Status: 200 ')) {
      throw new Error(stdout + stderr);
    }
    return Promise.resolve(stdout.slice(stdout.indexOf('\r\n\r\n') + 4));
  });
}

const GATEWAY = `(environ, start) => { start('200 OK', []); return 'gateway ' + environ.PATH_INFO; }`;

describe('a gateway application', () => {
  test.each([
    { it: 'is the module itself', code: `module.exports = ${GATEWAY}` },
    { it: 'is its export application', code: `exports.application = ${GATEWAY}; exports.app = 5;` },
    { it: 'is its export app', code: `exports.app = ${GATEWAY}; exports.handler = 5;` },
    { it: 'is its export handler', code: `exports.handler = ${GATEWAY};` },
    { it: 'is the default export', code: `export default ${GATEWAY}`, name: 'app.mjs' },
    {
      it: 'is the awaited default export',
      code: `export default await (async () => ${GATEWAY})()`,
      name: 'app.mjs',
    },
    { it: 'is a promise', code: `module.exports = (async () => ${GATEWAY})()` },
    { it: 'is a promise by that name', code: `exports.app = (async () => ${GATEWAY})()` },
    { it: 'is a compiled default export', code: `exports.__esModule = true; exports.default = ${GATEWAY}` },
    { it: 'is below a default export', code: `export default { app: ${GATEWAY} }`, name: 'app.mjs' },
    { it: 'has a name', code: `exports.mine = ${GATEWAY}; exports.app = 5;`, exportName: ':mine' },
    {
      it: 'is TypeScript',
      code: `export const app = (environ: any, start: any): string => { start('200 OK', []); return 'gateway ' + environ.PATH_INFO; }`,
      name: 'app.ts',
    },
    { it: 'takes its arguments as they come', code: `module.exports = (...args) => (${GATEWAY})(...args)` },
    {
      it: 'takes more, and says so',
      code: `module.exports = (environ, start, more) => (${GATEWAY})(environ, start)`,
      options: ['--as', 'gateway'],
    },
    {
      it: 'has a method handle(), and says so',
      code: `module.exports = Object.assign(${GATEWAY}, { handle() {}, use() {} })`,
      options: ['--as', 'gateway'],
    },
  ])('$it', async ({ code, name, exportName, options }) => {
    expect(
      await answerOf(code, {
        ...(name === undefined ? {} : { name }),
        ...(exportName === undefined ? {} : { exportName }),
        ...(options === undefined ? {} : { options }),
      }),
    ).toBe('gateway /x');
  });
});

describe('a Node application', () => {
  const EXPRESS = `const app = require('express')(); app.get('/x', (req, res) => res.send('node ' + req.url));`;

  test.each([
    { it: 'Express', code: `${EXPRESS} module.exports = app;` },
    {
      it: 'Express with other exports on it',
      code: `${EXPRESS} module.exports = app; app.handler = () => 'for something else';`,
    },
    { it: 'Express by that name', code: `${EXPRESS} exports.app = app;` },
    {
      it: 'Express as an ES module',
      name: 'app.mjs',
      code: `import express from 'express'; const app = express(); app.get('/x', (req, res) => res.send('node ' + req.url)); export default app;`,
    },
    {
      it: 'Koa',
      code: `const app = new (require('koa'))(); app.use((ctx) => { ctx.body = 'node ' + ctx.url; }); module.exports = app;`,
    },
    {
      it: 'Koa as an ES module',
      name: 'app.mjs',
      code: `import Koa from 'koa'; const app = new Koa(); app.use((ctx) => { ctx.body = 'node ' + ctx.url; }); export default app;`,
    },
    {
      it: 'Fastify',
      code: `const app = require('fastify')(); app.get('/x', async (req) => 'node ' + req.url); module.exports = app;`,
    },
    {
      it: 'Fastify as an ES module',
      name: 'app.mjs',
      code: `import fastify from 'fastify'; const app = fastify(); app.get('/x', async (req) => 'node ' + req.url); export default app;`,
    },
    {
      it: 'the promise of a Fastify instance',
      code: `const app = require('fastify')(); app.get('/x', async (req) => 'node ' + req.url); exports.app = (async () => app)();`,
    },
    {
      it: 'a server that does not listen',
      code: `module.exports = require('http').createServer((req, res) => res.end('node ' + req.url));`,
    },
    {
      it: 'a plain handler that says so',
      code: `module.exports = (req, res) => res.end('node ' + req.url);`,
      options: ['--as', 'node'],
    },
    {
      it: 'a handler of three arguments that says so',
      code: `exports.handler = (req, res, next) => res.end('node ' + req.url);`,
      options: ['--as=node'],
    },
  ])('$it', async ({ code, name, options }) => {
    expect(
      await answerOf(code, {
        ...(name === undefined ? {} : { name }),
        ...(options === undefined ? {} : { options }),
      }),
    ).toBe('node /x');
  });
});

describe('a fetch application', () => {
  test.each([
    {
      it: 'Hono',
      name: 'app.mjs',
      code: `import { Hono } from 'hono'; const app = new Hono(); app.get('/x', (c) => c.text('fetch ' + c.req.url)); export default app;`,
    },
    {
      it: 'Hono, required',
      name: 'app.js',
      code: `const { Hono } = require('hono'); const app = new Hono(); app.get('/x', (c) => c.text('fetch ' + c.req.url)); module.exports = app;`,
    },
    {
      it: 'h3',
      name: 'app.mjs',
      code: `import { H3 } from 'h3'; const app = new H3(); app.get('/x', (event) => 'fetch ' + event.req.url); export default app;`,
    },
    {
      it: 'an object with fetch()',
      name: 'app.mjs',
      code: `export default { fetch(request) { return new Response('fetch ' + request.url); } }`,
    },
    {
      it: 'an object with fetch(), required',
      name: 'app.js',
      code: `module.exports = { fetch: async (request) => new Response('fetch ' + request.url) }`,
    },
    {
      it: 'a module with an export fetch',
      name: 'app.mjs',
      code: `export async function fetch(request) { return new Response('fetch ' + request.url); }`,
    },
    {
      it: 'a bare function that says so',
      name: 'app.js',
      code: `module.exports = (request) => new Response('fetch ' + request.url)`,
      options: ['--as', 'fetch'],
    },
  ])('$it', async ({ code, name, options }) => {
    expect(await answerOf(code, { name, ...(options === undefined ? {} : { options }) })).toBe(
      'fetch http://a.test/x',
    );
  });
});

test('an application of the gateway loads nothing that is for others', async () => {
  const code = `
    module.exports = (environ, start) => {
      start('200 OK', []);
      return JSON.stringify([...Object.keys(require.cache), ...process.moduleLoadList]);
    };`;
  const loaded = JSON.parse(await answerOf(code)) as string[];

  expect(
    loaded.filter((name) =>
      /adapters\/(?:node|fetch|server|fastcgi|daemon)|foreign-application|server-command|NativeModule (?:http|net|stream|child_process|internal\/deps\/undici\/undici)$/.test(
        name,
      ),
    ),
  ).toEqual([]);
});
