/* eslint-disable @typescript-eslint/no-deprecated -- applications go on using it */
/** Reading the request's body, in all the ways there are. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished, PassThrough, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import type { Behaviour } from '../behaviour';

const BIG = Buffer.alloc(1_000_000, 'abcdefghij');
const POST_SMALL = { method: 'POST', body: 'small body' };
const POST_BIG = { method: 'POST', body: BIG };

const upperCase = (): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      callback(null, chunk.toString().toUpperCase());
    },
  });

export const requestBodies: readonly Behaviour[] = [
  ...[
    ['no body', {}],
    ['an empty body', { method: 'POST', body: '' }],
    ['a small body', POST_SMALL],
    ['a big body', POST_BIG],
    ['a chunked body', { method: 'POST', body: 'chunked body', chunked: true }],
    ['a big chunked body', { method: 'POST', body: [BIG, BIG], chunked: true }],
    ['an empty chunked body', { method: 'POST', body: '', chunked: true }],
    ['a body of a GET', { method: 'GET', body: 'strange' }],
    ['a body of a DELETE', { method: 'DELETE', body: 'less strange' }],
  ].map(([what, request]): Behaviour => ({
    name: `events of ${what as string}, read`,
    request: request as object,
    handle: ({ request, response, log, watch }) => {
      let length = 0;

      watch('request', 'response');
      request.on('data', (chunk: Buffer) => (length += chunk.length));
      request.on('end', () => {
        log(length, request.complete, request.readableEnded, request.destroyed);
        response.end('read');
      });
    },
  })),
  ...[
    ['no body', {}],
    ['a small body', POST_SMALL],
  ].map(([what, request]): Behaviour => ({
    name: `events of ${what as string}, unread`,
    request: request as object,
    handle: ({ response, watch }) => {
      watch('request', 'response');
      response.end('unread');
    },
  })),
  {
    name: 'a big body, unread',
    request: { method: 'POST', body: BIG.subarray(0, 200_000) },
    difference: {
      why: 'nginx stops sending a body that is answered; for node:http its request then never ends',
    },
    handle: ({ response, watch }) => {
      watch('request', 'response');
      response.end('unread');
    },
  },
  {
    name: 'an unread body, answered later',
    request: POST_SMALL,
    handle: async ({ response, watch }) => {
      watch('request', 'response');
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      response.end('later');
    },
  },
  {
    name: 'a half-read body, answered in the middle',
    request: { method: 'POST', body: BIG.subarray(0, 100_000) },
    handle: ({ request, response, log, watch }) => {
      watch('response');
      request.once('data', () => {
        request.pause();
        log('first chunk', request.complete);
        response.end('enough');
      });
      response.on('close', () => request.resume());
    },
  },
  {
    name: 'for await (const chunk of req)',
    request: POST_BIG,
    handle: async ({ request, response, log, watch }) => {
      let length = 0;

      watch('request');
      for await (const chunk of request) {
        length += (chunk as Buffer).length;
      }
      log(length, request.destroyed, request.complete);
      response.end(String(length));
    },
  },
  {
    name: 'for await of a request without body',
    handle: async ({ request, response, log }) => {
      for await (const chunk of request) {
        log('chunk', (chunk as Buffer).length);
      }
      log('over', request.destroyed, request.complete, request.readableEnded);
      response.end('over');
    },
  },
  {
    name: 'for await, left early',
    request: { method: 'POST', body: BIG.subarray(0, 30_000) },
    handle: async ({ request, response, log, watch }) => {
      watch('request', 'response');
      for await (const chunk of request) {
        log('chunk', (chunk as Buffer).length > 0);
        break;
      }
      log(request.destroyed, request.aborted);
      response.end('left');
    },
  },
  {
    name: 'once(req, "end") after resume',
    request: POST_SMALL,
    handle: async ({ request, response, log }) => {
      request.resume();
      await once(request, 'end');
      log('ended', request.readableEnded);
      response.end('ok');
    },
  },
  {
    name: 'readable and read()',
    request: POST_SMALL,
    handle: ({ request, response, log }) => {
      let all = '';

      request.on('readable', () => {
        for (let chunk; (chunk = request.read() as Buffer | null) !== null;) {
          all += chunk.toString();
        }
      });
      request.on('end', () => {
        log('end', all);
        response.end(all);
      });
    },
  },
  {
    name: 'req.setEncoding',
    request: { method: 'POST', body: 'gr\u00fc\u00dfe \u20ac' },
    handle: async ({ request, response, log }) => {
      request.setEncoding('utf8');
      let all = '';
      for await (const chunk of request) {
        log(typeof chunk);
        all += chunk as string;
      }
      response.end(all);
    },
  },
  {
    name: 'a listener that comes late misses nothing',
    request: POST_SMALL,
    handle: async ({ request, response }) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      response.end(await text(request));
    },
  },
  {
    name: 'pause and resume within a body',
    request: POST_BIG,
    handle: ({ request, response, log }) => {
      let length = 0;

      request.on('data', (chunk: Buffer) => {
        length += chunk.length;
        request.pause();
        setImmediate(() => request.resume());
      });
      request.on('end', () => {
        log(length);
        response.end(String(length));
      });
    },
  },
  {
    name: 'pipeline(req, file)',
    request: POST_BIG,
    handle: async ({ request, response, log }) => {
      const file = join(tmpdir(), `postern-upload-${String(process.pid)}-${String(Math.random()).slice(2)}`);

      try {
        await pipeline(request, createWriteStream(file));
        log((await readFile(file)).equals(BIG));
        response.end('stored');
      } finally {
        await rm(file, { force: true });
      }
    },
  },
  {
    name: 'pipeline(req, transform, res)',
    request: { method: 'POST', body: 'to upper case' },
    handle: async ({ request, response, log, watch }) => {
      watch('request', 'response');
      await pipeline(request, upperCase(), response);
      log('piped', response.writableFinished, request.destroyed);
    },
  },
  {
    name: 'req.pipe(res)',
    request: { method: 'POST', body: BIG.subarray(0, 10_000) },
    handle: ({ request, response, watch }) => {
      watch('request', 'response');
      request.pipe(response);
    },
  },
  {
    name: 'req through gzip and pass-through to res',
    request: { method: 'POST', body: 'squeeze me '.repeat(100) },
    handle: async ({ request, response }) => {
      response.setHeader('Content-Encoding', 'gzip');
      await pipeline(request, createGzip({ level: 9 }), new PassThrough(), response);
    },
  },
  {
    name: 'a slow sink holds the body back and gets all of it',
    request: POST_BIG,
    handle: async ({ request, response, log }) => {
      let length = 0;

      await pipeline(
        request,
        new Writable({
          highWaterMark: 1024,
          write(chunk: Buffer, _encoding, callback) {
            length += chunk.length;
            setImmediate(callback);
          },
        }),
      );
      log(length);
      response.end('slow');
    },
  },
  {
    name: 'a body that is read after the response was ended',
    request: { method: 'POST', body: 'x'.repeat(5000) },
    handle: ({ request, response, log }) => {
      let length = 0;

      request.on('data', (chunk: Buffer) => (length += chunk.length));
      request.on('end', () => log('end', length, request.complete));
      response.end('already');
    },
  },
  {
    name: 'stream.finished(req)',
    request: POST_SMALL,
    handle: ({ request, response, log }) => {
      finished(request, (error) => {
        log('finished', error?.message ?? 'well');
        response.end('ok');
      });
      request.resume();
    },
  },
  {
    name: 'stream.finished(req) of an unread body',
    request: POST_SMALL,
    handle: ({ request, response, log }) => {
      finished(request, (error) => log('finished', error?.message ?? 'well'));
      response.end('ok');
    },
  },
  {
    name: 'req.destroy() in the middle of a body, before the head',
    request: { method: 'POST', body: BIG.subarray(0, 50_000) },
    handle: ({ request, watch, log }) => {
      watch('request', 'response');
      request.once('data', () => {
        request.destroy();
        log(request.destroyed, request.aborted, request.socket.destroyed);
      });
    },
  },
  {
    name: 'req.destroy(error)',
    request: POST_SMALL,
    handle: ({ request, watch }) => {
      watch('request', 'response');
      request.destroy(new Error('enough'));
    },
  },
  {
    name: 'req.destroy() after the body has ended leaves the response alone',
    request: POST_SMALL,
    handle: ({ request, response, watch, log }) => {
      watch('request', 'response');
      request.resume().on('end', () => {
        request.destroy();
        setImmediate(() => {
          log(request.destroyed, request.aborted, request.socket.destroyed);
          response.end('fine');
        });
      });
    },
  },
];
