import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Client } from '../../../../adapters/fastcgi/client';
import { fastCgiApplication } from '../../../../adapters/fastcgi/fastcgi-application';
import { createServer, type FastCgiOptions } from '../../../../adapters/fastcgi';
import { serve, type HttpOptions } from '../../../../adapters/http';
import type { Application } from '../../../../src/gateway/types';
import { request, startRequest, type HttpOrigin } from '../../../support/http-client';
import { withTemporaryFolder } from '../../../support/temporary-folder';

interface Fronts {
  readonly origin: HttpOrigin;
  /** The error log of the HTTP side. */
  readonly log: string[];
  /** That of the FastCGI side. */
  readonly serverLog: string[];
}

/** The application behind FastCGI behind HTTP. */
async function withFronts(
  application: Application,
  use: (fronts: Fronts) => Promise<void>,
  { fastCgi = {}, http = {} }: { readonly fastCgi?: FastCgiOptions; readonly http?: HttpOptions } = {},
): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'app.sock');
    const log: string[] = [];
    const serverLog: string[] = [];
    const server = createServer(application, { ...fastCgi, errorLog: (text) => serverLog.push(text) });
    const client = new Client({ path });

    await server.listen(path);

    const front = await serve(fastCgiApplication(client), {
      port: 0,
      ...http,
      errorLog: (text) => log.push(text),
    });

    try {
      await use({ origin: { host: '127.0.0.1', port: front.address.port }, log, serverLog });
    } finally {
      front.abort();
      await front.close();
      client.close();
      await server.close({ graceMs: 1000 });
    }
  });
}

const echo: Application = async (environ, startResponse) => {
  const body = Buffer.concat(await environ['wsgi.input'].toArray());

  startResponse('200 OK', [['Content-Type', 'application/octet-stream']]);
  return body;
};

describe('a request', () => {
  test('arrives as it was sent, bytes and all', async () => {
    await withFronts(
      (environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'application/json']]);
        return JSON.stringify(environ);
      },
      async ({ origin }) => {
        const response = await request(origin, {
          method: 'POST',
          target: '/caf%C3%A9/%E9//x?a=%20',
          headers: [
            ['Host', 'app.example.test'],
            ['X', '\xff'],
            ['Cookie', 'a=1'],
            ['Cookie', 'b=2'],
            ['Content-Type', 'text/plain'],
          ],
          body: 'abc',
        });

        expect(JSON.parse(response.text)).toMatchObject({
          REQUEST_METHOD: 'POST',
          SCRIPT_NAME: '',
          PATH_INFO: '/caf\xc3\xa9/\xe9//x',
          REQUEST_URI: '/caf%C3%A9/%E9//x?a=%20',
          QUERY_STRING: 'a=%20',
          CONTENT_LENGTH: '3',
          CONTENT_TYPE: 'text/plain',
          SERVER_NAME: 'app.example.test',
          SERVER_SOFTWARE: 'postern',
          HTTP_X: '\xff',
          HTTP_COOKIE: 'a=1; b=2',
          'fastcgi.role': 'RESPONDER',
        });
      },
    );
  });

  for (const { how, chunked } of [
    { how: 'of known length', chunked: false },
    { how: 'in the chunked coding', chunked: true },
  ]) {
    test(`body ${how} arrives`, async () => {
      const body = Buffer.alloc(2_000_000, 'abcdefg');

      await withFronts(echo, async ({ origin }) => {
        expect((await request(origin, { method: 'POST', body, chunked })).body.equals(body)).toBe(true);
      });
    });
  }

  test('body that is too large for the front is 413', async () => {
    await withFronts(
      echo,
      async ({ origin }) => {
        const response = await request(origin, { method: 'POST', body: 'abcde', chunked: true });

        expect(response.status).toBe(413);
      },
      { http: { maxBodyBytes: 4 } },
    );
  });

  test('body that is too large for the server is 413', async () => {
    await withFronts(
      echo,
      async ({ origin }) => {
        const body = Buffer.alloc(1_000_000);

        expect((await request(origin, { method: 'POST', body })).status).toBe(413);
      },
      { fastCgi: { maxBodyBytes: 4 } },
    );
  });

  test('that the client gives up is aborted', async () => {
    let onAborted: (reason: unknown) => void = () => undefined;
    const aborted = new Promise((resolve) => (onAborted = resolve));

    await withFronts(
      async (environ, startResponse) => {
        const signal = environ['postern.signal'];

        startResponse('200 OK', [])('first');
        await once(signal, 'abort');
        onAborted(signal.reason);
        return '';
      },
      async ({ origin, log }) => {
        const exchange = startRequest(origin);

        await exchange.bodyReached(5);
        exchange.abort();
        expect(await aborted).toMatchObject({ code: 'ERR_PEER_GONE' });
        expect(log).toEqual([]);
      },
    );
  });

  test('works twenty times at once', async () => {
    await withFronts(
      async (environ, startResponse) => {
        await new Promise((resolve) => setImmediate(resolve));
        startResponse('200 OK', []);
        return environ.PATH_INFO;
      },
      async ({ origin }) => {
        const targets = Array.from({ length: 20 }, (_, index) => `/${String(index)}`);
        const responses = await Promise.all(targets.map((target) => request(origin, { target })));

        expect(responses.map(({ text }) => text)).toEqual(targets);
      },
    );
  });
});

describe('a response', () => {
  test('that fails after its head looks truncated', async () => {
    await withFronts(
      (_environ, startResponse) => {
        startResponse('200 OK', []);
        return (function* () {
          yield 'beginning';
          throw new Error('too late');
        })();
      },
      async ({ origin, log, serverLog }) => {
        expect(await request(origin)).toMatchObject({ status: 200, text: 'beginning', complete: false });
        expect(log.join('')).toContain('before END_REQUEST');
        expect(serverLog.join('')).toContain('too late');
      },
    );
  });

  test('keeps its status, its headers and its bytes', async () => {
    await withFronts(
      (_environ, startResponse) => {
        startResponse('299 \xe9', [
          ['Set-Cookie', 'a'],
          ['Set-Cookie', 'b'],
          ['X', '\xff'],
          ['Location', '/x'],
        ]);
        return ['caf', '\u00e9'];
      },
      async ({ origin }) => {
        const response = await request(origin);

        expect(response).toMatchObject({ status: 299, reason: '\xe9', text: 'caf\u00e9', complete: true });
        expect(response.headerValues('set-cookie')).toEqual(['a', 'b']);
        expect(response.header('x')).toBe('\xff');
      },
    );
  });

  for (const { method, status } of [
    { method: 'HEAD', status: '200 OK' },
    { method: 'GET', status: '304 Not Modified' },
  ]) {
    test(`has no body for ${method} and ${status}`, async () => {
      await withFronts(
        (_environ, startResponse) => {
          startResponse(status, [['Content-Length', '4']]);
          return 'body';
        },
        async ({ origin }) => {
          expect(await request(origin, { method })).toMatchObject({ text: '', complete: true });
        },
      );
    });
  }

  test('is stopped while the client does not read', async () => {
    await withFronts(
      (_environ, startResponse) => {
        startResponse('200 OK', []);
        return {
          // Nothing but the client's pace ends a turn of this.
          *[Symbol.iterator]() {
            for (;;) {
              yield Buffer.alloc(65536);
            }
          },
        };
      },
      async ({ origin }) => {
        const exchange = startRequest(origin);

        await exchange.bodyReached(10_000_000);
        exchange.abort();
      },
    );
  });

  test("shows the server's FCGI_STDERR in the log", async () => {
    await withFronts(
      (environ, startResponse) => {
        environ['wsgi.errors'].write('oops\n');
        startResponse('200 OK', []);
        return 'ok';
      },
      async ({ origin, log }) => {
        expect((await request(origin)).text).toBe('ok');
        expect(log).toEqual(['oops\n']);
      },
      { fastCgi: { stderrToFrontEnd: true } },
    );
  });

  test('is 502 when there is no server', async () => {
    await withTemporaryFolder(async (folder) => {
      const client = new Client({ path: join(folder, 'no.sock') });
      const front = await serve(fastCgiApplication(client), { port: 0, errorLog: () => undefined });

      expect((await request({ host: '127.0.0.1', port: front.address.port })).status).toBe(502);
      await front.close();
    });
  });
});
