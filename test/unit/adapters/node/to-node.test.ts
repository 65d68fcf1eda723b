import { describe, expect, test } from '@jest/globals';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client } from '../../../../adapters/fastcgi';
import { toNode } from '../../../../adapters/node';
import type { Application } from '../../../../src/index';
import { request, type HttpRequest, type HttpResponse } from '../../../support/http-client';
import { withTemporaryFolder } from '../../../support/temporary-folder';

/** What is used of Express and Connect. */
type Mountable = RequestListener & { use(...args: readonly unknown[]): void };

// They come without types.
const load = createRequire(__filename);
const express = load('express') as (() => Mountable) & { json(): unknown };
const connect = load('connect') as () => Mountable;
const nodeFastCgi = load('node-fastcgi') as { createServer(listener: RequestListener): Server };

/** Says what it was given. */
const mirror: Application = async (environ, startResponse) => {
  const chunks: Uint8Array[] = [];

  for await (const chunk of environ['wsgi.input']) {
    chunks.push(chunk as Uint8Array);
  }
  startResponse('200 OK', [
    ['Content-Type', 'text/plain'],
    ['X-Two', 'one'],
    ['X-Two', 'two'],
  ]);
  return [
    environ.REQUEST_METHOD,
    environ.SCRIPT_NAME,
    environ.PATH_INFO,
    environ.QUERY_STRING,
    environ['HTTP_X_HEADER'] ?? '-',
    Buffer.concat(chunks).toString(),
  ].join('|');
};

async function answerOf(listener: RequestListener, options: HttpRequest = {}): Promise<HttpResponse> {
  const server = createServer(listener).listen(0, '127.0.0.1');

  await new Promise((resolve) => server.once('listening', resolve));
  try {
    return await request({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }, options);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const POST: HttpRequest = {
  method: 'POST',
  target: '/a%20b/c?x=1',
  body: 'body',
  headers: [['X-Header', 'yes']],
};

describe('on http.createServer', () => {
  test('a request and its response', async () => {
    const response = await answerOf(toNode(mirror), POST);

    expect(response.text).toBe('POST||/a b/c|x=1|yes|body');
    expect(response.headerValues('X-Two')).toEqual(['one', 'two']);
  });

  test('a mount point', async () => {
    const response = await answerOf(toNode(mirror, { mount: '/app' }), { target: '/app/x' });

    expect(response.text).toBe('GET|/app|/x||-|');
  });

  test('an application that throws is a 500', async () => {
    const log: string[] = [];
    const listener = toNode(
      () => {
        throw new Error('thrown');
      },
      { errorLog: (text) => log.push(text) },
    );

    expect(await answerOf(listener)).toMatchObject({ status: 500 });
    expect(log.join('')).toContain('thrown');
  });

  test('a body above the limit is 413', async () => {
    expect(
      await answerOf(toNode(mirror, { maxBodyBytes: 3, errorLog: () => undefined }), POST),
    ).toMatchObject({ status: 413 });
  });

  test('a client that leaves aborts the signal', async () => {
    const reasons: unknown[] = [];
    const listener = toNode(
      (environ) =>
        new Promise((resolve) => {
          environ['postern.signal'].addEventListener('abort', () => {
            reasons.push((environ['postern.signal'].reason as { code?: unknown }).code);
            resolve(null);
          });
        }),
    );

    await answerOf(listener, { timeoutMs: 200 }).catch(() => undefined);
    while (reasons.length === 0) {
      await new Promise(setImmediate);
    }
    expect(reasons).toEqual(['ERR_PEER_GONE']);
  });
});

describe.each([
  ['Express', express],
  ['Connect', connect],
])('in %s', (_name, create) => {
  test('SCRIPT_NAME is where it is mounted, and next is not called', async () => {
    const app = create();

    app.use('/mounted', toNode(mirror));
    app.use((_request: unknown, response: { end(text: string): void }) => response.end('next was called'));
    expect((await answerOf(app, { ...POST, target: '/mounted/a%20b/c?x=1' })).text).toBe(
      'POST|/mounted|/a b/c|x=1|yes|body',
    );
    expect((await answerOf(app, { target: '/mounted' })).text).toBe('GET|/mounted|||-|');
    expect((await answerOf(app, { target: '/other' })).text).toBe('next was called');
  });

  test('at the root it is empty', async () => {
    const app = create();

    app.use(toNode(mirror));
    expect((await answerOf(app, { target: '/x?y' })).text).toBe('GET||/x|y|-|');
  });
});

test('a body that express.json() has read is an error, not a wait', async () => {
  const app = express();
  const log: string[] = [];

  app.use(express.json());
  app.use(toNode(mirror, { errorLog: (text) => log.push(text) }));
  expect(
    await answerOf(app, { method: 'POST', body: '{}', headers: [['Content-Type', 'application/json']] }),
  ).toMatchObject({ status: 400 });
  expect(log.join('')).toContain('ERR_BODY_TRUNCATED');
});

describe('on node-fastcgi', () => {
  async function answer(
    params: Readonly<Record<string, string>>,
    body = '',
  ): Promise<{ status: string; text: string }> {
    return withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');
      const server = nodeFastCgi.createServer(toNode(mirror)).listen(path);

      await new Promise((resolve) => server.once('listening', resolve));
      try {
        const response = await new Client({ path }, { keepConn: false }).request(Object.entries(params), {
          body: Buffer.from(body),
        });
        const chunks: Uint8Array[] = [];

        for await (const chunk of response.body) {
          chunks.push(chunk);
        }
        return { status: response.status, text: Buffer.concat(chunks).toString() };
      } finally {
        server.close();
      }
    });
  }

  test('the environ has the web server’s variables', async () => {
    expect(
      await answer(
        {
          REQUEST_METHOD: 'POST',
          SCRIPT_NAME: '/app',
          PATH_INFO: '/x',
          REQUEST_URI: '/app/x?q',
          QUERY_STRING: 'q',
          SERVER_PROTOCOL: 'HTTP/1.1',
          CONTENT_LENGTH: '4',
          HTTP_X_HEADER: 'yes',
        },
        'body',
      ),
    ).toMatchObject({ status: '200 OK', text: 'POST|/app|/x|q|yes|body' });
  });
});
