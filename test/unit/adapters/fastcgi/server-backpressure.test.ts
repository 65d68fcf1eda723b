/** A peer that does not read stops the application; an application that does not read stops the peer. */
import { describe, expect, test } from '@jest/globals';
import type { Application, Body } from '../../../../src/index';
import {
  abortRequest,
  beginRequest,
  data,
  getValues,
  KEEP_CONN,
  params,
  record,
  RecordType,
  request,
  Role,
  stdin,
} from '../../../support/records';
import { Gate, pairsOf, settled, withServer } from './running-server';

const { GET_VALUES_RESULT, STDIN } = RecordType;

const KIB = 1024;
const MIB = 1024 * 1024;

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', []);
  return 'hello\n';
};

describe('a reader that reads nothing', () => {
  /** Counts the bytes that were asked of the body. */
  class Source {
    asked = 0;
    closed = 0;
    readonly #total: number;
    readonly #chunk: string | Uint8Array;

    constructor(total: number, chunk: string | Uint8Array) {
      this.#total = total;
      this.#chunk = chunk;
    }

    *now(): Generator<string | Uint8Array> {
      try {
        while (this.asked < this.#total) {
          this.asked += this.#chunk.length;
          yield this.#chunk;
        }
      } finally {
        this.closed++;
      }
    }

    async *later(): AsyncGenerator<string | Uint8Array> {
      for (const chunk of this.now()) {
        yield await Promise.resolve(chunk);
      }
    }
  }

  const chunks: [string, string | Uint8Array][] = [
    ['a hundred bytes', 'x'.repeat(100)],
    ['a string of 8 KiB', 'x'.repeat(8 * KIB)],
    ['64 KiB', Buffer.alloc(64 * KIB)],
    ['200 KiB', Buffer.alloc(200 * KIB)],
  ];

  for (const kind of ['now', 'later'] as const) {
    test.each(chunks)(
      `stops the application within 1 MiB, and all arrives when it reads (${kind}, chunks of %s)`,
      async (_what, chunk) => {
        const source = new Source(4 * MIB, chunk);
        const application: Application = (_environ, startResponse): Body => {
          startResponse('200 OK', []);
          return source[kind]();
        };

        await withServer(application, async ({ connect }) => {
          const client = await connect();

          client.pause();
          await client.write(request(pairsOf()));
          expect(await settled(() => source.asked)).toBeLessThanOrEqual(MIB);
          client.resume();

          const { stdout } = await client.waitForEnd(1);

          expect(stdout.length).toBe(source.asked + 'Status: 200 OK\r\n\r\n'.length);
          expect(source.closed).toBe(1);
        });
      },
    );
  }

  test('stops every application on its connection, and none on another', async () => {
    const sources = new Map([1, 3, 5].map((id) => [String(id), new Source(2 * MIB, Buffer.alloc(4 * KIB))]));
    const application: Application = (environ, startResponse): Body => {
      startResponse('200 OK', []);
      return sources.get(environ.QUERY_STRING)?.later() ?? 'hello';
    };

    await withServer(application, async ({ connect }) => {
      const [stalled, other] = [await connect(), await connect()];
      const asked = (): number => [...sources.values()].reduce((sum, source) => sum + source.asked, 0);

      stalled.pause();
      for (const id of [1, 3, 5]) {
        await stalled.write(request(pairsOf({ QUERY_STRING: String(id) }), '', { id, keepConn: true }));
      }
      expect(await settled(asked)).toBeLessThanOrEqual(MIB);
      expect((await other.request(pairsOf())).ended).toBe(true);
      stalled.resume();
      for (const id of [1, 3, 5]) {
        expect((await stalled.waitForEnd(id)).stdout.length).toBeGreaterThan(2 * MIB);
      }
    });
  });

  test('and leaves: the application is told, and its generator is closed', async () => {
    const source = new Source(64 * MIB, Buffer.alloc(64 * KIB));
    const application: Application = (_environ, startResponse): Body => {
      startResponse('200 OK', []);
      return source.later();
    };

    await withServer(application, async ({ connect, server }) => {
      const client = await connect();

      client.pause();
      await client.write(request(pairsOf()));
      await settled(() => source.asked);
      await client.destroy();
      await settled(() => server.activeRequests);
      expect([server.activeRequests, source.closed]).toEqual([0, 1]);
    });
  });

  test('is still heard when it aborts the request', async () => {
    const source = new Source(64 * MIB, Buffer.alloc(64 * KIB));
    const application: Application = (_environ, startResponse): Body => {
      startResponse('200 OK', []);
      return source.later();
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      client.pause();
      await client.write(request(pairsOf(), '', { keepConn: true }));
      await settled(() => source.asked);
      await client.write(abortRequest(1));
      await settled(() => source.closed);
      expect(source.closed).toBe(1);
    });
  });

  test('and asks for values all the time is not listened to beyond a bound', async () => {
    const QUESTION = getValues(['FCGI_MAX_REQS']);
    const ASKED = 16 * MIB;
    const count = Math.floor(ASKED / QUESTION.length);

    await withServer(hello, async ({ connect }) => {
      const client = await connect();

      client.pause();
      for (let sent = 0; sent < count; sent += 1000) {
        client.socket.write(Buffer.concat(new Array<Buffer>(Math.min(1000, count - sent)).fill(QUESTION)));
      }
      expect(await settled(() => client.socket.writableLength)).toBeGreaterThan(ASKED - 4 * MIB);
      client.resume();
      await client.waitForBytes(count * QUESTION.length);
      await settled(() => client.receivedBytes);
      expect(client.records.every(({ type }) => type === GET_VALUES_RESULT)).toBe(true);
      expect(client.records).toHaveLength(count);
    });
  });

  test('and begins one request after the other that must be refused is not listened to beyond a bound', async () => {
    const BAD = beginRequest(1, 9, KEEP_CONN);
    const count = MIB;

    await withServer(hello, async ({ connect, server }) => {
      const client = await connect();

      client.pause();
      client.socket.write(Buffer.concat(new Array<Buffer>(count).fill(BAD)));
      expect(await settled(() => client.socket.writableLength)).toBeGreaterThan(0);
      expect(server.activeRequests).toBe(0);
    });
  });
});

describe('an application that does not read', () => {
  test.each(['unix', 'tcp'] as const)(
    'stops the uploader, and gets everything when it reads (%s)',
    async (channel) => {
      const SIZE = 40 * MIB;
      const gate = new Gate();
      const application: Application = async (environ, startResponse) => {
        let length = 0;

        await gate.passed;
        for await (const chunk of environ['wsgi.input']) {
          length += (chunk as Buffer).length;
        }
        startResponse('200 OK', []);
        return String(length);
      };

      await withServer(application, async ({ connect }) => {
        const client = await connect(channel);

        void client.write(request(pairsOf({ CONTENT_LENGTH: String(SIZE) }), Buffer.alloc(SIZE)));

        const unsent = await settled(() => client.socket.writableLength);

        // What is missing is in the system's buffers, which are large on TCP, and in the gateway's.
        expect(unsent).toBeGreaterThan(SIZE - (channel === 'unix' ? 1 : 16) * MIB);
        gate.open();
        expect((await client.waitForEnd(1)).stdout.toString()).toContain(`\r\n\r\n${String(SIZE)}`);
      });
    },
  );

  const STALLED = 1;
  const LIMIT = 256 * KIB;

  /** Request 1 does not read before the gate is open; every other one answers at once. */
  function stallingApplication(gate: Gate, called: string[]): Application {
    return async (environ, startResponse) => {
      called.push(environ.QUERY_STRING);
      if (environ.QUERY_STRING !== String(STALLED)) {
        return hello(environ, startResponse);
      }
      await gate.passed;

      let length = 0;

      for await (const chunk of environ['wsgi.input']) {
        length += (chunk as Buffer).length;
      }
      startResponse('200 OK', []);
      return String(length);
    };
  }

  test('holds back the other requests of its connection only beyond maxBufferedBytes', async () => {
    const gate = new Gate();
    const called: string[] = [];

    await withServer(stallingApplication(gate, called), async ({ connect }) => {
      const client = await connect();
      const send = (id: number): Promise<void> =>
        client.write(request(pairsOf({ QUERY_STRING: String(id) }), '', { id, keepConn: true }));

      await client.write(
        Buffer.concat([
          beginRequest(STALLED, Role.RESPONDER, KEEP_CONN),
          params(STALLED, pairsOf({ QUERY_STRING: String(STALLED) })),
          stdin(STALLED, Buffer.alloc(LIMIT - 16 * KIB), { end: false }),
        ]),
      );
      await send(3);
      expect((await client.waitForEnd(3)).ended).toBe(true);

      // Over the limit: the next request stays in the system's buffers.
      await client.write(record(STDIN, STALLED, Buffer.alloc(48 * KIB)));
      await settled(() => called.length);
      await send(5);
      await settled(() => called.length);
      expect(called).toEqual(['1', '3']);

      gate.open();
      expect((await client.waitForEnd(5)).ended).toBe(true);
      await client.write(record(STDIN, STALLED));
      expect((await client.waitForEnd(STALLED)).stdout.toString()).toContain(String(LIMIT + 32 * KIB));
    });
  });

  test('and answers without reading lets the others go on', async () => {
    const gate = new Gate();
    const application: Application = async (environ, startResponse) => {
      if (environ.QUERY_STRING === String(STALLED)) {
        await gate.passed;
      }
      return hello(environ, startResponse);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      void client.write(
        Buffer.concat([
          request(pairsOf({ QUERY_STRING: String(STALLED) }), Buffer.alloc(4 * MIB), {
            id: STALLED,
            keepConn: true,
          }),
          request(pairsOf({ QUERY_STRING: '3' }), '', { id: 3, keepConn: true }),
        ]),
      );
      await settled(() => client.socket.writableLength);
      expect(client.records).toEqual([]);
      gate.open();
      await client.waitForEnd(STALLED);
      expect((await client.waitForEnd(3)).ended).toBe(true);
    });
  });

  test('and throws its input away lets the others go on', async () => {
    const application: Application = async (environ, startResponse) => {
      if (environ.QUERY_STRING === String(STALLED)) {
        environ['wsgi.input'].destroy();
        return new Promise(() => undefined);
      }
      return hello(environ, startResponse);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      void client.write(
        Buffer.concat([
          request(pairsOf({ QUERY_STRING: String(STALLED) }), Buffer.alloc(4 * MIB), {
            id: STALLED,
            keepConn: true,
          }),
          request(pairsOf({ QUERY_STRING: '3' }), '', { id: 3, keepConn: true }),
        ]),
      );
      expect((await client.waitForEnd(3)).ended).toBe(true);
    });
  });

  test('counts both streams of a Filter', async () => {
    const gate = new Gate();
    const application: Application = async (environ, startResponse) => {
      await gate.passed;

      let length = 0;

      for (const each of [environ['wsgi.input'], environ['fastcgi.data']]) {
        for await (const chunk of each ?? []) {
          length += (chunk as Buffer).length;
        }
      }
      startResponse('200 OK', []);
      return String(length);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      void client.write(
        Buffer.concat([
          beginRequest(1, Role.FILTER),
          params(1, pairsOf()),
          stdin(1, Buffer.alloc(200 * KIB)),
          data(1, Buffer.alloc(4 * MIB)),
        ]),
      );
      expect(await settled(() => client.socket.writableLength)).toBeGreaterThan(3 * MIB);
      gate.open();
      expect((await client.waitForEnd(1)).stdout.toString()).toContain(String(4 * MIB + 200 * KIB));
    });
  });

  test('is not made to hold more by a body in tiny records, each of which is an object of its own', async () => {
    const TINY = record(STDIN, 1, 'x');
    const SIZE = 4 * MIB;
    const application: Application = async () => new Promise(() => undefined);

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      client.socket.write(Buffer.concat([beginRequest(1), params(1, pairsOf())]));
      client.socket.write(Buffer.alloc(SIZE, TINY));
      // By their content alone 256 KiB of them would be 2.3 MiB on the wire.
      expect(await settled(() => client.socket.writableLength)).toBeGreaterThan(SIZE - MIB);
    });
  });
});

describe('an application that sends back what it reads, to a peer that reads nothing before it has sent all', () => {
  const sendBack: Application = async function* (environ, startResponse) {
    startResponse('200 OK', []);
    for await (const chunk of environ['wsgi.input']) {
      yield chunk as Buffer; // bytes: nobody sets an encoding
    }
  };

  test('does not wait for ever: 8 MiB are read ahead (Caddy 2.6.2, mod_fcgid 2.3.9)', async () => {
    await withServer(sendBack, async ({ connect }) => {
      const client = await connect();

      client.pause();
      await client.write(request(pairsOf({ CONTENT_LENGTH: String(8 * MIB) }), Buffer.alloc(8 * MIB)));
      client.resume();
      expect((await client.waitForEnd(1)).stdout.length).toBeGreaterThan(8 * MIB);
    });
  });

  test('is not made to hold more than 16 MiB', async () => {
    await withServer(sendBack, async ({ connect }) => {
      const client = await connect();

      client.pause();
      client.socket.write(request(pairsOf({ CONTENT_LENGTH: String(40 * MIB) }), Buffer.alloc(40 * MIB)));
      expect(await settled(() => client.socket.writableLength)).toBeGreaterThan((40 - 16 - 2) * MIB);
    });
  });
});
