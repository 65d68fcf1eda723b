import { describe, expect, test } from '@jest/globals';

import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import { RawClient } from '../../support/raw-client';
import { endRequest, record, RecordType } from '../../support/records';

const STDOUT = RecordType.STDOUT;

async function withPeer(
  serve: (socket: Socket) => void,
  run: (client: RawClient, server: Server) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A TCP server's address is always an AddressInfo.
  const { port } = server.address() as AddressInfo;
  try {
    const client = await RawClient.connect(port);
    await run(client, server);
    await client.destroy();
  } finally {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  }
}

describe('the raw client', () => {
  test('waits for END_REQUEST of its request, twice on one connection', () =>
    withPeer(
      (socket) => {
        socket.on('data', () => {
          socket.write(Buffer.concat([record(STDOUT, 1, 'hi', 3), record(STDOUT, 1), endRequest(1)]));
        });
      },
      async (client) => {
        const first = await client.request([['A', 'b']], 'body', { keepConn: true });
        expect(first).toMatchObject({ stdout: Buffer.from('hi'), ended: true });
        expect(await client.request([])).toEqual(first);
        expect(client.records).toHaveLength(6);
      },
    ));

  test('puts together what arrives byte by byte', () =>
    withPeer(
      (socket) => {
        socket.setNoDelay();
        const bytes = Buffer.concat([record(STDOUT, 1, 'hi', 3), endRequest(1)]);
        void (async () => {
          for (const byte of bytes) {
            socket.write(Buffer.from([byte]));
            await new Promise((resolve) => setImmediate(resolve));
          }
        })();
      },
      async (client) => {
        expect(await client.waitForEnd(1)).toMatchObject({ stdout: Buffer.from('hi') });
        expect(client.partialBytes).toBe(0);
      },
    ));

  test('says so when the connection ends without END_REQUEST, and shows the cut record', () =>
    withPeer(
      (socket) => {
        socket.on('end', () => socket.end());
        socket.once('data', () => socket.end(record(STDOUT, 1, 'hello').subarray(0, 10)));
      },
      async (client) => {
        await expect(client.request([])).rejects.toThrow('without END_REQUEST of request 1');
        expect(client.partialBytes).toBe(10);
        expect(await client.waitForClose()).toEqual({ errorCode: undefined });
      },
    ));

  test('gives up after its time limit', () =>
    withPeer(
      () => undefined,
      async (client) => {
        await expect(client.waitForEnd(1, { timeoutMs: 20 })).rejects.toThrow('waited 20 ms for END_REQUEST');
        await expect(client.waitForClose({ timeoutMs: 20 })).rejects.toThrow('waited 20 ms for the close');
      },
    ));

  test('tells a reset from an end', () =>
    withPeer(
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
      async (client) => {
        await client.write('x');
        expect(await client.waitForClose()).toEqual({ errorCode: 'ECONNRESET' });
      },
    ));

  test('reads nothing while paused', () =>
    withPeer(
      (socket) => socket.once('data', () => socket.write(endRequest(1))),
      async (client) => {
        client.pause();
        await client.write('x');
        await expect(client.waitForBytes(1, { timeoutMs: 50 })).rejects.toThrow('waited 50 ms');
        client.resume();
        await client.waitForEnd(1);
      },
    ));

  test('rejects when nobody listens', async () => {
    await expect(RawClient.connect('/nonexistent/app.sock')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
