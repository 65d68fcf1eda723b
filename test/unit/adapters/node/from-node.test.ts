import { describe, expect, test } from '@jest/globals';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { fromNode, type GatewayRequest, type RequestListener } from '../../../../adapters/node';
import { host } from './hosted';

const hello: RequestListener = (_request, response) => {
  response.end('hello');
};

describe('what fromNode takes', () => {
  const applications: readonly (readonly [string, RequestListener | object])[] = [
    ['a (req, res) function', hello],
    ['an http.Server', createServer(hello)],
    ['an http.Server with two listeners', createServer(hello).on('request', () => undefined)],
    ['an object with callback(), as Koa', { callback: () => hello }],
    ['an object with routing and ready(), as Fastify', { routing: hello, ready: () => Promise.resolve() }],
    ['an object with handle(), as Connect’s kind', { handle: hello }],
  ];

  test.each(applications)('%s', async (_what, application) => {
    await host(application, async ({ ask }) => {
      expect(await ask()).toMatchObject({ status: '200 OK', body: 'hello' });
      expect(await ask()).toMatchObject({ status: '200 OK', body: 'hello' });
    });
  });

  test('nothing else', () => {
    expect(() => fromNode({})).toThrow('neither a (req, res) function nor');
  });

  test('a listener that wants one request gets one', async () => {
    const server = createServer();

    server.once('request', hello);
    await host(server, async ({ ask }) => {
      expect(await ask()).toMatchObject({ body: 'hello' });
      server.on('request', (_request, response) => response.end('another'));
      expect(await ask()).toMatchObject({ body: 'another' });
    });
  });

  test('an application whose plugins do not load is a 500 for each request', async () => {
    const application = { routing: hello, ready: () => Promise.reject(new Error('no plugin')) };

    await host(application, async ({ ask, log }) => {
      expect(await ask()).toMatchObject({ status: '500 Internal Server Error' });
      expect(log.join('')).toContain('no plugin');
    });
  });
});

describe('the request', () => {
  async function seen(
    variables: Readonly<Record<string, string>>,
    look: (request: GatewayRequest) => unknown,
    body?: string,
  ): Promise<unknown> {
    let value: unknown;

    await host(
      (request: IncomingMessage, response: ServerResponse) => {
        value = look(request as GatewayRequest);
        response.end();
      },
      async ({ ask }) => {
        await ask(variables, body);
      },
    );
    return value;
  }

  test('has the variables of the web server on req.environ', async () => {
    expect(await seen({ DOCUMENT_ROOT: '/srv' }, ({ environ }) => environ['DOCUMENT_ROOT'])).toBe('/srv');
  });

  test('addresses come from REMOTE_ADDR and its kind', async () => {
    const variables = {
      REMOTE_ADDR: '2001:db8::1',
      REMOTE_PORT: '4711',
      SERVER_ADDR: '192.0.2.1',
      SERVER_PORT: '443',
    };

    expect(
      await seen(variables, ({ socket }) => [
        [socket.remoteAddress, socket.remotePort, socket.remoteFamily],
        [socket.localAddress, socket.localPort, socket.localFamily],
        socket.address(),
      ]),
    ).toEqual([
      ['2001:db8::1', 4711, 'IPv6'],
      ['192.0.2.1', 443, 'IPv4'],
      { address: '192.0.2.1', port: 443, family: 'IPv4' },
    ]);
  });

  test('without them, or for a client on a Unix socket (nginx: "unix:"), there are none', async () => {
    for (const variables of [{}, { REMOTE_ADDR: 'unix:', REMOTE_PORT: '' }]) {
      expect(
        await seen(variables, ({ socket }) => [
          socket.remoteAddress,
          socket.remotePort,
          socket.remoteFamily,
          socket.address(),
        ]),
      ).toEqual([undefined, undefined, undefined, {}]);
    }
  });

  test.each([
    [{ HTTPS: 'on' }, true],
    [{ REQUEST_SCHEME: 'https' }, true],
    [{ HTTPS: 'off' }, false],
    [{ HTTP_HTTPS: 'on' }, false],
    [{}, false],
  ])('socket.encrypted of %j', async (variables, encrypted) => {
    expect(await seen(variables, ({ socket }) => (socket as { encrypted?: boolean }).encrypted)).toBe(
      encrypted,
    );
  });

  test.each([
    ['HTTP/1.1', ['1.1', 1, 1]],
    ['HTTP/1.0', ['1.0', 1, 0]],
    ['HTTP/2.0', ['1.1', 1, 1]],
    ['HTTP/3.0', ['1.1', 1, 1]],
  ])('%s', async (protocol, version) => {
    expect(
      await seen({ SERVER_PROTOCOL: protocol }, (request) => [
        request.httpVersion,
        request.httpVersionMajor,
        request.httpVersionMinor,
      ]),
    ).toEqual(version);
  });

  test('below a mount point url is what is left, originalUrl and baseUrl are Express’s', async () => {
    const mounted = {
      REQUEST_URI: '/app/a%2Fb?x=1',
      SCRIPT_NAME: '/app',
      PATH_INFO: '/a/b',
      QUERY_STRING: 'x=1',
    };

    expect(await seen(mounted, ({ url, originalUrl, baseUrl }) => [url, originalUrl, baseUrl])).toEqual([
      '/a%2Fb?x=1',
      '/app/a%2Fb?x=1',
      '/app',
    ]);
  });

  test('at the root they are absent, as on node:http', async () => {
    expect(await seen({}, (request) => ['originalUrl' in request, 'baseUrl' in request])).toEqual([
      false,
      false,
    ]);
  });

  test('an empty CONTENT_TYPE or CONTENT_LENGTH (nginx sends both) is no header', async () => {
    expect(
      await seen({ REQUEST_METHOD: 'DELETE', CONTENT_TYPE: '', CONTENT_LENGTH: '' }, ({ headers }) =>
        Object.keys(headers),
      ),
    ).toEqual(['host']);
  });

  test('CONTENT_LENGTH=0 of a GET (HAProxy, lighttpd, Caddy) is no header', async () => {
    expect(await seen({ CONTENT_LENGTH: '0' }, ({ headers }) => headers['content-length'])).toBeUndefined();
  });

  test('CONTENT_LENGTH=-1 (Caddy: chunked) is Transfer-Encoding: chunked', async () => {
    expect(
      await seen({ REQUEST_METHOD: 'POST', CONTENT_LENGTH: '-1' }, ({ headers }) => [
        headers['transfer-encoding'],
        headers['content-length'],
      ]),
    ).toEqual(['chunked', undefined]);
  });

  test('HTTP_PROXY is no header', async () => {
    expect(await seen({ HTTP_PROXY: 'evil' }, ({ headers }) => headers['proxy'])).toBeUndefined();
  });
});
