/** Request bodies: of every size, with and without a length, read and unread. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestBody } from '../../support/http-client';
import type { Behaviour, Exception, Observation, Scene } from '../behaviour';
import { HAPROXY, LIGHTTPD, LIGHTTPD_UPLOAD_STREAMED, NGINX } from '../hosts-by-name';
import { describeBytes, describeResponse, digestOf } from '../observation';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Every byte value, in an order in which no two blocks of a power of two are equal. */
export function bodyOf(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) {
    bytes[index] = (index * 31 + (index >> 8) * 7 + (index >> 16)) & 0xff;
  }
  return bytes;
}

/** What a client sends in one write, with its head, a server has in one read. */
const MAX_QUICK_BYTES = 10;

/** The pause after the head, so that no server has it and the body in one read. */
const PAUSE_MS = 50;

/** In one piece, or in chunks of 100,000 bytes: no multiple of anybody's buffer. */
function chunkedBodyOf(bytes: Buffer): RequestBody {
  return bytes.length <= MAX_QUICK_BYTES ? bytes : chunksOf(bytes);
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer> {
  await sleep(PAUSE_MS);
  for (let offset = 0; offset < bytes.length; offset += 100_000) {
    yield bytes.subarray(offset, offset + 100_000);
  }
}

const SIZES: readonly (readonly [what: string, length: number])[] = [
  ['no byte', 0],
  ['one byte', 1],
  ['10 bytes', 10],
  ['64 KiB less one byte', 64 * KIB - 1],
  ['64 KiB', 64 * KIB],
  ['64 KiB and one byte', 64 * KIB + 1],
  ['1 MiB', MIB],
  ['10 MiB', 10 * MIB],
];

/** Made when it is needed: ten of these would be a lot of memory in every test file. */
function digestRow(what: string, length: number, chunked: boolean): Behaviour {
  return {
    name: `reads an upload of ${what} ${chunked ? 'in chunks' : 'with Content-Length'}`,
    app: 'digest',
    observe: async (scene) => {
      const body = bodyOf(length);
      const response = await scene.request({
        method: 'POST',
        ...(chunked ? { body: chunkedBodyOf(body), chunked } : { body }),
      });
      return { ...describeResponse(response), isRight: response.text === digestOf(body) };
    },
    expect: { status: 200, isRight: true, complete: true },
    exceptions: chunked && length > MAX_QUICK_BYTES ? largeInChunks : [],
    timeoutMs: 30_000,
  };
}

const slowInChunks: Exception = {
  hosts: LIGHTTPD_UPLOAD_STREAMED,
  why: 'lighttpd 1.4.69 with server.stream-request-body = 2 answers 411 to an upload in chunks that is not there at once',
  expect: { status: 411 },
};

const largeInChunks: readonly Exception[] = [
  slowInChunks,
  {
    hosts: HAPROXY,
    why: 'HAProxy 2.6.12 has to know the length of a body before it passes it on, and waits for 16 KiB of it at most: 400',
    expect: { status: 400 },
  },
];

/** How long to wait for a response of which it is known that it will not come. */
const STUCK_MS = 3000;

const stuckEcho: Exception = {
  hosts: NGINX,
  why: 'nginx 1.22.1 sends no more of a request body once a response has begun: who reads and writes in turn waits for ever',
  expect: { isStuck: true },
  // On a busy machine nginx may have sent all of it before it sees the response.
  isRace: true,
};

function echoRow(app: 'echo' | 'echo-stream', how: string, what: string, length: number): Behaviour {
  return {
    name: `sends an upload of ${what} back ${how}`,
    app,
    observe: async (scene) => {
      const body = bodyOf(length);
      const limit = scene.isException ? { timeoutMs: STUCK_MS } : {};
      try {
        const response = await scene.request({ method: 'POST', body, ...limit });
        return { ...describeResponse(response), isRight: response.body.equals(body) };
      } catch (error) {
        return { isStuck: /no complete response within/.test(String(error)) };
      }
    },
    expect: { status: 200, isRight: true, complete: true },
    exceptions: app === 'echo-stream' && length > MIB ? [stuckEcho] : [],
    timeoutMs: 30_000,
  };
}

/**
 * HAProxy 2.6.12 with a shared connection answers about one request in a hundred with a 500 of its own (`IH` in its
 * log) that comes in the very moment when it gives up the rest of an upload; 20 ms later never.
 */
const AFTER_EARLY_ANSWER_MS = 100;

/** The row's upload, then an ordinary request on the same connection, if the server keeps it; else on another. */
async function thenHello(scene: Scene): Promise<Observation> {
  const connection = scene.host.connect();
  try {
    const body = bodyOf(MIB);
    const first = await connection.request(scene.prepare({ method: 'POST', body }));
    const hello = scene.prepare({ app: 'hello' });
    if (HAPROXY.test(scene.facts.name)) {
      await sleep(AFTER_EARLY_ANSWER_MS);
    }
    // RFC 9112 §9.6: a server may close a connection on which it has not read a body to its end.
    const second = await connection.request(hello).catch(() => scene.host.startRequest(hello).response);
    return { first: describeResponse(first), second: describeResponse(second) };
  } finally {
    connection.close();
  }
}

const hello = { status: 200, body: 'Hello, world!\n', complete: true };

export const requestBodies: readonly Behaviour[] = [
  ...SIZES.map(([what, length]) => digestRow(what, length, false)),
  ...SIZES.map(([what, length]) => digestRow(what, length, true)),
  ...(['10 bytes', '64 KiB', '1 MiB', '10 MiB'] as const).map((size) =>
    echoRow('echo', 'once it is here', size, Object.fromEntries(SIZES)[size] ?? 0),
  ),
  ...(['10 bytes', '64 KiB', '10 MiB'] as const).map((size) =>
    echoRow('echo-stream', 'while it comes in', size, Object.fromEntries(SIZES)[size] ?? 0),
  ),
  {
    name: 'reads the body of a GET',
    app: 'digest',
    request: { method: 'GET', body: 'four' },
    expect: { status: 200, body: digestOf(Buffer.from('four')) },
    exceptions: [
      {
        hosts: LIGHTTPD,
        why: 'lighttpd 1.4.69 answers 400 to a GET with a body (server.http-parseopts method-get-body)',
        expect: { status: 400 },
      },
    ],
  },
  {
    name: 'reads a POST without body and length as empty',
    app: 'digest',
    request: { method: 'POST' },
    expect: { status: 200, body: digestOf(Buffer.alloc(0)) },
    exceptions: [
      {
        hosts: LIGHTTPD,
        why: 'lighttpd 1.4.69 answers 411 to a POST without Content-Length and chunks',
        expect: { status: 411 },
      },
    ],
  },
  {
    name: 'reads a slow upload in chunks',
    app: 'echo',
    observe: async (scene) => {
      const body = slowly(['one, ', 'two, ', 'three']);
      const response = await scene.request({ method: 'POST', chunked: true, body });
      return { ...describeResponse(response), body: describeBytes(response.body) };
    },
    expect: { status: 200, body: 'one, two, three' },
    exceptions: [slowInChunks],
  },
  {
    name: 'reads a slow upload with Content-Length',
    app: 'echo',
    observe: async (scene) => {
      const body = slowly(['one, ', 'two, ', 'three']);
      const response = await scene.request({ method: 'POST', headers: [['Content-Length', '15']], body });
      return { ...describeResponse(response), body: describeBytes(response.body) };
    },
    expect: { status: 200, body: 'one, two, three' },
  },
  {
    name: 'answers 413 without reading an upload of 1 MiB',
    app: 'too-large',
    observe: thenHello,
    expect: {
      first: { status: 413, body: 'too large\n', complete: true },
      second: hello,
    },
  },
  {
    name: 'keeps an unread body of 1 MiB from the next request',
    app: 'unread',
    observe: thenHello,
    expect: {
      first: { status: 200, body: 'not read\n', complete: true },
      second: hello,
    },
  },
];

async function* slowly(pieces: readonly string[]): AsyncGenerator<string> {
  for (const piece of pieces) {
    await sleep(PAUSE_MS);
    yield piece;
  }
}
