import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { serve, type HttpOptions, type HttpServer } from '../../../../adapters/http';
import type { Application, Environ } from '../../../../src/gateway/types';
import {
  HttpConnection,
  request,
  requestBytes,
  startRequest,
  type HttpOrigin,
  type HttpRequest,
  type HttpResponse,
} from '../../../support/http-client';

const TEXT: readonly (readonly [string, string])[] = [['Content-Type', 'text/plain']];

interface Front {
  readonly server: HttpServer;
  readonly origin: HttpOrigin;
  /** The lines of the error log. */
  readonly log: string[];
}

async function withFront<T>(
  application: Application,
  use: (front: Front) => Promise<T>,
  options: HttpOptions = {},
): Promise<T> {
  const log: string[] = [];
  const server = await serve(application, { port: 0, errorLog: (text) => log.push(text), ...options });

  try {
    return await use({ server, origin: { host: '127.0.0.1', port: server.address.port }, log });
  } finally {
    server.abort();
    await server.close();
  }
}

/** One request to an application. */
function ask(
  application: Application,
  options: HttpRequest = {},
  front: HttpOptions = {},
): Promise<HttpResponse> {
  return withFront(application, ({ origin }) => request(origin, options), front);
}

/** The environ of one request. */
async function environOf(options: HttpRequest, front: HttpOptions = {}): Promise<Environ> {
  let seen: Environ | undefined;

  await ask(
    (environ, startResponse) => {
      seen = environ;
      startResponse('200 OK', TEXT);
      return 'ok';
    },
    options,
    front,
  );
  if (seen === undefined) {
    throw new Error('the application was not called');
  }
  return seen;
}

const echo: Application = async (environ, startResponse) => {
  const chunks: Buffer[] = [];

  for await (const chunk of environ['wsgi.input']) {
    chunks.push(chunk as Buffer);
  }
  startResponse('200 OK', TEXT);
  return Buffer.concat(chunks);
};

function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));

  return { promise, resolve };
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) {
    await once(socket, 'close');
  }
}

describe('the environ', () => {
  test('has what PEP 3333 wants', async () => {
    const environ = await environOf({
      method: 'POST',
      target: '/a%20b//c?x=1',
      headers: [
        ['Host', 'app.example.test:99'],
        ['Content-Type', 'text/plain'],
        ['Cookie', 'a=1'],
        ['Cookie', 'b=2'],
      ],
      body: 'abc',
    });

    expect(environ).toMatchObject({
      REQUEST_METHOD: 'POST',
      SCRIPT_NAME: '',
      PATH_INFO: '/a b//c',
      QUERY_STRING: 'x=1',
      REQUEST_URI: '/a%20b//c?x=1',
      CONTENT_TYPE: 'text/plain',
      CONTENT_LENGTH: '3',
      SERVER_NAME: 'app.example.test',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_SOFTWARE: 'postern',
      REMOTE_ADDR: '127.0.0.1',
      HTTP_HOST: 'app.example.test:99',
      HTTP_COOKIE: 'a=1; b=2',
      'wsgi.url_scheme': 'http',
      'wsgi.multiprocess': false,
      'wsgi.run_once': false,
    });
    expect(environ).not.toHaveProperty('HTTP_CONTENT_LENGTH');
  });

  test('is split at the mount point', async () => {
    expect(await environOf({ target: '/app/x' }, { mount: '/app/' })).toMatchObject({
      SCRIPT_NAME: '/app',
      PATH_INFO: '/x',
    });
  });

  test('of an absolute target has its host and its path', async () => {
    expect(await environOf({ target: 'http://other.test:99/x?y' })).toMatchObject({
      HTTP_HOST: 'other.test:99',
      REQUEST_URI: '/x?y',
      PATH_INFO: '/x',
    });
  });

  test('of OPTIONS * has no path', async () => {
    expect(await environOf({ method: 'OPTIONS', target: '*' })).toMatchObject({
      REQUEST_URI: '*',
      PATH_INFO: '',
    });
  });

  test('keeps no proxy that a client names', async () => {
    expect(await environOf({ headers: [['Proxy', 'http://evil.test']] })).not.toHaveProperty('HTTP_PROXY');
  });

  test('gives the same error stream each time', async () => {
    await withFront(
      (environ, startResponse) => {
        environ['wsgi.errors'].write('one\n');
        expect(environ['wsgi.errors']).toBe(environ['wsgi.errors']);
        startResponse('200 OK', TEXT);
        return 'ok';
      },
      async ({ origin, log }) => {
        expect((await request(origin)).text).toBe('ok');
        expect(log).toEqual(['one\n']);
      },
    );
  });
});

describe('a request is refused', () => {
  const never: Application = () => {
    throw new Error('the application was called');
  };

  test('with 400 for a NUL in the path', async () => {
    expect(await ask(never, { target: '/a%00b' })).toMatchObject({ status: 400, complete: true });
  });

  test('with 400 for two hosts', async () => {
    const headers = [
      ['Host', 'a.test'],
      ['Host', 'b.test'],
    ] as const;

    expect((await ask(never, { headers })).status).toBe(400);
  });

  test('with 400 for GET *', async () => {
    expect((await ask(never, { target: '*' })).status).toBe(400);
  });

  test('with 413 for a body that announces too much', async () => {
    expect(await ask(never, { method: 'POST', body: 'abcd' }, { maxBodyBytes: 3 })).toMatchObject({
      status: 413,
      complete: true,
    });
  });

  test('with 413 for a chunked body that becomes too large', async () => {
    expect(
      await ask(echo, { method: 'POST', body: 'abcd', chunked: true }, { maxBodyBytes: 3 }),
    ).toMatchObject({ status: 413, complete: true });
  });

  test('with 501 for CONNECT', async () => {
    await withFront(never, async ({ origin }) => {
      const bytes = 'CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n';

      expect((await requestBytes(origin, bytes)).status).toBe(501);
    });
  });
});

test('a request to upgrade is answered as if it had not asked', async () => {
  const response = await ask(
    (_environ, startResponse) => {
      startResponse('200 OK', TEXT);
      return 'plain';
    },
    {
      headers: [
        ['Connection', 'Upgrade'],
        ['Upgrade', 'websocket'],
      ],
    },
  );

  expect(response).toMatchObject({ status: 200, text: 'plain' });
});

describe('a request body', () => {
  test('of known length arrives', async () => {
    expect((await ask(echo, { method: 'POST', body: 'hello' })).text).toBe('hello');
  });

  test('in the chunked coding arrives to its end, without a length', async () => {
    const response = await ask(
      async (environ, startResponse) => {
        const chunks = await environ['wsgi.input'].toArray();

        startResponse('200 OK', TEXT);
        return `${String(environ.CONTENT_LENGTH)} ${Buffer.concat(chunks).toString()}`;
      },
      { method: 'POST', body: ['one,', 'two'].map((text) => Buffer.from(text)), chunked: true },
    );

    expect(response.text).toBe('undefined one,two');
  });

  test('of a GET without one is empty', async () => {
    expect((await ask(echo)).text).toBe('');
  });

  test('of megabytes arrives as it was', async () => {
    const body = Buffer.alloc(3_000_000, 'abcdefg');
    const response = await ask(echo, { method: 'PUT', body });

    expect(response.body.equals(body)).toBe(true);
  });

  test('is not read faster than the application wants it', async () => {
    const start = deferred();
    const total = 32 * 1024 * 1024;
    let sentBytes = 0;

    function* pieces(): Generator<Buffer> {
      while (sentBytes < total) {
        sentBytes += 65536;
        yield Buffer.alloc(65536);
      }
    }

    await withFront(
      async (environ, startResponse) => {
        if (environ.REQUEST_METHOD === 'POST') {
          await start.promise;
        }
        return echo(environ, startResponse);
      },
      async ({ origin }) => {
        const exchange = startRequest(origin, { method: 'POST', body: pieces(), chunked: true });

        // Time for the upload to end, if nothing stopped it.
        for (let round = 0; round < 100; round++) {
          await request(origin);
        }
        expect(sentBytes).toBeLessThan(total);
        start.resolve();
        expect((await exchange.response).body).toHaveLength(total);
      },
    );
  });

  for (const { how, isTouched } of [
    { how: 'that nobody reads', isTouched: false },
    { how: 'that is half read when the response ends', isTouched: true },
  ]) {
    test(`${how} does not hold up the next request`, async () => {
      await withFront(
        async (environ, startResponse) => {
          if (isTouched && environ.REQUEST_METHOD === 'POST') {
            await once(environ['wsgi.input'], 'readable');
          }
          startResponse('200 OK', [['Content-Length', '4']]);
          return environ.PATH_INFO;
        },
        async ({ origin }) => {
          const socket = connect(origin.port, origin.host);
          const answers: Buffer[] = [];

          socket.on('data', (bytes: Buffer) => answers.push(bytes));
          socket.write('POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
          socket.write(Buffer.alloc(1_000_000));
          socket.write('GET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
          await closed(socket);
          expect(
            Buffer.concat(answers)
              .toString()
              .match(/^\/...(?:HTTP)?/gm),
          ).toEqual(['/oneHTTP', '/two']);
        },
      );
    });
  }

  test('is announced with 100 Continue when the client asks', async () => {
    const response = await ask(echo, {
      method: 'POST',
      body: 'hello',
      headers: [['Expect', '100-continue']],
    });

    expect(response.interim.map(({ status }) => status)).toEqual([100]);
    expect(response.text).toBe('hello');
  });

  test('that the client breaks off is an error on the stream', async () => {
    const failed = deferred<unknown>();

    await withFront(
      async (environ, startResponse) => {
        try {
          return await echo(environ, startResponse);
        } catch (error) {
          failed.resolve(error);
          throw error;
        }
      },
      async ({ origin }) => {
        const socket = connect(origin.port, origin.host);

        socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
        await once(socket, 'connect');
        socket.end();
        expect(await failed.promise).toMatchObject({ code: 'ERR_PEER_GONE' });
        socket.destroy();
        await closed(socket);
      },
    );
  });
});

describe('a response', () => {
  test('has the status, the reason and the headers that the application gave', async () => {
    const response = await ask((_environ, startResponse) => {
      startResponse('299 Quite Fine', [
        ['X-One', 'a'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['x-one', 'b'],
        ['Content-Length', '2'],
        ['content-length', '2'],
      ]);
      return 'ok';
    });

    expect(response).toMatchObject({ status: 299, reason: 'Quite Fine', text: 'ok', framing: 'length' });
    expect(response.headerValues('set-cookie')).toEqual(['a=1', 'b=2']);
    expect(response.headerValues('x-one')).toEqual(['a', 'b']);
    expect(response.headerValues('content-length')).toEqual(['2']);
  });

  for (const { how, body } of [
    { how: 'a string', body: 'caf\u00e9' },
    { how: 'bytes', body: Buffer.from('caf\u00e9') },
    { how: 'chunks', body: ['caf', '\u00e9'] },
  ]) {
    test(`keeps the bytes of its headers before ${how}`, async () => {
      const response = await ask((_environ, startResponse) => {
        startResponse('200 \xe9', [['X-Bytes', '\x80\xff']]);
        return body;
      });

      expect(response.reason).toBe('\xe9');
      expect(response.header('x-bytes')).toBe('\x80\xff');
      expect(response.text).toBe('caf\u00e9');
    });
  }

  test('sends its head at once when write() is called with nothing', async () => {
    const go = deferred();

    await withFront(
      async (_environ, startResponse) => {
        startResponse('200 OK', [['X-Bytes', '\xff']])('');
        await go.promise;
        return 'later';
      },
      async ({ origin }) => {
        const exchange = startRequest(origin);

        expect((await exchange.head).headers).toContainEqual(['X-Bytes', '\xff']);
        go.resolve();
        expect((await exchange.response).text).toBe('later');
      },
    );
  });

  test('sends each chunk when it is made', async () => {
    const go = deferred();

    await withFront(
      (_environ, startResponse) => {
        startResponse('200 OK', TEXT);
        return (async function* () {
          yield 'one';
          await go.promise;
          yield 'two';
        })();
      },
      async ({ origin }) => {
        const exchange = startRequest(origin);

        await exchange.bodyReached(3);
        go.resolve();
        expect((await exchange.response).text).toBe('onetwo');
      },
    );
  });

  for (const { method, status } of [
    { method: 'HEAD', status: '200 OK' },
    { method: 'GET', status: '204 No Content' },
    { method: 'GET', status: '304 Not Modified' },
  ]) {
    test(`has no body for ${method} and ${status}`, async () => {
      await withFront(
        (environ, startResponse) => {
          startResponse(environ.PATH_INFO === '/' ? status : '200 OK', [['Content-Length', '4']]);
          return 'body';
        },
        async ({ origin }) => {
          const connection = new HttpConnection(origin);
          const first = await connection.request({ method });

          expect(first).toMatchObject({ status: Number(status.slice(0, 3)), text: '', complete: true });
          expect((await connection.request({ target: '/next' })).text).toBe('body');
          connection.close();
        },
      );
    });
  }

  test('that fails before its head is a 500 without details', async () => {
    const response = await ask(() => {
      throw new Error('secret');
    });

    expect(response).toMatchObject({ status: 500, complete: true });
    expect(response.text).not.toContain('secret');
  });

  test('that fails in development shows the error', async () => {
    const fail: Application = () => {
      throw new Error('no <secret>');
    };

    expect((await ask(fail, {}, { development: true })).text).toContain('no &#60;secret&#62;');
  });

  const failsLater: Application = (environ, startResponse) => {
    startResponse('200 OK', environ.PATH_INFO === '/length' ? [['Content-Length', '100']] : []);
    return (function* () {
      yield 'beginning';
      throw new Error('too late');
    })();
  };

  for (const { how, target, httpVersion } of [
    { how: 'chunked', target: '/', httpVersion: '1.1' },
    { how: 'of known length', target: '/length', httpVersion: '1.1' },
    { how: 'of known length to HTTP/1.0', target: '/length', httpVersion: '1.0' },
  ] as const) {
    test(`that fails after its head looks truncated: ${how}`, async () => {
      await withFront(failsLater, async ({ origin, log }) => {
        expect(await request(origin, { target, httpVersion })).toMatchObject({
          status: 200,
          text: 'beginning',
          complete: false,
        });
        expect(log.join('')).toContain('too late');
      });
    });
  }

  test('that fails after its head is a reset where only the close would end it', async () => {
    await withFront(failsLater, async ({ origin }) => {
      await expect(request(origin, { httpVersion: '1.0' })).rejects.toThrow(/ECONNRESET/);
    });
  });

  test('stops the application while the client does not read', async () => {
    const stopped = deferred();

    await withFront(
      (_environ, startResponse) => {
        startResponse('200 OK', []);
        return {
          // Nothing but the client's pace ever ends a turn of this.
          *[Symbol.iterator]() {
            for (;;) {
              yield Buffer.alloc(65536);
            }
          },
          close: () => stopped.resolve(),
        };
      },
      async ({ origin }) => {
        const exchange = startRequest(origin);

        await exchange.bodyReached(10_000_000);
        exchange.abort();
        await stopped.promise;
      },
    );
  });

  test('is aborted when the client leaves', async () => {
    const aborted = deferred<unknown>();

    await withFront(
      async (environ, startResponse) => {
        const signal = environ['postern.signal'];

        startResponse('200 OK', [])('first');
        await once(signal, 'abort');
        aborted.resolve(signal.reason);
        throw signal.reason;
      },
      async ({ origin, log }) => {
        const exchange = startRequest(origin);

        await exchange.bodyReached(5);
        exchange.abort();
        expect(await aborted.promise).toMatchObject({ code: 'ERR_PEER_GONE' });
        expect(log).toEqual([]);
      },
    );
  });

  test('comes for every pipelined request, in order', async () => {
    await withFront(
      async (environ, startResponse) => {
        if (environ.PATH_INFO === '/slow') {
          await new Promise((resolve) => setImmediate(resolve));
        }
        startResponse('200 OK', [['Content-Length', String(environ.PATH_INFO.length)]]);
        return environ.PATH_INFO;
      },
      async ({ origin }) => {
        const bytes =
          'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n' +
          'GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
        const first = await requestBytes(origin, bytes);

        expect(first.text).toBe('/slow');
        expect(first.surplus.toString()).toContain('/fast');
      },
    );
  });
});

describe('close()', () => {
  test('waits for a response and for the work after it', async () => {
    const begun = deferred();
    const go = deferred();
    const events: string[] = [];

    await withFront(
      async (environ, startResponse) => {
        environ['postern.after_response'](async () => {
          await new Promise((resolve) => setImmediate(resolve));
          events.push('after');
        });
        begun.resolve();
        await go.promise;
        startResponse('200 OK', TEXT);
        return 'done';
      },
      async ({ origin, server }) => {
        const connection = new HttpConnection(origin);
        const response = connection.request();

        await begun.promise;

        const closing = server.close().then(() => events.push('closed'));

        await expect(request(origin)).rejects.toThrow(/ECONNREFUSED/);
        go.resolve();
        expect(await response).toMatchObject({ text: 'done', complete: true });
        expect((await response).header('connection')).toBe('close');
        await closing;
        expect(events).toEqual(['after', 'closed']);
        connection.close();
      },
    );
  });

  test('closes connections that only wait for another request', async () => {
    await withFront(
      (_environ, startResponse) => {
        startResponse('200 OK', TEXT);
        return 'ok';
      },
      async ({ origin, server }) => {
        const connection = new HttpConnection(origin);

        expect((await connection.request()).text).toBe('ok');
        await server.close();
        connection.close();
      },
    );
  });

  test('lets a response out that has ended and not left yet', async () => {
    const ended = deferred();

    await withFront(
      (environ, startResponse) => {
        environ['postern.after_response'](() => ended.resolve());
        startResponse('200 OK', []);
        return Buffer.alloc(20_000_000);
      },
      async ({ origin, server }) => {
        const exchange = startRequest(origin, { headers: [['Connection', 'keep-alive']] });

        await exchange.head;
        exchange.pause();
        await ended.promise;

        const closing = server.close();

        exchange.resume();
        expect(await exchange.response).toMatchObject({ complete: true });
        expect((await exchange.response).body).toHaveLength(20_000_000);
        await closing;
      },
    );
  });
});

describe('the address', () => {
  const hello: Application = (_environ, startResponse) => {
    startResponse('200 OK', TEXT);
    return 'hello';
  };

  test('is a URL that answers', async () => {
    await withFront(hello, async ({ server }) => {
      expect(server.url).toBe(`http://127.0.0.1:${String(server.address.port)}/`);
      expect(await (await fetch(server.url)).text()).toBe('hello');
    });
  });

  test('that is in use is a clear error', async () => {
    await withFront(hello, async ({ server }) => {
      const { port } = server.address;

      await expect(serve(hello, { port })).rejects.toMatchObject({
        code: 'ERR_SOCKET_IN_USE',
        message: `port ${String(port)} on 127.0.0.1 is in use`,
      });
    });
  });

  test('that nobody has is a clear error', async () => {
    await expect(serve(hello, { port: 0, host: '192.0.2.1' })).rejects.toMatchObject({ code: 'ERR_LISTEN' });
  });
});
