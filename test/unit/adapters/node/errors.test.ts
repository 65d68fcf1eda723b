/** What goes wrong in a handler costs its own response, never the process: jest would fail for an uncaught error. */
import { describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { RequestListener } from '../../../../adapters/node';
import { host, type Hosted } from './hosted';

const INTERNAL = '500 Internal Server Error';

/** @returns what is seen of a handler that fails, and whether the next request is answered. */
async function failing(handler: RequestListener): Promise<{ status: string; log: string }> {
  let status = '';
  let errors = '';
  const either: RequestListener = (request, response) =>
    request.url === '/next' ? response.end('next') : handler(request, response);

  await host(either, async ({ ask, log }: Hosted) => {
    status = await ask().then(
      (answer) => answer.status,
      (error: unknown) => `incomplete: ${String(error)}`,
    );
    expect(await ask({ REQUEST_URI: '/next', PATH_INFO: '/next' })).toMatchObject({ body: 'next' });
    errors = log.join('');
  });
  return { status, log: errors };
}

const afterAWhile = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('before the head', () => {
  test('a handler throws', async () => {
    const { status, log } = await failing(() => {
      throw new Error('at once');
    });

    expect(status).toBe(INTERNAL);
    expect(log).toContain('at once');
  });

  test('a handler throws something that is no error', async () => {
    const { status, log } = await failing(() => {
      throw 'a string'; // eslint-disable-line @typescript-eslint/only-throw-error -- people do
    });

    expect(status).toBe(INTERNAL);
    expect(log).toContain('a string');
  });

  test('a promise is rejected', async () => {
    const { status, log } = await failing(async () => {
      await afterAWhile();
      throw new Error('later');
    });

    expect(status).toBe(INTERNAL);
    expect(log).toContain('later');
  });

  test('a listener of an http.Server rejects', async () => {
    const server = createServer();
    const listener: RequestListener = async () => {
      await afterAWhile();
      throw new Error('in a server');
    };

    server.on('request', listener as () => void);

    await host(server, async ({ ask, log }) => {
      expect(await ask()).toMatchObject({ status: INTERNAL });
      expect(log.join('')).toContain('in a server');
    });
  });

  test('the response is destroyed: what every proxy answers', async () => {
    expect(await failing((_request, response) => response.destroy())).toMatchObject({
      status: '502 Bad Gateway',
    });
  });

  test('the socket is destroyed with an error that nobody listens to', async () => {
    const { status, log } = await failing((request) => request.socket.destroy(new Error('unheard')));

    expect(status).toBe('502 Bad Gateway');
    expect(log).toContain('unheard');
  });

  test('the request is destroyed with an error that nobody listens to', async () => {
    expect(await failing((request) => request.destroy(new Error('unheard')))).toMatchObject({
      status: '502 Bad Gateway',
    });
  });

  test('a head that cannot be sent', async () => {
    const { status, log } = await failing((_request, response) => {
      response.setHeader('Content-Length', 'many');
      response.end('x');
    });

    expect(status).toBe(INTERNAL);
    expect(log).toContain('ERR_HEADER');
  });

  test('an interim status as the answer', async () => {
    expect(await failing((_request, response) => response.writeHead(103).end())).toMatchObject({
      status: INTERNAL,
    });
  });
});

describe('after the head', () => {
  test('a handler throws: the response does not look complete', async () => {
    const { status, log } = await failing((_request, response) => {
      response.write('begun');
      throw new Error('in the middle');
    });

    expect(status).toMatch(/^incomplete/);
    expect(log).toContain('in the middle');
  });

  test('a promise is rejected: the response does not look complete', async () => {
    const { status } = await failing(async (_request, response) => {
      response.write('begun');
      await afterAWhile();
      throw new Error('in the middle');
    });

    expect(status).toMatch(/^incomplete/);
  });

  test('a handler throws after the end: the response is good, and the error logged', async () => {
    const { status, log } = await failing((_request, response) => {
      response.end('good');
      throw new Error('afterwards');
    });

    expect(status).toBe('200 OK');
    expect(log).toContain('afterwards');
  });

  test('a promise is rejected after the end', async () => {
    const { status, log } = await failing(async (_request, response) => {
      response.end('good');
      await afterAWhile();
      throw new Error('afterwards');
    });

    expect(status).toBe('200 OK');
    expect(log).toContain('afterwards');
  });

  test('a write after the end that nobody listens to is logged', async () => {
    const { status, log } = await failing((_request, response) => {
      response.end('good');
      response.write('late');
    });

    expect(status).toBe('200 OK');
    expect(log).toContain('ERR_STREAM_WRITE_AFTER_END');
  });

  test('and is not, where somebody listens', async () => {
    const { log } = await failing((_request, response) => {
      response.on('error', () => undefined);
      response.end('good');
      response.write('late');
    });

    expect(log).toBe('');
  });

  test('more than the Content-Length is cut off and logged once', async () => {
    const { status, log } = await failing(async (_request, response) => {
      response.setHeader('Content-Length', 4);
      response.write('long');
      response.write('er');
      await afterAWhile();
      response.end('and longer');
    });

    expect(status).toBe('200 OK');
    expect(log.match(/ERR_BODY_LENGTH/g)).toHaveLength(1);
  });

  test('less than the Content-Length does not look complete', async () => {
    const { status } = await failing((_request, response) => {
      response.setHeader('Content-Length', 4);
      response.end('ab');
    });

    expect(status).toMatch(/^incomplete/);
  });
});

describe('a client that leaves', () => {
  test('costs nothing, and nobody has to listen', async () => {
    const responses: ServerResponse[] = [];
    const controller = new AbortController();
    const handler: RequestListener = (_request, response) => {
      responses.push(response);
      controller.abort();
    };

    await host(handler, async ({ leave, log }) => {
      await leave({}, controller.signal);

      const [response] = responses;

      if (response?.closed === false) {
        await once(response, 'close');
      }
      expect(response?.destroyed).toBe(true);
      expect(response?.writableFinished).toBe(false);
      expect(log).toEqual([]);
    });
  });
});

test('a body above the limit is 413, and an error on the request', async () => {
  const errors: unknown[] = [];
  const handler: RequestListener = (request) => {
    request.on('error', (error) => errors.push((error as NodeJS.ErrnoException).code)).resume();
  };

  await host(
    handler,
    async ({ ask }) => {
      // Without a length it is found out on the way.
      expect(
        await ask({ REQUEST_METHOD: 'POST', CONTENT_LENGTH: '-1' }, 'more than ten bytes'),
      ).toMatchObject({
        status: '413 Content Too Large',
      });
      expect(errors).toEqual(['ERR_BODY_TOO_LARGE']);
    },
    { maxBodyBytes: 10 },
  );
});
