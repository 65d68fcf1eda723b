/* eslint-disable @typescript-eslint/no-deprecated -- applications go on using it */
/** Writing the response's body, and what is told about it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { finished, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Behaviour, Scene } from '../behaviour';

const BIG = Buffer.alloc(3_000_000, 'response ');
const storage = new AsyncLocalStorage<string>();

function writes(name: string, handle: (scene: Scene) => unknown): Behaviour {
  return {
    name,
    handle: (scene) => {
      scene.watch('response');
      return handle(scene);
    },
  };
}

const turn = (): Promise<void> => new Promise(setImmediate);

export const responseBodies: readonly Behaviour[] = [
  writes('end(string)', ({ response }) => response.end('text')),
  writes('end(string, encoding)', ({ response }) => response.end('68656c6c6f', 'hex')),
  writes('end(string, "latin1")', ({ response }) => response.end('caf\xe9', 'latin1')),
  writes('write(string, "base64")', ({ response }) => {
    response.write('aGVsbG8=', 'base64');
    response.end();
  }),
  writes('write(string, "utf16le")', ({ response }) => {
    response.write('hi', 'utf16le');
    response.end();
  }),
  writes('end(Uint8Array)', ({ response }) => response.end(new Uint8Array([104, 105]))),
  writes('end(callback)', ({ response, log }) =>
    response.end(() => log('called', response.writableFinished)),
  ),
  writes('end(string, callback)', ({ response, log }) => response.end('x', () => log('called'))),
  writes('end(string, encoding, callback)', ({ response, log }) =>
    response.end('x', 'utf8', () => log('called')),
  ),
  writes('end returns res', ({ response, log }) => log(response.end('x') === response)),
  writes('end twice', ({ response, log }) => {
    response.end('x');
    response.end();
    response.end(() => log('second callback'));
  }),
  writes('end after finish', async ({ response, log }) => {
    response.end('x');
    await once(response, 'finish');
    response.end((error?: Error) => log('callback', error));
  }),
  writes('flags around the end', async ({ response, log }) => {
    const flags = (): void =>
      log([
        response.headersSent,
        response.writable,
        response.writableEnded,
        response.writableFinished,
        response.finished,
        response.destroyed,
        response.socket === null,
      ]);

    flags();
    response.write('a');
    flags();
    response.end('b');
    flags();
    await once(response, 'finish');
    flags();
    await once(response, 'close');
    flags();
  }),
  writes('write callbacks', ({ response, log }) => {
    response.write('a', () => log('a written'));
    response.write('b', 'utf8', () => {
      log('b written');
      response.end('c', () => log('all written'));
    });
    log('returned');
  }),
  writes('write returns true for little', ({ response, log }) => {
    log(response.write('a'), response.writableLength > 0, response.writableNeedDrain);
    response.end();
  }),
  writes('writableLength within a tick and after it', async ({ response, log }) => {
    response.write(Buffer.from('12345'));
    log(response.writableLength > 0);
    await turn();
    log(response.writableLength);
    response.end();
  }),
  writes('write after end: error with a listener', ({ response, log }) => {
    response.end('x');
    log(response.write('late', (error) => log('callback', error)));
  }),
  writes('write after finish', async ({ response, log }) => {
    response.end('x');
    await once(response, 'close');
    log(response.write('late', (error) => log('callback', error)));
    await turn();
  }),
  writes('end with data after end', ({ response }) => {
    response.end('x');
    response.end('late');
  }),
  writes('write(null) and write(5)', ({ response, log }) => {
    for (const chunk of [null, 5, {}, undefined]) {
      try {
        response.write(chunk);
      } catch (error) {
        log((error as NodeJS.ErrnoException).code);
      }
    }
    response.end('x');
  }),
  writes('empty writes', ({ response, log }) => {
    log(response.write(''), response.headersSent);
    log(response.write(Buffer.alloc(0)));
    response.end('x');
  }),
  writes('many small writes', ({ response }) => {
    for (let index = 0; index < 2000; index++) {
      response.write(`line ${String(index)}\n`);
    }
    response.end();
  }),
  writes('one big end', ({ response }) => response.end(BIG)),
  writes('one big string', ({ response }) => response.end(BIG.toString())),
  {
    name: 'drain: written as fast as it goes',
    handle: async ({ response, log }) => {
      let drains = 0;

      for (let index = 0; index < 30; index++) {
        if (!response.write(BIG.subarray(0, 100_000))) {
          await once(response, 'drain');
          drains++;
        }
      }
      log(drains > 0, response.writableNeedDrain);
      response.end();
    },
  },
  {
    name: 'write says false above the high water mark, and drain follows',
    handle: async ({ response, log }) => {
      log(response.write(BIG.subarray(0, 200_000)), response.writableNeedDrain);
      await once(response, 'drain');
      log(response.writableNeedDrain);
      response.end();
    },
  },
  writes('cork and uncork', async ({ response, log }) => {
    response.cork();
    response.write('a');
    response.write('b');
    log(response.writableCorked);
    response.uncork();
    log(response.writableCorked);
    await turn();
    log(response.writableCorked);
    response.end('c');
  }),
  writes('flushHeaders after a while', async ({ response, log }) => {
    response.flushHeaders();
    await turn();
    log(response.headersSent, response.writableLength);
    response.write('a');
    await turn();
    response.end('b');
  }),
  writes('pipe a Readable into it', ({ response }) => {
    Readable.from(['one ', 'two ', 'three']).pipe(response);
  }),
  writes('pipeline from a file', async ({ response, log }) => {
    await pipeline(createReadStream(__filename, { end: 999 }), response);
    log('piped', response.writableFinished);
  }),
  writes('pipeline from a generator', async ({ response, log }) => {
    await pipeline(async function* () {
      yield 'a';
      await turn();
      yield 'b';
    }, response);
    log('piped');
  }),
  writes('pipeline of much', async ({ response, log }) => {
    await pipeline(Readable.from(Array.from({ length: 40 }, () => BIG.subarray(0, 50_000))), response);
    log('piped');
  }),
  writes('stream.finished(res)', ({ response, log }) => {
    finished(response, (error) => log('finished', error?.message ?? 'well'));
    response.write('a');
    setImmediate(() => response.end('b'));
  }),
  writes('res.pipe is refused', ({ response }) => {
    (response as unknown as { pipe(): void }).pipe();
    response.end('x');
  }),
  {
    name: 'AsyncLocalStorage.run: the context in callbacks',
    request: { method: 'POST', body: 'x' },
    handle: ({ request, response, log }) => {
      storage.run('mine', () => {
        setImmediate(() => log('timer', storage.getStore()));
        response.on('finish', () => log('finish', storage.getStore()));
        response.write('a', () => log('written', storage.getStore()));
        void Promise.resolve().then(() => log('promise', storage.getStore()));
        setTimeout(() => {
          response.end('b', () => log('ended', storage.getStore()));
        }, 5);
      });
      request.resume();
    },
  },
  {
    name: 'AsyncLocalStorage.enterWith stays with its request',
    request: { method: 'POST', body: 'x'.repeat(100) },
    handle: ({ request, response, log }) => {
      storage.enterWith('entered');
      request.on('data', () => log('data', storage.getStore()));
      // What comes later has it in some versions of Node and not in others.
      request.on('end', () => response.end('x'));
    },
  },
  {
    name: 'head arrives before the body',
    unbufferedOnly: true,
    handle: async ({ response, clientReached }) => {
      response.setHeader('X-Early', 'yes');
      response.flushHeaders();
      await clientReached('head');
      response.end('body');
    },
    client: async ({ exchange, reach, log }) => {
      log('head', (await exchange.head).status);
      reach('head');
    },
  },
  {
    name: 'server-sent events arrive one by one',
    unbufferedOnly: true,
    handle: async ({ response, clientReached }) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
      for (let index = 1; index <= 4; index++) {
        response.write('data: event\n\n');
        await clientReached(`event ${String(index)}`);
      }
      response.end();
    },
    client: async ({ exchange, reach, log }) => {
      for (let index = 1; index <= 4; index++) {
        await exchange.bodyReached(index * 'data: event\n\n'.length);
        log('event', index);
        reach(`event ${String(index)}`);
      }
    },
  },
  {
    name: 'X-Accel-Buffering: no lets events through a buffering nginx',
    handle: async ({ response, clientReached }) => {
      response.writeHead(200, { 'X-Accel-Buffering': 'no' });
      response.write('first\n');
      await clientReached('first');
      response.end('second\n');
    },
    client: async ({ exchange, reach, log }) => {
      await exchange.bodyReached(6);
      log('first');
      reach('first');
    },
  },
];
