/** One script of each framework that listens by itself, as its documentation has it. */
export interface FrameworkScript {
  readonly it: string;
  readonly name: string;
  /** Prints `up` when it listens. */
  readonly script: string;
  /** What it answers to a request for /path of a.test from 192.0.2.1. */
  readonly body: string;
}

export const frameworks: readonly FrameworkScript[] = [
  {
    it: 'express',
    name: 'app.cjs',
    script: `const app = require('express')();
        app.get('/path', (req, res) => res.send([req.ip, req.protocol, req.hostname].join()));
        app.listen(3000, () => console.log('up'));`,
    body: '192.0.2.1,http,a.test',
  },
  {
    it: 'koa',
    name: 'app.cjs',
    script: `const app = new (require('koa'))();
        app.use((ctx) => { ctx.body = [ctx.ip, ctx.protocol, ctx.hostname].join(); });
        app.listen(3000, () => console.log('up'));`,
    body: '192.0.2.1,http,a.test',
  },
  {
    it: 'fastify, which listens on each address of localhost',
    name: 'app.cjs',
    script: `const app = require('fastify')();
        app.get('/path', async (req) => [req.ip, req.protocol, req.hostname].join());
        app.listen({ port: 3000 }).then((address) => console.log('up', address));`,
    body: '192.0.2.1,http,a.test',
  },
  {
    it: 'hono with its node server',
    name: 'app.mjs',
    script: `import { serve } from '@hono/node-server';
        import { getConnInfo } from '@hono/node-server/conninfo';
        import { Hono } from 'hono';
        const app = new Hono();
        app.get('/path', (c) => c.text([getConnInfo(c).remote.address, c.req.url].join()));
        serve({ fetch: app.fetch, port: 3000 }, (info) => console.log('up', info.port));`,
    body: '192.0.2.1,http://a.test/path',
  },
  {
    it: 'h3',
    name: 'app.mjs',
    script: `import { H3, serve } from 'h3';
        const app = new H3();
        app.get('/path', (event) => event.req.url);
        serve(app, { port: 3000, silent: true }).ready().then(() => console.log('up'));`,
    body: 'http://a.test/path',
  },
];
