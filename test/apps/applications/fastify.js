'use strict';
const { createReadStream } = require('node:fs');
const { join } = require('node:path');
const { Readable } = require('node:stream');
const Fastify = require('fastify');
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

const app = Fastify({ bodyLimit: 2_000_000 });
const folder = makeFolder();

app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (request, body, done) =>
  done(null, Object.fromEntries(new URLSearchParams(body))),
);
app.addContentTypeParser('*', (request, payload, done) =>
  read(payload).then((body) => done(null, body), done),
);
app.addHook('onSend', async (request, reply) => void reply.header('X-Hook', 'sent'));

app.get('/text', () => 'hello');
app.get('/json', () => ({ hello: 'world' }));
app.all('/empty', (request, reply) => reply.code(204).send());
app.get('/etag', (request, reply) =>
  request.headers['if-none-match'] === '"abc"'
    ? reply.code(304).send()
    : reply.header('ETag', '"abc"').send('tagged'),
);
app.all('/echo', (request) => ({ ...describe(request.raw), body: request.body?.toString('latin1') ?? '' }));
app.all('/length', (request) => ({ length: request.body?.length ?? 0 }));
app.post('/parse', (request) => request.body);
app.post('/form', (request) => request.body);
app.post('/upload', (request) => ({ length: request.body.length, type: request.headers['content-type'] }));
app.post('/ignore', () => 'ignored');
app.post('/pipe', (request, reply) => reply.send(request.body));
app.post('/limited', { bodyLimit: 10 }, () => 'never');
app.get('/cookies', (request, reply) => {
  reply.header('Set-Cookie', 'a=1; Path=/').header('Set-Cookie', 'b=2; HttpOnly');
  return { cookie: request.headers.cookie };
});
app.get('/redirect', (request, reply) => reply.redirect('/text'));
app.get('/created', (request, reply) => reply.code(201).header('Location', '/text').send('created'));
app.get('/stream', (request, reply) => reply.send(Readable.from(pieces(), { objectMode: false })));
app.get('/events', (request, reply) => {
  reply.header('Content-Type', 'text/event-stream');
  return reply.send(Readable.from(events(), { objectMode: false }));
});
app.get('/big', (request, reply) => reply.send(BIG));
app.get('/long', () => LONG_TEXT);
app.get('/headers', (request, reply) =>
  reply.header('X-Many', ['one', 'two']).header('X-Latin', 'caf\xe9').send(Buffer.from('headers')),
);
app.get('/throw', () => {
  throw new Error('thrown');
});
app.get('/reject', async () => {
  await sleep(1);
  throw new Error('rejected');
});
app.get('/late', (request, reply) => reply.send(Readable.from(brokenPieces(), { objectMode: false })));
app.get('/slow', async () => {
  await sleep(50);
  return 'slow';
});
app.get('/who', ({ protocol, host, hostname, originalUrl, url, query }) => ({
  protocol,
  host,
  hostname,
  originalUrl,
  url,
  query,
}));
app.get('/status', (request, reply) => {
  reply.raw.statusMessage = 'Short and Stout';
  return reply.code(418).send('teapot');
});
app.get('/raw', (request, reply) => {
  reply.hijack();
  reply.raw.writeHead(203, { 'X-Raw': 'yes' });
  reply.raw.end('raw');
});
app.get('/static/:name', (request, reply) => reply.send(createReadStream(join(folder, request.params.name))));

module.exports = app;
