// The body as a Node stream: every chunking, limits, errors that nobody hears, and what is said of room.
import { once } from 'node:events';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { RequestBody, type RequestBodyOptions } from '../../../../adapters/exchange/request-body';
import { PeerError } from '../../../../src/errors';
import { chunkings } from '../../../support/chunkings';

const BYTES = Buffer.from('0123456789');

function bodyWith(options: Partial<RequestBodyOptions> = {}): RequestBody {
  return new RequestBody({
    contentLength: undefined,
    maxBodyBytes: Infinity,
    onRoom: () => undefined,
    ...options,
  });
}

async function read(body: RequestBody): Promise<string> {
  const chunks: Buffer[] = [];

  for await (const chunk of body.stream) {
    chunks.push(chunk as Buffer); // no encoding is set
  }
  return Buffer.concat(chunks).toString();
}

async function codeOfReading(body: RequestBody): Promise<unknown> {
  try {
    return await read(body);
  } catch (error) {
    return (error as { readonly code?: unknown }).code;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the bytes are the same', () => {
  const cases: [string, number | undefined, string][] = [
    ['as long as was said', 10, '0123456789'],
    ['longer than was said', 7, '0123456'],
    ['shorter than was said', 11, 'ERR_BODY_TRUNCATED'],
    ['of unknown length', undefined, '0123456789'],
    ['said to be empty', 0, ''],
  ];

  for (const [what, contentLength, expected] of cases) {
    for (const { how, chunks } of chunkings(BYTES)) {
      test(`${what}, ${how}, before and while it is read`, async () => {
        const before = bodyWith({ contentLength });
        chunks.forEach((chunk) => before.push(chunk));
        before.end();

        const during = bodyWith({ contentLength });
        const reading = codeOfReading(during);
        for (const chunk of chunks) {
          await turn();
          during.push(chunk);
        }
        during.end();

        expect(await codeOfReading(before)).toBe(expected);
        expect(await reading).toBe(expected);
        expect([before.bufferedBytes, during.bufferedBytes]).toEqual([0, 0]);
      });
    }
  }

  test('in any order of pushing and reading (property)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 8 }),
        fc.boolean(),
        fc.array(fc.boolean(), { maxLength: 8 }),
        async (chunks, isLengthKnown, pauses) => {
          const whole = Buffer.concat(chunks);
          const body = bodyWith({ contentLength: isLengthKnown ? whole.length : undefined });
          const seen: Buffer[] = [];
          body.stream.on('data', (chunk: Buffer) => seen.push(chunk));
          const ended = once(body.stream, 'end');

          for (const [index, chunk] of chunks.entries()) {
            body.push(Buffer.from(chunk));
            if (pauses[index] === true) {
              await turn();
            }
          }
          body.end();
          await ended;

          expect(Buffer.concat(seen).equals(whole)).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('the limit', () => {
  test('lets exactly as many bytes through', async () => {
    const body = bodyWith({ maxBodyBytes: 10 });
    body.push(BYTES);
    body.end();

    expect(await read(body)).toBe('0123456789');
  });

  test('counts over chunks, and what is over it is not kept', async () => {
    const body = bodyWith({ maxBodyBytes: 10 });
    body.push(BYTES);
    body.push(Buffer.from('x'));
    body.push(BYTES);

    expect(body.bufferedBytes).toBe(0);
    expect(await codeOfReading(body)).toBe('ERR_BODY_TOO_LARGE');
  });

  test('does not count what is beyond the content length', async () => {
    const body = bodyWith({ contentLength: 5, maxBodyBytes: 5 });
    body.push(BYTES);

    expect(await read(body)).toBe('01234');
  });
});

describe('an error', () => {
  test('that nobody listens to does not end the process', async () => {
    const untouched = bodyWith();
    untouched.fail(new PeerError('ERR_PEER_GONE', 'gone'));
    const touched = bodyWith();
    expect(touched.stream.destroyed).toBe(false);
    touched.fail(new PeerError('ERR_PEER_GONE', 'gone'));
    const late = bodyWith();
    late.fail(new PeerError('ERR_PEER_GONE', 'gone'));
    expect(late.stream.destroyed).toBe(true);

    await turn();
    await turn();
  });

  test('comes before bytes that were not read: half a body is not to be worked on', async () => {
    const body = bodyWith({ contentLength: 20 });
    body.push(BYTES);
    body.end();

    expect(await codeOfReading(body)).toBe('ERR_BODY_TRUNCATED');
  });

  test('is the first one', async () => {
    const body = bodyWith();
    body.fail(new PeerError('ERR_PEER_GONE', 'gone'));
    body.fail(new PeerError('ERR_BODY_TRUNCATED', 'other'));
    body.push(BYTES);
    body.end();

    expect(await codeOfReading(body)).toBe('ERR_PEER_GONE');
  });

  test('after the last byte is none: the body is whole', async () => {
    const body = bodyWith({ contentLength: 10 });
    body.push(BYTES);
    body.fail(new PeerError('ERR_PEER_GONE', 'gone'));

    expect(await read(body)).toBe('0123456789');
  });
});

describe('room', () => {
  test('is said when bytes are read, and the peer may go on', async () => {
    const buffered: number[] = [];
    const body = bodyWith({
      contentLength: 200_000,
      onRoom: () => {
        buffered.push(body.bufferedBytes);
      },
    });
    const before = body.bufferedBytes;
    body.push(Buffer.alloc(200_000));
    expect(before).toBe(0);
    expect(body.bufferedBytes).toBeGreaterThanOrEqual(200_000);
    expect(buffered).toEqual([]);

    await read(body);
    expect(buffered).toEqual([0]);
  });

  test('is not said, and nothing is given, while the application does not read', async () => {
    let rooms = 0;
    const body = bodyWith({ onRoom: () => rooms++ });
    expect(body.stream.readableLength).toBe(0);
    for (let count = 0; count < 10; count++) {
      body.push(Buffer.alloc(100_000));
    }
    await turn();

    expect(rooms).toBe(0);
    expect(body.stream.readableLength).toBe(0);
  });

  test('is said when what is here is thrown away', () => {
    let rooms = 0;
    const body = bodyWith({ onRoom: () => rooms++ });
    body.push(BYTES);
    body.discard();

    expect([rooms, body.bufferedBytes, body.isOver]).toEqual([1, 0, true]);
  });

  test('is said when the application destroys the stream, and no more is kept', async () => {
    let rooms = 0;
    const body = bodyWith({ onRoom: () => rooms++ });
    body.push(BYTES);
    body.stream.destroy();
    await turn();
    body.push(BYTES);

    expect([rooms, body.bufferedBytes]).toEqual([1, 0]);
  });
});

test('the stream is the same at every touch', () => {
  const body = bodyWith();

  expect(body.stream).toBe(body.stream);
});
