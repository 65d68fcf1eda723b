import { once } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { RequestBody } from '../../../../adapters/exchange/request-body';
import { PeerError } from '../../../../src/errors';

function bodyOf(contentLength: number | undefined, maxBodyBytes = Infinity): RequestBody {
  return new RequestBody({ contentLength, maxBodyBytes, onRoom: () => undefined });
}

async function read(body: RequestBody): Promise<string> {
  const chunks: Buffer[] = [];

  for await (const chunk of body.stream) {
    chunks.push(chunk as Buffer); // a stream of bytes without an encoding
  }
  return Buffer.concat(chunks).toString();
}

const gone = new PeerError('ERR_PEER_GONE', 'gone');

/** The turn in which streams tell what has become of them. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a body of known length', () => {
  test('ends with its last byte, without waiting for the peer’s end', async () => {
    const body = bodyOf(5);

    body.push(Buffer.from('hel'));
    body.push(Buffer.from('lo'));
    await expect(read(body)).resolves.toBe('hello');
  });

  test('drops what comes beyond it', async () => {
    const body = bodyOf(5);

    body.push(Buffer.from('hello world'));
    body.push(Buffer.from('more'));
    await expect(read(body)).resolves.toBe('hello');
    expect(body.bufferedBytes).toBe(0);
  });

  test('that the peer ends too early is an error, not a short body', async () => {
    const body = bodyOf(5);

    body.push(Buffer.from('hel'));
    body.end();
    await expect(read(body)).rejects.toMatchObject({ code: 'ERR_BODY_TRUNCATED' });
  });

  test('of nothing is empty at once', async () => {
    await expect(read(bodyOf(0))).resolves.toBe('');
  });
});

describe('a body of unknown length', () => {
  test('ends when the peer says so', async () => {
    const body = bodyOf(undefined);

    body.push(Buffer.from('hello'));
    body.end();
    await expect(read(body)).resolves.toBe('hello');
  });

  test('is an error beyond the limit', async () => {
    const body = bodyOf(undefined, 4);

    body.push(Buffer.from('hello'));
    await expect(read(body)).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' });
  });
});

describe('a body that nobody wants any more', () => {
  test('tells a reader who waits for more, so that it does not wait for ever', async () => {
    const body = bodyOf(5);
    const reading = read(body);

    body.push(Buffer.from('hel'));
    await turn();
    body.discard();
    await expect(reading).rejects.toThrow();
  });

  test('tells a reader who has not come to its end, though all of it had arrived', async () => {
    // More than a stream takes in advance.
    const body = bodyOf(1_000_000);
    const chunks = body.stream[Symbol.asyncIterator]();

    for (let sent = 0; sent < 1_000_000; sent += 100_000) {
      body.push(Buffer.alloc(100_000));
    }
    await chunks.next();
    body.fail(gone);
    body.discard();

    const readOn = async (): Promise<void> => {
      while ((await chunks.next()).done !== true);
    };

    await expect(readOn()).rejects.toThrow();
  });

  test('is whole for a reader who had all of it already', async () => {
    const body = bodyOf(5);
    const { stream } = body;

    stream.resume();
    body.push(Buffer.from('hello'));
    await once(stream, 'end');
    body.discard();
    await turn();
    expect(stream.errored).toBeNull();
  });

  test('that was empty is still empty for who touches it late', async () => {
    const body = bodyOf(0);

    body.discard();
    await expect(read(body)).resolves.toBe('');
  });

  test('holds nothing, and says so once', () => {
    let room = 0;
    const body = new RequestBody({ contentLength: 9, maxBodyBytes: 9, onRoom: () => room++ });

    body.push(Buffer.from('hello'));
    body.discard();
    body.discard();
    body.push(Buffer.from('more'));
    expect([room, body.bufferedBytes]).toEqual([1, 0]);
  });
});

describe('a reader that listens', () => {
  test('and destroys the stream at the first chunk leaves no bytes counted', async () => {
    const body = bodyOf(undefined);
    const { stream } = body;

    for (let count = 0; count < 10; count++) {
      body.push(Buffer.alloc(1000));
    }
    stream.on('data', () => stream.destroy());
    await once(stream, 'close');
    expect(body.bufferedBytes).toBe(0);
  });

  test('and asks for more from within gets every byte once, in order, and then the end', async () => {
    const body = bodyOf(30);
    const { stream } = body;
    const seen: string[] = [];

    stream.on('data', (chunk: Buffer) => {
      seen.push(chunk.toString());
      // What a parser does that wants the next piece now.
      stream.read();
    });
    await turn();
    // Not wanted while they come, so that all are waiting when they are.
    stream.pause();
    for (const letter of ['a', 'b', 'c']) {
      body.push(Buffer.from(letter.repeat(10)));
    }
    stream.resume();
    await once(stream, 'end');
    expect(seen.join('')).toBe('a'.repeat(10) + 'b'.repeat(10) + 'c'.repeat(10));
  });

  test('and takes no more is given no more than a stream holds', () => {
    const body = bodyOf(undefined);
    const { stream } = body;

    for (let count = 0; count < 100; count++) {
      body.push(Buffer.alloc(10_000));
    }
    stream.read(0);
    expect(stream.readableLength).toBeLessThanOrEqual(stream.readableHighWaterMark + 10_000);
    expect(stream.readableLength + body.bufferedBytes).toBeGreaterThanOrEqual(1_000_000);
  });
});

describe('memory', () => {
  test('bytes that come one by one count for what they really take', () => {
    // Apache 2.4.71 passes a client's tiny chunks on as they are: each is a Buffer of its own.
    const body = bodyOf(undefined);
    const before = process.memoryUsage();

    while (body.bufferedBytes < 256 * 1024) {
      body.push(Buffer.from('x'));
    }

    const after = process.memoryUsage();
    const taken = after.heapUsed + after.external - before.heapUsed - before.external;

    expect(taken).toBeLessThan(4 * 1024 * 1024);
  });
});
