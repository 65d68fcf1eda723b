'use strict';
const Koa = require('koa');
const { createReadStream, statSync } = require('node:fs');
const { join } = require('node:path');
const { Readable } = require('node:stream');
const {
  BIG,
  LONG_TEXT,
  brokenPieces,
  describe,
  events,
  makeFolder,
  pieces,
  read,
  sleep,
} = require('./shared');

const app = new Koa({ proxy: false });
const folder = makeFolder();

app.silent = true;
app.keys = ['secret'];

const routes = {
  '/text': (ctx) => void (ctx.body = 'hello'),
  '/json': (ctx) => void (ctx.body = { hello: 'world' }),
  '/empty': (ctx) => void (ctx.status = 204),
  '/null': (ctx) => void (ctx.body = null),
  '/etag': (ctx) => {
    ctx.etag = 'abc';
    ctx.body = 'tagged';
    ctx.status = ctx.fresh ? 304 : 200;
  },
  '/echo': async (ctx) =>
    void (ctx.body = { ...describe(ctx.req), body: (await read(ctx.req)).toString('latin1') }),
  '/length': async (ctx) => void (ctx.body = { length: (await read(ctx.req)).length }),
  '/parse': async (ctx) => {
    try {
      ctx.body = JSON.parse((await read(ctx.req)).toString());
    } catch {
      ctx.throw(400, 'bad JSON');
    }
  },
  '/form': async (ctx) =>
    void (ctx.body = Object.fromEntries(new URLSearchParams((await read(ctx.req)).toString()))),
  '/upload': async (ctx) => void (ctx.body = { length: (await read(ctx.req)).length, type: ctx.type }),
  '/ignore': (ctx) => void (ctx.body = 'ignored'),
  '/pipe': (ctx) => void (ctx.body = ctx.req),
  '/cookies': (ctx) => {
    ctx.cookies.set('a', '1', { signed: false });
    ctx.cookies.set('b', '2');
    ctx.body = { a: ctx.cookies.get('a') };
  },
  '/redirect': (ctx) => ctx.redirect('/text'),
  '/created': (ctx) => {
    ctx.status = 201;
    ctx.set('Location', '/text');
    ctx.body = 'created';
  },
  '/stream': (ctx) => void (ctx.body = Readable.from(pieces(), { objectMode: false })),
  '/events': (ctx) => {
    ctx.type = 'text/event-stream';
    ctx.body = Readable.from(events(), { objectMode: false });
  },
  '/big': (ctx) => void (ctx.body = BIG),
  '/long': (ctx) => void (ctx.body = LONG_TEXT),
  '/headers': (ctx) => {
    ctx.append('X-Many', 'one');
    ctx.append('X-Many', 'two');
    ctx.set('X-Latin', 'caf\xe9');
    ctx.vary('Accept');
    ctx.body = Buffer.from('headers');
  },
  '/throw': () => {
    throw new Error('thrown');
  },
  '/ctx-throw': (ctx) => ctx.throw(403, 'not you', { headers: { 'X-Error': 'yes' } }),
  '/reject': async () => {
    await sleep(1);
    throw new Error('rejected');
  },
  '/late': (ctx) => void (ctx.body = Readable.from(brokenPieces(), { objectMode: false })),
  '/slow': async (ctx) => {
    await sleep(50);
    ctx.body = 'slow';
  },
  '/who': (ctx) => {
    const { secure, protocol, host, hostname, href, origin, path, querystring, fresh, idempotent } = ctx;
    ctx.body = {
      secure,
      protocol,
      host,
      hostname,
      href,
      origin,
      path,
      querystring,
      fresh,
      idempotent,
    };
  },
  '/status': (ctx) => {
    ctx.status = 418;
    ctx.message = 'Short and Stout';
    ctx.body = 'teapot';
  },
  '/respond-false': (ctx) => {
    ctx.respond = false;
    ctx.res.statusCode = 202;
    setImmediate(() => ctx.res.end('by hand'));
  },
  '/fetch-response': (ctx) => void (ctx.body = new Response('from a Response', { headers: { 'X-R': '1' } })),
  '/blob': (ctx) => void (ctx.body = new Blob(['a blob'])),
};

app.use(async (ctx, next) => {
  await next();
  ctx.set('X-Upstream', 'yes');
});
app.use((ctx, next) => {
  if (!ctx.path.startsWith('/static/')) {
    return next();
  }
  const path = join(folder, decodeURIComponent(ctx.path.slice('/static/'.length)));
  ctx.length = statSync(path).size;
  ctx.type = 'text/plain';
  ctx.lastModified = statSync(path).mtime;
  ctx.body = createReadStream(path);
});
app.use((ctx) => routes[ctx.path]?.(ctx));

module.exports = app;
