import { buffer } from 'node:stream/consumers';
import { Hono } from 'hono';
import { describe, expect, test } from '@jest/globals';
import { fromFetch, toFetch } from '../../../../adapters/fetch/index';
import type { Application, Body } from '../../../../src/index';
import { Gate } from '../fastcgi/running-server';

const URL_OF_ALL = 'https://a.test:8443/caf%C3%A9/x%2Fy?a=b';

/** Answers with the environ as JSON: what is a string in it. */
const tellEnviron: Application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  return JSON.stringify(
    Object.fromEntries(Object.entries({ ...environ }).filter(([, value]) => typeof value === 'string')),
  );
};

const silent = { errorLog: (): void => undefined };

describe('the environ', () => {
  test('is made of the Request', async () => {
    const request = new Request(URL_OF_ALL, {
      method: 'POST',
      headers: { 'X-One': '1', 'Content-Type': 'text/plain', Cookie: 'a=b', X_Forwarded_For: 'evil' },
      body: 'body',
    });
    const environ: unknown = await (await toFetch(tellEnviron)(request)).json();

    expect(environ).toEqual({
      GATEWAY_INTERFACE: 'CGI/1.1',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_NAME: 'a.test',
      SERVER_PORT: '8443',
      REQUEST_METHOD: 'POST',
      REQUEST_SCHEME: 'https',
      REQUEST_URI: '/caf%C3%A9/x%2Fy?a=b',
      SCRIPT_NAME: '',
      // Bytes, one code point each.
      PATH_INFO: '/caf\xc3\xa9/x/y',
      QUERY_STRING: 'a=b',
      HTTP_HOST: 'a.test:8443',
      HTTPS: 'on',
      HTTP_X_ONE: '1',
      HTTP_COOKIE: 'a=b',
      CONTENT_TYPE: 'text/plain',
      'wsgi.url_scheme': 'https',
    });
  });

  test('takes what a Request cannot tell, and of other things only the strings', async () => {
    const fetch = toFetch(tellEnviron);
    const variables = { REMOTE_ADDR: '192.0.2.1', SERVER_NAME: 'b.test', incoming: {}, outgoing: null };

    expect(await (await fetch(new Request('http://a.test/'), variables)).json()).toMatchObject({
      REMOTE_ADDR: '192.0.2.1',
      SERVER_NAME: 'b.test',
      SERVER_PORT: '80',
    });
  });

  test('is split at the mount point', async () => {
    const fetch = toFetch(tellEnviron, { mount: '/app' });

    expect(await (await fetch(new Request('http://a.test/app/x'))).json()).toMatchObject({
      SCRIPT_NAME: '/app',
      PATH_INFO: '/x',
    });
  });

  test('a length that is none is 400', async () => {
    const request = new Request('http://a.test/', { headers: { 'Content-Length': 'x' } });

    expect((await toFetch(tellEnviron, silent)(request)).status).toBe(400);
  });
});

describe('the body of the request', () => {
  const echo: Application = (environ, startResponse) => {
    startResponse('200 OK', []);
    return environ['wsgi.input'];
  };

  test('arrives', async () => {
    const request = new Request('http://a.test/', { method: 'POST', body: 'x'.repeat(300_000) });

    expect(await (await toFetch(echo)(request)).text()).toBe('x'.repeat(300_000));
  });

  test('is empty when there is none', async () => {
    expect(await (await toFetch(echo)(new Request('http://a.test/'))).text()).toBe('');
  });

  test('that is shorter than its length is a bad request', async () => {
    const request = new Request('http://a.test/', {
      method: 'POST',
      headers: { 'Content-Length': '10' },
      body: 'short',
    });
    const response = await toFetch(echo, silent)(request);

    expect(response.status).toBe(400);
  });

  test('that is too large is 413', async () => {
    const readAll: Application = async (environ, startResponse) => {
      await buffer(environ['wsgi.input']);
      startResponse('200 OK', []);
      return '';
    };
    const request = new Request('http://a.test/', { method: 'POST', body: 'too large' });

    expect((await toFetch(readAll, { ...silent, maxBodyBytes: 5 })(request)).status).toBe(413);
  });

  test('is cancelled when nobody reads it', async () => {
    const cancelled = new Gate();
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(Buffer.from('x')),
      cancel: () => cancelled.open(),
    });
    const touch: Application = (environ, startResponse) => {
      environ['wsgi.input'].once('data', () => undefined);
      startResponse('200 OK', []);
      return 'done';
    };
    const request = new Request('http://a.test/', { method: 'POST', body, duplex: 'half' });

    expect(await (await toFetch(touch)(request)).text()).toBe('done');
    await cancelled.passed;
  });
});

describe('the Response', () => {
  test('has status, reason, headers and several cookies', async () => {
    const response = await toFetch((_environ, startResponse) => {
      startResponse('201 Made', [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['X-One', 'caf\xe9'],
      ]);
      return ['one ', 'two'];
    })(new Request('http://a.test/'));

    expect([response.status, response.statusText, response.headers.get('x-one')]).toEqual([
      201,
      'Made',
      'caf\xe9',
    ]);
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await response.text()).toBe('one two');
  });

  test.each([
    { it: 'to HEAD', method: 'HEAD', status: '200 OK' },
    { it: 'with status 204', method: 'GET', status: '204 No Content' },
    { it: 'with status 205', method: 'GET', status: '205 Reset Content' },
    { it: 'with status 304', method: 'GET', status: '304 Not Modified' },
  ])('$it has no body', async ({ method, status }) => {
    const response = await toFetch((_environ, startResponse) => {
      startResponse(status, []);
      return 'body';
    })(new Request('http://a.test/', { method }));

    expect([response.status, response.body]).toEqual([Number(status.slice(0, 3)), null]);
  });

  test('is a 500 when the application fails, and the log says why', async () => {
    const log: string[] = [];
    const response = await toFetch(
      () => {
        throw new Error('as wanted');
      },
      { errorLog: (text) => log.push(text) },
    )(new Request('http://a.test/x'));

    expect(response.status).toBe(500);
    expect(log.join('')).toMatch(/GET \/x: .*as wanted/s);
  });

  test('that fails in the middle is an error of its body', async () => {
    async function* chunks(): AsyncGenerator<string> {
      yield await Promise.resolve('beginning');
      throw new Error('as wanted');
    }

    const response = await toFetch((_environ, startResponse) => {
      startResponse('200 OK', []);
      return chunks();
    }, silent)(new Request('http://a.test/'));

    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow('never be complete');
  });

  test('cannot have a status of 600 and more', async () => {
    const application: Application = (_environ, startResponse) => {
      startResponse('999 Odd', []);
      return 'body';
    };

    await expect(toFetch(application, silent)(new Request('http://a.test/'))).rejects.toThrow(
      'from 200 to 599',
    );
  });

  test('is not made faster than it is read, and given up when nobody reads on', async () => {
    const closed = new Gate();
    let made = 0;

    function* chunks(): Generator<Buffer> {
      for (;;) {
        made++;
        yield Buffer.alloc(10_000);
      }
    }

    const body: Body = Object.assign(chunks(), { close: () => closed.open() });
    const response = await toFetch((_environ, startResponse) => {
      startResponse('200 OK', []);
      return body;
    })(new Request('http://a.test/'));
    const reader = response.body?.getReader();

    await reader?.read();
    // 65,536 bytes wait, and one chunk more than that.
    expect(made).toBeLessThan(10);
    await reader?.cancel();
    await closed.passed;
  });

  test('is given up when the Request is', async () => {
    const controller = new AbortController();
    const aborted = new Gate();
    const request = new Request('http://a.test/', { signal: controller.signal });
    const response = toFetch((environ) => {
      environ['postern.signal'].addEventListener('abort', () => aborted.open());
      return new Promise(() => undefined);
    })(request);

    controller.abort();
    await aborted.passed;
    await expect(response).rejects.toMatchObject({ code: 'ERR_PEER_GONE' });
  });
});

test('an application under Hono, and a fetch handler that was an application', async () => {
  const app = new Hono();

  app.all('/below/*', (c) => toFetch(tellEnviron, { mount: '/below' })(c.req.raw, { REMOTE_ADDR: '::1' }));
  expect(await (await app.request('http://a.test/below/x')).json()).toMatchObject({
    SCRIPT_NAME: '/below',
    PATH_INFO: '/x',
    REMOTE_ADDR: '::1',
  });

  const there = toFetch(fromFetch(async (request) => new Response(await request.text(), { status: 202 })));
  const response = await there(new Request('http://a.test/', { method: 'POST', body: 'and back' }));

  expect([response.status, await response.text()]).toEqual([202, 'and back']);
});
