'use strict';
// A handler of node:http and nothing else.
const { createReadStream, statSync } = require('node:fs');
const { join } = require('node:path');
const { Readable, pipeline } = require('node:stream');
const { createGzip } = require('node:zlib');
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

const folder = makeFolder();

const routes = {
  '/text': (req, res) => res.end('hello'),
  '/json': (req, res) => json(res, { hello: 'world' }),
  '/empty': (req, res) => res.writeHead(204).end(),
  '/etag': (req, res) => {
    res.setHeader('ETag', '"abc"');
    res.statusCode = req.headers['if-none-match'] === '"abc"' ? 304 : 200;
    res.end('tagged');
  },
  '/echo': async (req, res) => json(res, { ...describe(req), body: (await read(req)).toString('latin1') }),
  '/length': async (req, res) => json(res, { length: (await read(req)).length }),
  '/parse': async (req, res) => {
    try {
      json(res, JSON.parse((await read(req)).toString()));
    } catch {
      res.writeHead(400).end('bad JSON');
    }
  },
  '/form': async (req, res) =>
    json(res, Object.fromEntries(new URLSearchParams((await read(req)).toString()))),
  '/upload': async (req, res) =>
    json(res, { length: (await read(req)).length, type: req.headers['content-type'] }),
  '/ignore': (req, res) => res.end('ignored'),
  '/pipe': (req, res) => req.pipe(res),
  '/cookies': (req, res) => {
    res.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2; HttpOnly']);
    json(res, { cookie: req.headers.cookie });
  },
  '/redirect': (req, res) => res.writeHead(302, { Location: '/text' }).end(),
  '/created': (req, res) => res.writeHead(201, { Location: '/text' }).end('created'),
  '/stream': (req, res) => pipeline(Readable.from(pieces()), res, () => undefined),
  '/events': (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    pipeline(Readable.from(events()), res, () => undefined);
  },
  '/big': (req, res) => res.end(BIG),
  '/long': (req, res) => {
    res.setHeader('Vary', 'Accept-Encoding');
    if (!/gzip/.test(req.headers['accept-encoding'])) {
      return res.end(LONG_TEXT);
    }
    res.setHeader('Content-Encoding', 'gzip');
    return pipeline(Readable.from([LONG_TEXT]), createGzip(), res, () => undefined);
  },
  '/headers': (req, res) => {
    res.setHeader('X-Many', ['one', 'two']);
    res.setHeader('X-Latin', 'caf\xe9');
    res.end(Buffer.from('headers'));
  },
  '/throw': () => {
    throw new Error('thrown');
  },
  '/reject': async () => {
    await sleep(1);
    throw new Error('rejected');
  },
  '/late': (req, res) => pipeline(Readable.from(brokenPieces()), res, () => undefined),
  '/slow': async (req, res) => {
    await sleep(50);
    res.end('slow');
  },
  '/who': (req, res) => json(res, { encrypted: req.socket.encrypted === true }),
  '/status': (req, res) => res.writeHead(418, 'Short and Stout').end('teapot'),
};

function json(res, value) {
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify(value));
}

function file(req, res, name) {
  const path = join(folder, name);
  const { size } = statSync(path);
  const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '') ?? [];
  res.setHeader('Accept-Ranges', 'bytes');
  if (start === undefined) {
    res.setHeader('Content-Length', size);
    return pipeline(createReadStream(path), res, () => undefined);
  }
  if (Number(start) >= size) {
    return res.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
  }

  const last = end === '' ? size - 1 : Math.min(Number(end), size - 1);
  res.writeHead(206, {
    'Content-Range': `bytes ${start}-${last}/${size}`,
    'Content-Length': last - Number(start) + 1,
  });
  return pipeline(createReadStream(path, { start: Number(start), end: last }), res, () => undefined);
}

function handler(req, res) {
  const path = req.url.split('?')[0];
  if (path.startsWith('/static/')) {
    return file(req, res, decodeURIComponent(path.slice('/static/'.length)));
  }
  const route = routes[path];
  if (route === undefined) {
    return res.writeHead(404).end('not found');
  }
  return route(req, res);
}

module.exports = handler;
