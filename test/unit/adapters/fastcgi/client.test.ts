import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Client, type ClientOptions } from '../../../../adapters/fastcgi/client';
import type { ClientResponse } from '../../../../adapters/fastcgi/client-exchange';
import { chunkings } from '../../../support/chunkings';
import {
  decodePairs,
  decodeSome,
  endRequest,
  KEEP_CONN,
  ProtocolStatus,
  record,
  RecordType,
  Role,
  stream,
  type DecodedRecord,
} from '../../../support/records';
import { withTemporaryFolder } from '../../../support/temporary-folder';

/** One connection as the server sees it. */
class Peer {
  readonly socket: Socket;
  readonly records: DecodedRecord[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #waiters: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const { records, rest } = decodeSome(Buffer.concat([this.#rest, chunk]));

      this.records.push(...records);
      this.#rest = rest;
      for (const wake of this.#waiters.splice(0)) {
        wake();
      }
    });
  }

  /** Until a record of this type has come, the `nth` one. */
  async until(type: number, nth = 1): Promise<void> {
    while (this.types.filter((each) => each === type).length < nth) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Until the `nth` request is complete, its empty STDIN record included. */
  async request(nth = 1): Promise<void> {
    const ends = (): number =>
      this.records.filter(({ type, content }) => type === RecordType.STDIN && content.length === 0).length;

    while (ends() < nth) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Until the client has closed. */
  async ended(): Promise<void> {
    if (!this.socket.readableEnded) {
      await once(this.socket, 'end');
    }
  }

  get types(): number[] {
    return this.records.map(({ type }) => type);
  }

  contentOf(type: number): Buffer {
    return Buffer.concat(this.records.filter((each) => each.type === type).map(({ content }) => content));
  }
}

/** Every connection of a test, in the order made. */
class FakeServer {
  readonly server: Server;
  readonly peers: Peer[] = [];

  constructor(serve: (peer: Peer) => unknown) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      const peer = new Peer(socket);

      this.peers.push(peer);
      void serve(peer);
    });
  }

  close(): void {
    this.server.close();
    for (const { socket } of this.peers) {
      socket.destroy();
    }
  }
}

const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) {
    cleanUp();
  }
});

interface Setup {
  readonly client: Client;
  readonly peers: readonly Peer[];
  /** The first of them, as soon as it is there. */
  readonly first: () => Promise<Peer>;
}

/** A client and a server that does what it is told on each connection. */
async function setUp(serve: (peer: Peer) => unknown, options: ClientOptions = {}): Promise<Setup> {
  const fake = new FakeServer(serve);

  fake.server.listen(0, '127.0.0.1');
  await once(fake.server, 'listening');

  const address = fake.server.address();
  const client = new Client({ port: typeof address === 'object' ? (address?.port ?? 0) : 0 }, options);

  cleanUps.push(() => {
    client.close();
    fake.close();
  });
  return {
    client,
    peers: fake.peers,
    first: async () => {
      for (;;) {
        if (fake.peers[0] !== undefined) {
          return fake.peers[0];
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** A server that sends the same bytes for each request. */
function answering(...chunks: readonly Uint8Array[]): (peer: Peer) => Promise<void> {
  return async (peer) => {
    for (let nth = 1; ; nth++) {
      await peer.request(nth);
      for (const chunk of chunks) {
        await new Promise((resolve) => peer.socket.write(chunk, resolve));
      }
    }
  };
}

function stdout(text: string): Buffer {
  return stream(RecordType.STDOUT, 1, text, { end: false });
}

const HEAD = 'Content-Type: text/plain\r\nStatus: 201 Created\r\n\r\n';
const ANSWER = Buffer.concat([stdout(`${HEAD}hello`), endRequest(1)]);

async function textOf({ body }: ClientResponse): Promise<string> {
  const chunks: Uint8Array[] = [];

  for await (const chunk of body) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('latin1');
}

describe('a request', () => {
  test('is BEGIN_REQUEST, PARAMS and STDIN, each stream with its end', async () => {
    const { client, peers } = await setUp(answering(ANSWER));
    const params = [
      ['REQUEST_METHOD', 'POST'],
      ['HTTP_X', '\x80\xff'],
      ['LONG', 'x'.repeat(300)],
      ['REQUEST_METHOD', 'again'],
    ] as const;

    await textOf(await client.request(params, { body: Buffer.from('body') }));

    const [begin] = peers[0]?.records ?? [];

    expect(peers[0]?.types).toEqual([
      RecordType.BEGIN_REQUEST,
      RecordType.PARAMS,
      RecordType.PARAMS,
      RecordType.STDIN,
      RecordType.STDIN,
    ]);
    expect([...(begin?.content ?? [])]).toEqual([0, Role.RESPONDER, KEEP_CONN, 0, 0, 0, 0, 0]);
    expect(decodePairs(peers[0]?.contentOf(RecordType.PARAMS) ?? Buffer.alloc(0))).toEqual(params);
    expect(peers[0]?.contentOf(RecordType.STDIN).toString()).toBe('body');
  });

  test('has no KEEP_CONN when the connection is not to be kept', async () => {
    const { client, peers } = await setUp(answering(ANSWER), { keepConn: false });

    await textOf(await client.request([]));
    expect(peers[0]?.records[0]?.content[2]).toBe(0);
  });

  test('to an authorizer has no STDIN', async () => {
    const { client, peers } = await setUp(async (peer) => {
      await peer.until(RecordType.PARAMS, 2);
      peer.socket.write(ANSWER);
    });

    await textOf(await client.request([['A', 'b']], { role: 'AUTHORIZER' }));
    expect(peers[0]?.types).toEqual([RecordType.BEGIN_REQUEST, RecordType.PARAMS, RecordType.PARAMS]);
    expect(peers[0]?.records[0]?.content[1]).toBe(Role.AUTHORIZER);
  });

  test('to a filter has its file after its body', async () => {
    const { client, peers } = await setUp(async (peer) => {
      await peer.until(RecordType.DATA, 2);
      peer.socket.write(ANSWER);
    });

    await textOf(
      await client.request([], { role: 'FILTER', body: Buffer.from('in'), data: [Buffer.from('file')] }),
    );
    expect(peers[0]?.types.slice(-4)).toEqual([
      RecordType.STDIN,
      RecordType.STDIN,
      RecordType.DATA,
      RecordType.DATA,
    ]);
    expect(peers[0]?.contentOf(RecordType.DATA).toString()).toBe('file');
  });

  test('with more than bytes in a parameter is refused before it is sent', async () => {
    const { client, peers } = await setUp(() => undefined);

    await expect(client.request([['A', '\u0a0d']])).rejects.toMatchObject({ code: 'ERR_USAGE' });
    expect(peers).toEqual([]);
  });

  test('body is sent as it is made', async () => {
    const { client, peers, first } = await setUp(answering(ANSWER));

    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('one');
      await (await first()).until(RecordType.STDIN);
      yield Buffer.from('two');
    }

    await textOf(await client.request([], { body: body() }));
    expect(peers[0]?.contentOf(RecordType.STDIN).toString()).toBe('onetwo');
  });

  test('body is not made faster than the server reads it', async () => {
    let made = 0;
    const { client, peers } = await setUp((peer) => peer.socket.pause());

    function* body(): Generator<Uint8Array> {
      while (made < 512) {
        made++;
        yield Buffer.alloc(65536);
      }
    }

    const response = client.request([], { body: body() });

    // Time for all of it to be made, if nothing stopped it.
    for (let turn = 0; turn < 1000; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(made).toBeLessThan(512);
    peers[0]?.socket.resume();
    await peers[0]?.request();
    expect(peers[0]?.contentOf(RecordType.STDIN)).toHaveLength(512 * 65536);
    peers[0]?.socket.end(ANSWER);
    expect(await textOf(await response)).toBe('hello');
  });
});

describe('a response', () => {
  const bytes = Buffer.concat([
    stdout('Content-Type: text/'),
    record(RecordType.STDERR, 1, 'oops', 3),
    record(RecordType.STDOUT, 2, 'not ours'),
    record(RecordType.STDOUT, 1, 'plain\n\nhe', 7),
    stdout('llo'),
    record(RecordType.STDOUT, 1),
    endRequest(1, 7),
  ]);

  for (const { how, chunks } of chunkings(bytes)) {
    test(`is read: ${how}`, async () => {
      const { client } = await setUp(answering(...chunks));
      const stderr: Uint8Array[] = [];
      const response = await client.request([], { onStderr: (content) => stderr.push(content) });

      expect(response).toMatchObject({ status: '200 OK', headers: [['Content-Type', 'text/plain']] });
      expect(await textOf(response)).toBe('hello');
      expect(await response.appStatus).toBe(7);
      expect(Buffer.concat(stderr).toString()).toBe('oops');
    });
  }

  test('is streamed', async () => {
    const { client, peers } = await setUp(answering(stdout(`${HEAD}one`)));
    const { body } = await client.request([]);

    expect(await body.next()).toMatchObject({ value: Buffer.from('one') });

    const second = body.next();

    peers[0]?.socket.write(Buffer.concat([stdout('two'), endRequest(1)]));
    expect(await second).toMatchObject({ value: Buffer.from('two') });
    expect(await body.next()).toEqual({ done: true, value: undefined });
  });

  test('that nobody reads stops the server', async () => {
    const total = 16 * 1024 * 1024;
    const { client, peers } = await setUp(
      answering(
        stdout(HEAD),
        stream(RecordType.STDOUT, 1, Buffer.alloc(total), { end: false }),
        endRequest(1),
      ),
    );
    const response = await client.request([]);

    for (let turn = 0; turn < 1000; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(peers[0]?.socket.writableLength).toBeGreaterThan(0);
    expect(response.body.bufferedBytes).toBeLessThan(1024 * 1024);
    expect(await textOf(response)).toHaveLength(total);
  });
});

describe('the client sees that a response is not whole', () => {
  for (const { how, answer, message } of [
    { how: 'no bytes at all', answer: [], message: /closed the connection before END_REQUEST/ },
    { how: 'half a head', answer: [stdout('X: 1')], message: /closed the connection before END_REQUEST/ },
    { how: 'END_REQUEST without a head', answer: [endRequest(1, 3)], message: /appStatus 3/ },
    {
      how: 'half a head and END_REQUEST',
      answer: [stdout('X: 1\n'), endRequest(1)],
      message: /without a complete/,
    },
    { how: 'OVERLOADED', answer: [endRequest(1, 0, ProtocolStatus.OVERLOADED)], message: /overloaded/ },
    { how: 'UNKNOWN_ROLE', answer: [endRequest(1, 0, ProtocolStatus.UNKNOWN_ROLE)], message: /role/ },
    { how: 'a head that is none', answer: [stdout('hello\n\n')], message: /not a header field/ },
    { how: 'HTTP', answer: [Buffer.from('HTTP/1.1 200 OK\r\n\r\n')], message: /not FastCGI/ },
    {
      how: 'a short END_REQUEST',
      answer: [record(RecordType.END_REQUEST, 1, 'abc')],
      message: /eight bytes/,
    },
  ]) {
    test(`from ${how}`, async () => {
      const { client } = await setUp(async (peer) => {
        await peer.request();
        peer.socket.end(Buffer.concat(answer));
      });

      const error: unknown = await client.request([]).catch((reason: unknown) => reason);

      expect(error).toMatchObject({ code: 'ERR_BACKEND', message: expect.stringMatching(message) });
    });
  }

  test('by a body that fails after all that arrived', async () => {
    const { client } = await setUp(async (peer) => {
      await peer.request();
      peer.socket.end(stdout(`${HEAD}beginning`));
    });
    const { body, appStatus } = await client.request([]);
    const failure = expect(appStatus).rejects.toMatchObject({ code: 'ERR_BACKEND' });

    // Only read when the connection is closed.
    await failure;
    expect(await body.next()).toMatchObject({ value: Buffer.from('beginning') });
    await expect(body.next()).rejects.toMatchObject({ code: 'ERR_BACKEND' });
    expect(await body.next()).toEqual({ done: true, value: undefined });
  });

  test('when nobody listens', async () => {
    await withTemporaryFolder(async (folder) => {
      const client = new Client({ path: join(folder, 'no.sock') });

      await expect(client.request([])).rejects.toMatchObject({
        code: 'ERR_BACKEND',
        message: expect.stringContaining('cannot connect to unix:'),
      });
    });
  });
});

describe('a connection', () => {
  test('is used again', async () => {
    const { client, peers } = await setUp(answering(ANSWER));

    for (let count = 0; count < 3; count++) {
      expect(await textOf(await client.request([]))).toBe('hello');
    }
    expect(peers).toHaveLength(1);
  });

  test('is not shared by requests at the same time', async () => {
    const { client, peers } = await setUp(answering(ANSWER));
    const responses = await Promise.all([client.request([]), client.request([])]);

    expect(await Promise.all(responses.map(textOf))).toEqual(['hello', 'hello']);
    expect(peers).toHaveLength(2);
  });

  test('is closed when there are enough idle ones', async () => {
    const { client, peers } = await setUp(answering(ANSWER), { maxIdleConnections: 1 });
    const responses = await Promise.all([client.request([]), client.request([])]);

    await Promise.all(responses.map(textOf));
    await Promise.any(peers.map(({ socket }) => once(socket, 'end')));
    await textOf(await client.request([]));
    expect(peers).toHaveLength(2);
  });

  test('that the server closed while idle is not used again', async () => {
    const { client, peers, first } = await setUp(answering(ANSWER));

    await textOf(await client.request([]));
    peers[0]?.socket.end();
    await (await first()).ended();
    expect(await textOf(await client.request([]))).toBe('hello');
    expect(peers).toHaveLength(2);
  });

  test('on which the server speaks out of turn is not used again', async () => {
    const { client, peers, first } = await setUp(answering(ANSWER));

    await textOf(await client.request([]));
    peers[0]?.socket.write(stdout('surprise'));
    await (await first()).ended();
    expect(await textOf(await client.request([]))).toBe('hello');
    expect(peers).toHaveLength(2);
  });

  test('is closed after an answer that came before the whole request was sent', async () => {
    const { client, first } = await setUp(async (peer) => {
      await peer.until(RecordType.STDIN);
      peer.socket.write(ANSWER);
    });

    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('one');
      await new Promise(() => undefined);
    }

    expect(await textOf(await client.request([], { body: body() }))).toBe('hello');
    await (await first()).ended();
  });
});

describe('giving up', () => {
  test('before the head sends ABORT_REQUEST and closes', async () => {
    const { client, first } = await setUp(() => undefined);
    const controller = new AbortController();
    const response = client.request([], { signal: controller.signal });
    const failure = expect(response).rejects.toThrow('enough');

    const peer = await first();

    await peer.request();
    controller.abort(new Error('enough'));
    await failure;
    await peer.ended();
    expect(peer.types.at(-1)).toBe(RecordType.ABORT_REQUEST);
  });

  test('within the body makes it fail', async () => {
    const { client, peers, first } = await setUp(answering(stdout(`${HEAD}one`)));
    const controller = new AbortController();
    const { body } = await client.request([], { signal: controller.signal });

    expect(await body.next()).toMatchObject({ value: Buffer.from('one') });

    const next = expect(body.next()).rejects.toThrow('enough');

    controller.abort(new Error('enough'));
    await next;
    await (await first()).ended();
    expect(peers[0]?.types.at(-1)).toBe(RecordType.ABORT_REQUEST);
  });

  test('is leaving the body before its end', async () => {
    const { client, peers, first } = await setUp(answering(stdout(`${HEAD}one`)));

    for await (const chunk of (await client.request([])).body) {
      expect(chunk.toString()).toBe(Buffer.from('one').toString());
      break;
    }
    await (await first()).ended();
    expect(peers[0]?.types.at(-1)).toBe(RecordType.ABORT_REQUEST);
  });

  test('before it began sends nothing', async () => {
    const { client, peers } = await setUp(() => undefined);

    await expect(client.request([], { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    expect(peers).toEqual([]);
  });

  test('is what a request body that fails does', async () => {
    const { client, peers, first } = await setUp(() => undefined);

    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('one');
      await (await first()).until(RecordType.STDIN);
      throw new Error('the upload broke');
    }

    await expect(client.request([], { body: body() })).rejects.toThrow('the upload broke');
    await (await first()).ended();
    expect(peers[0]?.types.at(-1)).toBe(RecordType.ABORT_REQUEST);
  });
});
