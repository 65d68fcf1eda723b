/** What http.Server does beside its handler, and node's internals that this depends on. */
import { describe, expect, test } from '@jest/globals';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { RequestListener } from '../../../../adapters/node';
import { host } from './hosted';

const hello: RequestListener = (_request, response) => response.end('hello');

describe('expectations', () => {
  const expecting = { HTTP_EXPECT: '100-continue' };

  test('100-continue without a listener of its own is a request', async () => {
    await host(createServer(hello), async ({ ask }) => {
      expect(await ask(expecting)).toMatchObject({ body: 'hello' });
    });
  });

  test('checkContinue takes it', async () => {
    const server = createServer(hello).on('checkContinue', (_request, response) => {
      response.writeContinue();
      response.end('continued');
    });

    await host(server, async ({ ask }) => {
      expect(await ask(expecting)).toMatchObject({ status: '200 OK', body: 'continued' });
      expect(await ask()).toMatchObject({ body: 'hello' });
    });
  });

  test('an unknown one is 417', async () => {
    await host(hello, async ({ ask }) => {
      expect(await ask({ HTTP_EXPECT: 'miracles' })).toMatchObject({
        status: '417 Expectation Failed',
        body: '',
      });
    });
  });

  test('unless checkExpectation takes it', async () => {
    const server = createServer(hello).on('checkExpectation', (_request, response) => response.end('tried'));

    await host(server, async ({ ask }) => {
      expect(await ask({ HTTP_EXPECT: 'miracles' })).toMatchObject({ body: 'tried' });
    });
  });

  test('HTTP/1.0 knows none', async () => {
    await host(hello, async ({ ask }) => {
      expect(await ask({ HTTP_EXPECT: 'miracles', SERVER_PROTOCOL: 'HTTP/1.0' })).toMatchObject({
        body: 'hello',
      });
    });
  });
});

test('server.timeout is each socket’s, and the server hears of it', async () => {
  const server = createServer(() => undefined);

  server.timeout = 20;
  server.on('timeout', (socket: Socket & { _httpMessage?: ServerResponse }) => {
    socket._httpMessage?.end('timed out');
  });
  await host(server, async ({ ask }) => {
    expect(await ask()).toMatchObject({ body: 'timed out' });
  });
});

test('req.socket.server is the server', async () => {
  const server = createServer((request, response) => {
    response.end(String((request.socket as Socket & { server?: unknown }).server === server));
  });

  await host(server, async ({ ask }) => {
    expect(await ask()).toMatchObject({ body: 'true' });
  });
});

test('interim responses do not get out, and their callbacks are called', async () => {
  const handler: RequestListener = async (_request, response) => {
    response.writeProcessing();
    response.writeContinue();
    await new Promise<void>((resolve) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' }, resolve);
    });
    response.end(String(response.headersSent));
  };

  await host(handler, async ({ ask }) => {
    expect(await ask()).toEqual({ status: '200 OK', headers: [['Content-Length', '5']], body: 'false' });
  });
});

test('what belongs to the connection, and CGI’s Status, does not get out', async () => {
  const handler: RequestListener = (_request, response) => {
    for (const name of ['Connection', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Upgrade', 'Status']) {
      response.setHeader(name, 'x');
    }
    response.setHeader('Transfer-Encoding', 'chunked');
    response.end('body');
  };

  await host(handler, async ({ ask }) => {
    expect(await ask()).toEqual({ status: '200 OK', headers: [], body: 'body' });
  });
});

test('tracing is told of each request', async () => {
  const told: string[] = [];
  const onStart = (): unknown => told.push('start');
  const onFinish = (): unknown => told.push('finish');

  subscribe('http.server.request.start', onStart);
  subscribe('http.server.response.finish', onFinish);
  try {
    await host(hello, async ({ ask }) => {
      await ask();
    });
    expect(told).toEqual(['start', 'finish']);
  } finally {
    unsubscribe('http.server.request.start', onStart);
    unsubscribe('http.server.response.finish', onFinish);
  }
});

test('what a handler enters into an AsyncLocalStorage, the next request on the connection does not see', async () => {
  const storage = new AsyncLocalStorage<string>();
  const handler: RequestListener = (request, response) => {
    const before = storage.getStore() ?? 'nothing';

    storage.enterWith(String(request.url));
    response.end(before);
  };

  await host(handler, async ({ ask }) => {
    expect([await ask(), await ask(), await ask()].map(({ body }) => body)).toEqual([
      'nothing',
      'nothing',
      'nothing',
    ]);
  });
});

describe('node’s internals, each by its name: if one is gone in a new version of Node, this says so', () => {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);

  test.each(['_addHeaderLines', '_dump', '_consuming', '_dumped', '_readableState'])('req.%s', (name) => {
    expect(request).toHaveProperty(name);
  });

  test('req._readableState.resumeScheduled', () => {
    expect((request as unknown as { _readableState: object })._readableState).toHaveProperty(
      'resumeScheduled',
    );
  });

  test.each([
    '_closed',
    '_contentLength',
    '_finish',
    '_hasBody',
    '_header',
    '_headerSent',
    '_removedContLen',
    '_send',
    '_storeHeader',
    '_writeRaw',
    'assignSocket',
    'detachSocket',
  ])('res.%s', (name) => {
    expect(response).toHaveProperty(name);
  });

  test.each(['kNeedDrain', 'kOutHeaders'])('res[%s]', (description) => {
    expect(Object.getOwnPropertySymbols(response).map((symbol) => symbol.description)).toContain(description);
  });
});
