/* eslint-disable @typescript-eslint/no-deprecated -- applications go on using it */
/** How requests end otherwise: errors, time-outs, clients that leave. */
import { once } from 'node:events';
import { finished, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Behaviour, Scene } from '../behaviour';

const BIG = Buffer.alloc(1_000_000, 'x');

/** A body that stops after so many bytes, and never ends. */
const halfOf = (length: number): AsyncIterable<Buffer> => ({
  async *[Symbol.asyncIterator]() {
    yield Buffer.alloc(length, 'u');
    await new Promise(() => undefined);
  },
});

function ends(name: string, handle: (scene: Scene) => unknown, rest: Partial<Behaviour> = {}): Behaviour {
  return {
    name,
    ...rest,
    handle: (scene) => {
      scene.watch('request', 'response');
      return handle(scene);
    },
  };
}

/** The client leaves when the handler says so. */
const leaves: Partial<Behaviour> = {
  noResponse: true,
  client: async ({ exchange, handlerReached }) => {
    await handlerReached('ready');
    exchange.abort();
  },
};

const upload = (more: Partial<Behaviour>): Partial<Behaviour> => ({
  ...more,
  unbufferedOnly: true,
  request: { method: 'POST', body: halfOf(1000), headers: [['Content-Length', '100000']] },
});

/** Chunks until it is destroyed, not faster than they are asked for. */
function endless(log: Scene['log']): Readable {
  const source = new Readable({
    read() {
      setImmediate(() => source.push(BIG.subarray(0, 10_000)));
    },
  });

  return source.on('close', () => log('source closed', source.destroyed));
}

const flags = ({ request, response }: Scene): unknown[] => [
  request.destroyed,
  request.aborted,
  request.complete,
  response.destroyed,
  response.writableEnded,
  response.writableFinished,
];

export const endings: readonly Behaviour[] = [
  ends(
    'the client leaves while it waits',
    (scene) => {
      scene.response.on('close', () => scene.log(flags(scene)));
      scene.reach('ready');
    },
    leaves,
  ),
  ends(
    'the client leaves while it waits, its body read',
    async (scene) => {
      for await (const chunk of scene.request) {
        scene.log(String(chunk));
      }
      scene.response.on('close', () => scene.log(flags(scene)));
      scene.reach('ready');
    },
    { ...leaves, request: { method: 'POST', body: 'abc' } },
  ),
  ends(
    'the client leaves while it waits, its body unread',
    (scene) => {
      scene.response.on('close', () => scene.log(flags(scene)));
      setImmediate(() => scene.reach('ready'));
    },
    { ...leaves, request: { method: 'POST', body: 'abc' } },
  ),
  ends(
    'writing after the client has left',
    async ({ response, log, reach }) => {
      reach('ready');
      await once(response, 'close');
      log(response.write('late', (error) => log('callback', error)));
      log(response.end('more') === response, response.headersSent, response.writableEnded);
      await new Promise(setImmediate);
    },
    leaves,
  ),
  {
    name: 'the client leaves during a download: pipe',
    ...leaves,
    handle: ({ response, log, reach }) => {
      response.on('close', () => log('close', response.writableFinished));
      response.on('finish', () => log('finish'));
      const source = endless(log);
      source.pipe(response);
      response.on('close', () => source.destroy());
      source.once('data', () => reach('ready'));
    },
  },
  {
    name: 'the client leaves during a download: pipeline',
    ...leaves,
    handle: async ({ response, log, reach }) => {
      response.on('finish', () => log('finish'));
      const source = endless(log);
      source.once('data', () => reach('ready'));
      await pipeline(source, response).then(
        () => log('piped'),
        (error: unknown) => log(error),
      );
    },
  },
  {
    name: 'the client leaves during a download: generator',
    ...leaves,
    handle: async ({ response, log, reach }) => {
      await pipeline(async function* () {
        try {
          for (;;) {
            yield BIG.subarray(0, 10_000);
            reach('ready');
            await new Promise(setImmediate);
          }
        } finally {
          log('generator closed');
        }
      }, response).catch((error: unknown) => log(error));
    },
  },
  {
    name: 'stream.finished(res) when the client leaves',
    ...leaves,
    handle: ({ response, log, reach }) => {
      finished(response, (error) => log('finished', error));
      response.write('a');
      reach('ready');
    },
  },
  {
    name: 'stream.finished(req) when the client leaves',
    ...leaves,
    handle: ({ request, log, reach }) => {
      finished(request, (error) => log('finished', error));
      reach('ready');
    },
  },
  ends(
    'the client leaves during an upload: events',
    ({ request, log, reach }) => {
      request.once('data', () => reach('ready'));
      request.on('close', () => log(request.errored?.message, request.complete));
    },
    upload(leaves),
  ),
  {
    name: 'the client leaves during an upload: for await rejects',
    ...upload(leaves),
    handle: async ({ request, log, reach }) => {
      try {
        for await (const chunk of request) {
          log((chunk as Buffer).length > 0);
          reach('ready');
        }
        log('ended');
      } catch (error) {
        log(error);
      }
    },
  },
  {
    name: 'the client leaves during an upload: pipeline rejects',
    ...upload(leaves),
    handle: async ({ request, response, log, reach }) => {
      request.once('data', () => reach('ready'));
      await pipeline(request, response).catch((error: unknown) => log(error));
    },
  },
  {
    name: 'the client leaves during an upload, with an error listener',
    ...upload(leaves),
    handle: ({ request, log, reach }) => {
      request.once('data', () => reach('ready'));
      request.on('error', (error) => log(error));
    },
  },
  ends('res.destroy() before the head', (scene) => {
    scene.response.destroy();
    scene.log(flags(scene), scene.request.socket.destroyed);
  }),
  ends('res.destroy(error) before the head', ({ response, request }) => {
    request.socket.on('error', () => undefined);
    response.destroy(new Error('broken'));
  }),
  ends('res.destroy() after some of the body', async ({ response }) => {
    response.writeHead(200, { 'Content-Length': 100_000 });
    response.write(BIG.subarray(0, 50_000));
    await new Promise((resolve) => setTimeout(resolve, 20));
    response.destroy();
  }),
  ends(
    'res.destroy() after the end',
    ({ response }) => {
      response.end('x');
      response.destroy();
    },
    {
      difference: {
        why: 'to FastCGI the response is complete at its end; node:http may lose what it has not yet sent',
      },
    },
  ),
  ends('req.socket.destroy() before the head', ({ request, watch, log }) => {
    watch('socket');
    request.socket.destroy();
    log(request.socket.destroyed, request.socket.writable, request.socket.readable);
  }),
  ends('req.socket.end() before the head', ({ request }) => {
    request.socket.end();
  }),
  ends('pipeline from a source that fails before the head', async ({ response, log }) => {
    await pipeline(
      new Readable({
        read() {
          this.destroy(new Error('no source'));
        },
      }),
      response,
    ).catch((error: unknown) => log(error));
    log(response.destroyed, response.headersSent);
  }),
  ends('a body shorter than its Content-Length', ({ response }) => {
    response.writeHead(200, { 'Content-Length': 10, Connection: 'close' });
    response.end('short');
  }),
  ends('a body longer than its Content-Length', ({ response }) => {
    response.writeHead(200, { 'Content-Length': 3 });
    response.write('long');
    response.end('er');
  }),
  ends('res.setTimeout', async ({ response, log }) => {
    response.setTimeout(30, () => log('callback'));
    await once(response, 'timeout');
    response.end('late');
  }),
  ends('req.setTimeout', ({ request, response, log }) => {
    // Complete requests are not told; the response is, if it listens.
    request.setTimeout(30, () => log('request callback'));
    response.on('timeout', () => response.end('late'));
  }),
  ends('socket.setTimeout', async ({ request, response, log }) => {
    response.on('timeout', () => undefined);
    request.socket.setTimeout(30, () => log('socket callback'));
    await once(request.socket, 'timeout');
    request.socket.setTimeout(0);
    response.end('late');
  }),
  {
    name: 'a time-out that nobody listens to destroys the socket',
    request: { method: 'POST', body: 'x' },
    handle: ({ request, response, log }) => {
      request.socket.setTimeout(30);
      request.socket.on('close', () => log('socket close'));
      response.on('close', () => log('response close', response.writableFinished));
    },
  },
];
