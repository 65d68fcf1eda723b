import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  HttpConnection,
  request,
  requestBytes,
  startRequest,
  type HttpOrigin,
} from '../../support/http-client';

const servers: Server[] = [];

/** A server of one test, which decides itself what to do with each connection. */
async function serve(onConnection: (socket: Socket) => void): Promise<HttpOrigin> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  // A server that listens on a host and port has an AddressInfo.
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

/** Answers the first bytes of each connection and ends it. */
async function serveText(text: string): Promise<HttpOrigin> {
  return serve((socket) => socket.once('data', () => socket.end(text, 'latin1')));
}

afterEach(() => {
  servers.splice(0).forEach((server) => server.close());
});

/** Collects what a connection receives until it holds `mark`, then answers. */
function received(socket: Socket, mark: string, answer: string): Promise<string> {
  let text = '';
  return new Promise((resolve) => {
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (text.includes(mark)) {
        socket.end(answer);
        resolve(text);
      }
    });
  });
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nok';

test('sends a request of hand-written parts, in their order', async () => {
  let sent: Promise<string> | undefined;
  const origin = await serve((socket) => void (sent = received(socket, 'b\xe9', OK)));

  await request(origin, {
    method: 'PUT',
    target: '/\xe9%2F?x',
    headers: [
      ['host', 'app.example.test'],
      ['X-Two', '1'],
      ['X-Two', '\xff'],
    ],
    body: Buffer.from('b\xe9', 'latin1'),
  });

  expect(await sent).toBe(
    'PUT /\xe9%2F?x HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n' +
      'host: app.example.test\r\nX-Two: 1\r\nX-Two: \xff\r\n\r\nb\xe9',
  );
});

test('sends pieces as they are made, in chunks', async () => {
  let sent: Promise<string> | undefined;
  const origin = await serve((socket) => void (sent = received(socket, '\r\n0\r\n\r\n', OK)));
  async function* pieces(): AsyncGenerator<string> {
    yield 'one';
    await sleep(20);
    yield '';
    yield 'fifteen letters';
  }

  await request(origin, { method: 'POST', chunked: true, body: pieces() });

  expect(await sent).toMatch(
    /Transfer-Encoding: chunked\r\n\r\n3\r\none\r\nf\r\nfifteen letters\r\n0\r\n\r\n$/,
  );
});

test('sends exactly the bytes it is given', async () => {
  let sent: Promise<string> | undefined;
  const origin = await serve((socket) => void (sent = received(socket, '\n\n', OK)));

  await requestBytes(origin, 'GET /\x00 HTTP/9.9\n\n');

  expect(await sent).toBe('GET /\x00 HTTP/9.9\n\n');
});

test('reports a whole response', async () => {
  const response = await request(await serveText(OK));

  expect(response).toMatchObject({
    status: 200,
    reason: 'OK',
    text: 'ok',
    framing: 'length',
    complete: true,
  });
  expect([response.header('x-A'), response.headerValues('X-A')]).toEqual(['1', ['1', '2']]);
});

for (const [what, text, complete] of [
  ['a short Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc', false],
  ['no last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', false],
  ['the end of the connection as its end', 'HTTP/1.0 200 OK\r\n\r\nabc', true],
] as const) {
  test(`a response with ${what} is complete: ${String(complete)}`, async () => {
    expect(await request(await serveText(text))).toMatchObject({ text: 'abc', complete });
  });
}

test('a response that is reset instead of ended is not complete', async () => {
  const origin = await serve((socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.0 200 OK\r\n\r\nabc', () => setTimeout(() => socket.resetAndDestroy(), 50)),
    );
  });

  expect(await request(origin)).toMatchObject({ text: 'abc', complete: false });
});

test('bytes after the end of a response are seen', async () => {
  const response = await request(await serveText(`${OK}HTTP/1.1 200 Forged\r\n\r\n`));

  expect(response.complete).toBe(true);
  expect(response.surplus.toString()).toBe('HTTP/1.1 200 Forged\r\n\r\n');
});

test('no response is an error that shows what came instead', async () => {
  await expect(request(await serveText('HTTP/1.1 2'))).rejects.toThrow(
    'no response: the connection was ended',
  );
  await expect(request(await serveText('220 smtp\r\n\r\n'))).rejects.toThrow('not a status line: "220 smtp"');
});

test('an early answer is not lost when it is a write that finds the connection reset', async () => {
  let onReset: () => void = () => undefined;
  const reset = new Promise<void>((resolve) => (onReset = resolve));
  const origin = await serve((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
      socket.resetAndDestroy();
      onReset();
    });
  });
  async function* pieces(): AsyncGenerator<string> {
    yield 'one';
    // Goes on before the event loop has read the socket: the next piece is written first, and fails.
    await reset;
    yield 'two';
  }

  const response = await request(origin, { method: 'POST', chunked: true, body: pieces() });

  expect(response).toMatchObject({ status: 413, text: 'big', complete: true });
});

test('the pieces of a body are reported when they come', async () => {
  const origin = await serve((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc');
      setTimeout(() => socket.end('def'), 150);
    });
  });

  const { arrivals } = await request(origin);
  expect(arrivals.map(({ length }) => length)).toEqual([3, 3]);
  const [first = 0, second = 0] = arrivals.map(({ atMs }) => atMs);
  expect(second - first).toBeGreaterThan(100);
});

test('an exchange can be watched, and left in the middle', async () => {
  let clientLeft: Promise<unknown> | undefined;
  const origin = await serve((socket) => {
    clientLeft = once(socket, 'end').then(() => socket.destroy());
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nabc'));
  });

  const exchange = startRequest(origin);
  expect((await exchange.head).status).toBe(200);
  await exchange.bodyReached(3);
  exchange.abort();

  expect(await exchange.response).toMatchObject({
    text: 'abc',
    complete: false,
    failure: 'aborted by the client',
  });
  await expect(exchange.bodyReached(4)).rejects.toThrow('after 3 bytes');
  await clientLeft;
});

test('a server that says nothing is waited for only so long', async () => {
  const origin = await serve(() => undefined);

  await expect(request(origin, { timeoutMs: 50 })).rejects.toThrow('within 50 ms, only no head');
});

test('a kept connection carries one request after the other', async () => {
  let connections = 0;
  const origin = await serve((socket) => {
    connections++;
    socket.on('data', () => socket.write(OK));
    socket.on('end', () => socket.end());
  });

  const connection = new HttpConnection(origin);
  try {
    expect((await connection.request()).text).toBe('ok');
    expect((await connection.request({ target: '/2' })).text).toBe('ok');
    expect(connections).toBe(1);
  } finally {
    connection.close();
  }
});

test('on a kept connection, surplus is read as the next response', async () => {
  const origin = await serve((socket) => {
    socket.once('data', () => socket.write(`${OK}HTTP/1.1 200 Forged\r\nContent-Length: 0\r\n\r\n`));
  });

  const connection = new HttpConnection(origin);
  try {
    expect((await connection.request()).reason).toBe('OK');
    expect((await connection.request()).reason).toBe('Forged');
  } finally {
    connection.close();
  }
});

test('a kept connection that its server has ended gives an error', async () => {
  const origin = await serveText(OK);

  const connection = new HttpConnection(origin);
  try {
    await connection.request();
    await sleep(50);
    await expect(connection.request()).rejects.toThrow('no response');
  } finally {
    connection.close();
  }
});
