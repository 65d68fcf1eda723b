import { gunzipSync } from 'node:zlib';
import { getConnInfo } from '@hono/node-server/conninfo';
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import { streamSSE } from 'hono/streaming';
import { describe, expect, test } from '@jest/globals';
import { fromFetch, type FetchHandler } from '../../../../adapters/fetch/index';
import type { Application } from '../../../../src/index';
import { beginRequest, params, RecordType, responseOf, stdin } from '../../../support/records';
import { Gate, pairsOf, withServer } from '../fastcgi/running-server';

interface Answer {
  readonly head: string;
  readonly body: string;
  readonly log: string;
  readonly complete: boolean;
}

/** One request over a real FastCGI socket; strings are bytes as latin-1. */
async function ask(
  application: Application,
  variables: Readonly<Record<string, string>> = {},
  body = '',
): Promise<Answer> {
  let answer: Answer | undefined;

  await withServer(application, async (running) => {
    const client = await running.connect();
    const length = body === '' ? {} : { CONTENT_LENGTH: String(body.length) };
    const complete = await client.request(pairsOf({ ...length, ...variables }), body).then(
      () => true,
      () => false,
    );
    const text = responseOf(client.records, 1).stdout.toString('latin1');
    const end = text.indexOf('\r\n\r\n');

    answer = { head: text.slice(0, end), body: text.slice(end + 4), log: running.log.join(''), complete };
  });
  if (answer === undefined) {
    throw new Error('there was no answer');
  }
  return answer;
}

/** What a handler is given, told by itself. */
async function told(
  tell: (request: Request) => unknown,
  variables: Readonly<Record<string, string>>,
  body = '',
): Promise<unknown> {
  const handler: FetchHandler = async (request) => Response.json((await tell(request)) ?? null);

  return JSON.parse((await ask(fromFetch(handler), variables, body)).body) as unknown;
}

describe('the Request', () => {
  test.each([
    { it: 'has the host and port of the client', host: 'a.test:8080', url: 'http://a.test:8080/' },
    { it: 'has an IPv6 host', host: '[::1]:8080', url: 'http://[::1]:8080/' },
    { it: 'does not believe a host with a path', host: 'a.test/evil?', url: 'http://server.test/' },
    { it: 'does not believe a host with a user', host: 'user@a.test', url: 'http://server.test/' },
    { it: 'does not believe a port that cannot be', host: 'a.test:99999', url: 'http://server.test/' },
    { it: 'does not believe an address that cannot be', host: '1.2.3.999', url: 'http://server.test/' },
    { it: 'does without a host', host: '', url: 'http://server.test/' },
  ])('$it', async ({ host, url }) => {
    const variables = { HTTP_HOST: host, SERVER_NAME: 'server.test', SERVER_PORT: '80' };

    expect(await told((request) => request.url, variables)).toBe(url);
  });

  test.each([
    { name: 'server.test', port: '8443', url: 'https://server.test:8443/' },
    { name: '::1', port: '443', url: 'https://[::1]/' },
    { name: 'not a name', port: '443', url: 'https://localhost/' },
  ])('falls back to SERVER_NAME $name and SERVER_PORT $port', async ({ name, port, url }) => {
    const variables = { HTTPS: 'on', SERVER_NAME: name, SERVER_PORT: port };

    expect(await told((request) => request.url, variables)).toBe(url);
  });

  test.each([
    {
      it: 'keeps what is encoded',
      target: '/a%2Fb/c%20d?x=%26',
      path: '/a/b/c d',
      raw: '/a%2Fb/c%20d?x=%26',
    },
    { it: 'keeps double slashes', target: '//evil.test//x', path: '//evil.test//x', raw: '//evil.test//x' },
    { it: 'keeps a lonely question mark', target: '/x?', path: '/x', raw: '/x?' },
    { it: 'encodes raw bytes as they are', target: '/caf\xe9?\xff', path: '/caf\xe9', raw: '/caf%E9?%FF' },
    { it: 'takes no backslash for a slash', target: '/a\\..\\b', path: '/a\\..\\b', raw: '/a%5C..%5Cb' },
    { it: 'takes no hash for a fragment', target: '/a#b', path: '/a#b', raw: '/a%23b' },
    { it: 'has a path for the asterisk', target: '*', path: '', raw: '/*' },
  ])('$it', async ({ target, path, raw }) => {
    const query = target.includes('?') ? target.slice(target.indexOf('?') + 1) : '';
    const variables = { HTTP_HOST: 'a.test', REQUEST_URI: target, PATH_INFO: path, QUERY_STRING: query };

    expect(await told((request) => request.url, variables)).toBe(`http://a.test${raw}`);
  });

  test('has the URL below the mount point', async () => {
    const variables = {
      HTTP_HOST: 'a.test',
      SCRIPT_NAME: '/app',
      PATH_INFO: '/x',
      REQUEST_URI: '/app/x?y',
      QUERY_STRING: 'y',
    };

    expect(await told((request) => request.url, variables)).toBe('http://a.test/x?y');
  });

  test('has the headers, repeated ones joined, and none of the hop', async () => {
    const handler: FetchHandler = (request) => Response.json(Object.fromEntries(request.headers));

    await withServer(fromFetch(handler), async (running) => {
      const client = await running.connect();
      const response = await client.request(
        [
          ...pairsOf({ CONTENT_TYPE: 'text/plain', CONTENT_LENGTH: '2', REQUEST_METHOD: 'POST' }),
          ['HTTP_X_ONE', 'caf\xe9'],
          ['HTTP_X_TWO', '1'],
          ['HTTP_X_TWO', '2'],
          ['HTTP_COOKIE', 'a=1'],
          ['HTTP_COOKIE', 'b=2'],
          ['HTTP_CONNECTION', 'keep-alive'],
          ['HTTP_PROXY', 'evil'],
          ['HTTP_X_BROKEN', 'a\r\nb'],
        ],
        'ab',
      );
      const text = response.stdout.toString('utf8');

      expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))).toEqual({
        'x-one': 'caf\xe9',
        'x-two': '1, 2',
        cookie: 'a=1; b=2',
        'content-type': 'text/plain',
        'content-length': '2',
      });
    });
  });

  test.each(['GET', 'PUT', 'PATCH', 'PROPFIND', 'TRACE', 'CONNECT'])('has the method %s', async (method) => {
    expect(await told((request) => request.method, { REQUEST_METHOD: method })).toBe(method);
  });

  test('has the body', async () => {
    expect(await told((request) => request.text(), { REQUEST_METHOD: 'POST' }, 'the body')).toBe('the body');
  });

  test.each([
    { it: 'nothing was sent', variables: { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '0' } },
    { it: 'its method has none', variables: { REQUEST_METHOD: 'GET', CONTENT_LENGTH: '3' } },
  ])('has no body when $it', async ({ variables }) => {
    expect(await told((request) => request.body === null, variables)).toBe(true);
  });

  test('says that the length of its body is not known', async () => {
    const variables = { REQUEST_METHOD: 'POST', HTTP_TRANSFER_ENCODING: 'chunked' };
    const tell = async (request: Request): Promise<unknown> => [
      request.headers.get('transfer-encoding'),
      await request.text(),
    ];

    await withServer(
      fromFetch(async (request) => Response.json(await tell(request))),
      async (running) => {
        const client = await running.connect();
        const { stdout } = await client.request(pairsOf(variables), 'the body');

        expect(stdout.toString()).toContain('["chunked","the body"]');
      },
    );
  });

  test('is not read before its reader asks', async () => {
    const asked = new Gate();
    const handler: FetchHandler = async (request) => {
      await asked.passed;
      return new Response(await request.text());
    };
    let touched = 0;
    const application = fromFetch(handler);

    await withServer(
      (environ, startResponse) => {
        const input = environ['wsgi.input'];

        Object.defineProperty(environ, 'wsgi.input', {
          get: () => {
            touched++;
            return input;
          },
        });
        return application(environ, startResponse);
      },
      async (running) => {
        const client = await running.connect();
        const response = client.request(pairsOf({ REQUEST_METHOD: 'POST', CONTENT_LENGTH: '4' }), 'body');

        await new Promise((resolve) => setImmediate(resolve));
        expect(touched).toBe(0);
        asked.open();
        expect((await response).stdout.toString()).toMatch(/\r\n\r\nbody$/);
      },
    );
  });

  test('is aborted when the client leaves, and so is one that was made of it', async () => {
    const began = new Gate();
    const aborted = new Gate<boolean>();
    const handler: FetchHandler = (request) => {
      const made = new Request(request);

      made.signal.addEventListener('abort', () => {
        aborted.open(request.signal.aborted);
      });
      began.open();
      return new Promise(() => undefined);
    };

    await withServer(fromFetch(handler), async (running) => {
      const client = await running.connect();

      await client.write(Buffer.concat([beginRequest(1), params(1, pairsOf()), stdin(1)]));
      await began.passed;
      await client.destroy();
      expect(await aborted.passed).toBe(true);
    });
  });

  test('has a body that fails when the client leaves in the middle of it', async () => {
    const began = new Gate();
    const failed = new Gate<unknown>();
    const handler: FetchHandler = async (request) => {
      began.open();
      await request.text().catch(failed.open);
      return new Response();
    };

    await withServer(fromFetch(handler), async (running) => {
      const client = await running.connect();
      const variables = pairsOf({ REQUEST_METHOD: 'POST', CONTENT_LENGTH: '100' });

      await client.write(
        Buffer.concat([beginRequest(1), params(1, variables), stdin(1, 'half', { end: false })]),
      );
      await began.passed;
      await client.destroy();
      expect(await failed.passed).toBeInstanceOf(Error);
    });
  });
});

describe('the Response', () => {
  test('is status, headers and body, with its length', async () => {
    const handler: FetchHandler = () =>
      new Response('caf\xe9', { status: 201, headers: { 'X-One': 'caf\xe9', Connection: 'close' } });

    expect(await ask(fromFetch(handler))).toEqual({
      head: [
        'content-type: text/plain;charset=UTF-8',
        'x-one: caf\xe9',
        'content-length: 5',
        'Status: 201 Created',
      ].join('\r\n'),
      body: 'caf\xc3\xa9',
      log: '',
      complete: true,
    });
  });

  test('has a reason of its own', async () => {
    const { head } = await ask(fromFetch(() => new Response(null, { status: 599, statusText: 'Not Me' })));

    expect(head).toBe('Status: 599 Not Me');
  });

  test('has several cookies', async () => {
    const headers = new Headers([
      ['Set-Cookie', 'a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT'],
      ['Set-Cookie', 'b=2'],
    ]);
    const { head } = await ask(fromFetch(() => new Response(null, { headers })));

    expect(head.split('\r\n')).toEqual([
      'set-cookie: a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT',
      'set-cookie: b=2',
      'Status: 200 OK',
    ]);
  });

  test.each([204, 205, 304])('with status %d has no body', async (status) => {
    expect(await ask(fromFetch(() => new Response(null, { status })))).toMatchObject({
      body: '',
      complete: true,
    });
  });

  test('to HEAD has the length and no body, and its stream is cancelled', async () => {
    let isCancelled = false;
    const stream = new ReadableStream({
      cancel: () => {
        isCancelled = true;
      },
    });

    expect(
      await ask(
        fromFetch(() => new Response('body')),
        { REQUEST_METHOD: 'HEAD' },
      ),
    ).toEqual({
      head: 'content-type: text/plain;charset=UTF-8\r\ncontent-length: 4\r\nStatus: 200 OK',
      body: '',
      log: '',
      complete: true,
    });
    expect(
      await ask(
        fromFetch(() => new Response(stream)),
        { REQUEST_METHOD: 'HEAD' },
      ),
    ).toMatchObject({
      complete: true,
      log: '',
    });
    expect(isCancelled).toBe(true);
  });

  test('is streamed: the head before the first chunk, each chunk when it is made', async () => {
    const gates = [new Gate(), new Gate()];
    let pulls = 0;
    const stream = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const gate = gates[pulls++];

          if (gate === undefined) {
            controller.close();
            return;
          }
          await gate.passed;
          controller.enqueue(Buffer.from(`chunk ${String(pulls)}\n`));
        },
      },
      { highWaterMark: 0 },
    );

    await withServer(
      fromFetch(() => new Response(stream)),
      async (running) => {
        const client = await running.connect();
        const response = client.request(pairsOf());
        const stdout = (): string => responseOf(client.records, 1).stdout.toString();

        await client.waitForRecord(({ type }) => type === RecordType.STDOUT);
        expect(stdout()).toBe('Status: 200 OK\r\n\r\n');
        gates[0]?.open();
        await client.waitForRecord(({ content }) => content.includes('chunk 1'));
        gates[1]?.open();
        expect((await response).stdout.toString()).toBe('Status: 200 OK\r\n\r\nchunk 1\nchunk 2\n');
      },
    );
  });

  test('is not asked for more than the client takes, and is cancelled when the client leaves', async () => {
    const cancelled = new Gate();
    let pulls = 0;
    const stream = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulls++;
          controller.enqueue(Buffer.alloc(65536));
        },
        cancel: () => cancelled.open(),
      },
      { highWaterMark: 0 },
    );

    await withServer(
      fromFetch(() => new Response(stream)),
      async (running) => {
        const client = await running.connect();

        client.pause();
        await client.write(Buffer.concat([beginRequest(1), params(1, pairsOf()), stdin(1)]));

        let last = -1;

        while (pulls !== last || pulls === 0) {
          last = pulls;
          for (let turn = 0; turn < 200; turn++) {
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
        // 100 chunks are 6.4 MB; sockets and streams hold less than one.
        expect(pulls).toBeLessThan(100);
        await client.destroy();
        await cancelled.passed;
      },
    );
  });

  test('whose body fails before the first chunk is a 500', async () => {
    const stream = new ReadableStream({ start: (controller) => controller.error(new Error('as wanted')) });

    expect(await ask(fromFetch(() => new Response(stream)))).toMatchObject({
      head: expect.stringContaining('Status: 500 Internal Server Error'),
      log: expect.stringContaining('as wanted'),
      complete: true,
    });
  });

  test('whose body fails later is truncated', async () => {
    let pulls = 0;
    const stream = new ReadableStream({
      async pull(controller) {
        if (pulls++ > 0) {
          await new Promise((resolve) => setImmediate(resolve));
          throw new Error('as wanted');
        }
        controller.enqueue(Buffer.from('beginning'));
      },
    });
    const answer = await ask(fromFetch(() => new Response(stream)));

    expect(answer).toMatchObject({ body: 'beginning', complete: false });
    expect(answer.log.match(/as wanted/g)).toHaveLength(1);
  });

  test.each([
    {
      it: 'a promise that is rejected',
      handler: () => Promise.reject(new Error('as wanted')),
      says: 'as wanted',
    },
    {
      it: 'an error',
      handler: () => {
        throw new Error('as wanted');
      },
      says: 'as wanted',
    },
    { it: 'a string', handler: () => 'text', says: 'answered with string' },
    { it: 'nothing', handler: () => Promise.resolve(undefined), says: 'answered with undefined' },
    { it: 'another object', handler: () => new Map(), says: 'answered with an object of class Map' },
    { it: 'Response.error()', handler: () => Response.error(), says: 'a status is three digits' },
    { it: 'a Response that was read', handler: usedResponse, says: 'locked' },
  ])('is a 500 in place of $it', async ({ handler, says }) => {
    // Wrong on purpose.
    const answer = await ask(fromFetch(handler as unknown as FetchHandler));

    expect(answer).toMatchObject({ head: expect.stringContaining('Status: 500'), complete: true });
    expect(answer.log).toContain(says);
  });

  test('may be of another class', async () => {
    const headers = new Headers({ 'X-One': '1' });
    // The shape is all that counts.
    const lookalike = { status: 200, statusText: '', headers, body: null } as unknown as Response;

    expect((await ask(fromFetch(() => lookalike))).head).toBe('x-one: 1\r\nStatus: 200 OK');
  });
});

async function usedResponse(): Promise<Response> {
  const response = new Response('text');

  await response.text();
  response.body?.getReader();
  return response;
}

describe('the other arguments', () => {
  test('the environ is in the environment, and so is who the client is', async () => {
    const handler: FetchHandler = (_request, env) =>
      Response.json([env.environ['REMOTE_USER'], env.environ['fastcgi.role'], env.incoming.socket]);
    const { body } = await ask(fromFetch(handler), {
      REMOTE_USER: 'me',
      REMOTE_ADDR: '::1',
      REMOTE_PORT: '99',
    });

    expect(JSON.parse(body)).toEqual([
      'me',
      'RESPONDER',
      { remoteAddress: '::1', remotePort: 99, remoteFamily: 'IPv6' },
    ]);
  });

  test('waitUntil() goes on after the response, and a graceful stop waits for it', async () => {
    const gate = new Gate();
    let isDone = false;
    const handler: FetchHandler = (_request, _env, context) => {
      context.passThroughOnException();
      context.waitUntil(
        gate.passed.then(() => {
          isDone = true;
        }),
      );
      return new Response();
    };

    await withServer(fromFetch(handler), async (running) => {
      const client = await running.connect();

      await client.request(pairsOf());
      await client.destroy();
      expect(isDone).toBe(false);

      const closed = running.server.close();

      gate.open();
      await closed;
      expect(isDone).toBe(true);
    });
  });

  test('a promise of waitUntil() that is rejected is logged', async () => {
    const handler: FetchHandler = (_request, _env, context) => {
      context.waitUntil(Promise.reject(new Error('as wanted')));
      return new Response();
    };

    await withServer(fromFetch(handler), async (running) => {
      const client = await running.connect();

      await client.request(pairsOf());
      await client.destroy();
      await running.server.close();
      expect(running.log.join('')).toContain('as wanted');
    });
  });
});

describe('Hono', () => {
  const app = new Hono<{ Bindings: { environ: { REMOTE_USER?: string } } }>();

  app.get('/user/:name', (c) => c.json({ name: c.req.param('name'), user: c.env.environ['REMOTE_USER'] }));
  app.get('/address', (c) => c.text(getConnInfo(c).remote.address ?? 'nobody'));
  app.post('/upload', async (c) => {
    const { file } = await c.req.parseBody();

    return c.text(file instanceof File ? `${file.name}: ${await file.text()}` : 'no file');
  });
  app.get('/events', (c) =>
    streamSSE(c, async (stream) => {
      await stream.writeSSE({ data: 'one', event: 'count' });
      await stream.writeSSE({ data: 'two' });
    }),
  );
  app.get('/later', (c) => {
    c.executionCtx.waitUntil(Promise.resolve());
    return c.text('later');
  });
  app.use('/packed', compress());
  app.get('/packed', (c) => c.text('packed '.repeat(1000)));

  const application = fromFetch(app);

  test('finds its way, its parameters and the environ', async () => {
    const found = await ask(application, {
      PATH_INFO: '/user/x y',
      REQUEST_URI: '/user/x%20y',
      REMOTE_USER: 'me',
    });

    expect(JSON.parse(found.body)).toEqual({ name: 'x y', user: 'me' });
  });

  test.each([
    { path: '/address', variables: { REMOTE_ADDR: '192.0.2.1' }, body: '192.0.2.1' },
    { path: '/later', variables: {}, body: 'later' },
    { path: '/events', variables: {}, body: 'event: count\ndata: one\n\ndata: two\n\n' },
  ])('answers $path', async ({ path, variables, body }) => {
    expect(await ask(application, { PATH_INFO: path, REQUEST_URI: path, ...variables })).toMatchObject({
      body,
      log: '',
      complete: true,
    });
  });

  test('takes an upload', async () => {
    const body = [
      '--x',
      'Content-Disposition: form-data; name="file"; filename="a.txt"',
      'Content-Type: text/plain',
      '',
      'content of a file',
      '--x--',
      '',
    ].join('\r\n');
    const variables = {
      REQUEST_METHOD: 'POST',
      PATH_INFO: '/upload',
      REQUEST_URI: '/upload',
      CONTENT_TYPE: 'multipart/form-data; boundary=x',
    };

    expect((await ask(application, variables, body)).body).toBe('a.txt: content of a file');
  });

  test('compresses', async () => {
    const variables = { PATH_INFO: '/packed', REQUEST_URI: '/packed', HTTP_ACCEPT_ENCODING: 'gzip' };
    const { head, body } = await ask(application, variables);

    expect(head).toContain('content-encoding: gzip');
    expect(gunzipSync(Buffer.from(body, 'latin1')).toString()).toBe('packed '.repeat(1000));
  });
});

test('neither a function nor an object with one is told at once', () => {
  expect(() => fromFetch({} as never)).toThrow(
    'neither a function fetch(request) nor an object that has one',
  );
});
