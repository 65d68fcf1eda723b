import { describe, expect, test } from '@jest/globals';
import { MAX_STREAM_CONTENT, RecordWriter } from '../../../src/fastcgi/record-writer';
import type { DecodedRecord } from '../../support/records';
import { decodeRecords, RecordType } from '../../support/records';

const { STDOUT, STDERR, END_REQUEST, GET_VALUES_RESULT } = RecordType;

function written(write: (writer: RecordWriter) => void): { buffers: Buffer[]; records: DecodedRecord[] } {
  const writer = new RecordWriter();

  write(writer);

  const { pendingBytes } = writer;
  const buffers = writer.take();

  expect(Buffer.concat(buffers)).toHaveLength(pendingBytes);
  expect(writer.pendingBytes).toBe(0);
  return { buffers, records: decodeRecords(Buffer.concat(buffers)) };
}

function summary(records: readonly DecodedRecord[]): (readonly [number, number, string])[] {
  return records.map(({ type, requestId, content }) => [type, requestId, content.toString('latin1')]);
}

test('§3.3: a record is version 1, type, request id, content length, no padding, reserved 0', () => {
  const { buffers } = written((writer) => writer.stream(STDOUT, 0x1234, Buffer.from('abc')));

  expect(Buffer.concat(buffers).toString('hex')).toBe('0106123400030000' + '616263');
});

test('§5.5: END_REQUEST has the application status in four bytes, the protocol status in one, three reserved', () => {
  const { buffers } = written((writer) => writer.endRequest(1, 0x01020304, 3));

  expect(Buffer.concat(buffers).toString('hex')).toBe('0103000100080000' + '0102030403000000');
});

test('§5.5: an application status below 0, such as an exit code of -1, is sent as unsigned', () => {
  const { records } = written((writer) => writer.endRequest(1, -1));

  expect(records[0]?.content.toString('hex')).toBe('ffffffff00000000');
});

test('§3.3: the end of a stream is an empty record', () => {
  const { buffers } = written((writer) => writer.endStream(STDOUT, 1));

  expect(Buffer.concat(buffers).toString('hex')).toBe('0106000100000000');
});

test('a small response is one buffer, head and body in one STDOUT record', () => {
  const { buffers, records } = written((writer) => {
    writer.stream(STDOUT, 1, 'Status: 200 OK\r\n\r\n', 'latin1');
    writer.stream(STDOUT, 1, 'hello ');
    writer.stream(STDOUT, 1, Buffer.from('world'));
    writer.endStream(STDOUT, 1);
    writer.endRequest(1, 0);
  });

  expect(buffers).toHaveLength(1);
  expect(summary(records)).toEqual([
    [STDOUT, 1, 'Status: 200 OK\r\n\r\nhello world'],
    [STDOUT, 1, ''],
    [END_REQUEST, 1, '\0'.repeat(8)],
  ]);
});

describe('a record takes more content only', () => {
  test('of the same request: two requests that write by turns are not mixed up', () => {
    const { records } = written((writer) => {
      for (const text of ['a', 'b', 'c']) {
        writer.stream(STDOUT, 1, text);
        writer.stream(STDOUT, 2, text.toUpperCase());
      }
    });

    expect(summary(records)).toEqual([
      [STDOUT, 1, 'a'],
      [STDOUT, 2, 'A'],
      [STDOUT, 1, 'b'],
      [STDOUT, 2, 'B'],
      [STDOUT, 1, 'c'],
      [STDOUT, 2, 'C'],
    ]);
  });

  test('of the same stream: STDERR stays where it was written', () => {
    const { records } = written((writer) => {
      writer.stream(STDOUT, 1, 'a');
      writer.stream(STDERR, 1, 'oops');
      writer.stream(STDOUT, 1, 'b');
    });

    expect(summary(records)).toEqual([
      [STDOUT, 1, 'a'],
      [STDERR, 1, 'oops'],
      [STDOUT, 1, 'b'],
    ]);
  });

  test('while nothing else came between: a management record does', () => {
    const { records } = written((writer) => {
      writer.stream(STDOUT, 1, 'a');
      writer.record(GET_VALUES_RESULT, 0, Buffer.from('x'));
      writer.stream(STDOUT, 1, 'b');
    });

    expect(summary(records)).toEqual([
      [STDOUT, 1, 'a'],
      [GET_VALUES_RESULT, 0, 'x'],
      [STDOUT, 1, 'b'],
    ]);
  });

  test('while it has not been taken', () => {
    const writer = new RecordWriter();

    writer.stream(STDOUT, 1, 'a');
    const first = Buffer.concat(writer.take());
    writer.stream(STDOUT, 1, 'b');
    const second = Buffer.concat(writer.take());

    expect(first.toString('hex')).toBe('0106000100010000' + '61');
    expect(second.toString('hex')).toBe('0106000100010000' + '62');
  });

  test('before its stream was ended', () => {
    const { records } = written((writer) => {
      writer.stream(STDOUT, 1, 'a');
      writer.endStream(STDOUT, 1);
      writer.endRequest(1, 0);
      writer.stream(STDOUT, 1, 'b');
    });

    expect(summary(records).at(-1)).toEqual([STDOUT, 1, 'b']);
  });
});

test('no stream record has more than 65528 bytes of content, none has padding, and all keep their order', () => {
  // Sizes on both sides of every border: what is copied, what is passed on, a full record, a full buffer.
  const sizes = [
    1, 7, 8, 16383, 16384, 16385, 32768, 49144, 65519, 65520, 65527, 65528, 65529, 65535, 65536, 131056,
    200000,
  ];
  const expected: Buffer[] = [];
  let next = 0;
  const { records } = written((writer) => {
    for (const first of sizes) {
      for (const second of sizes) {
        for (const size of [first, second]) {
          const content = Buffer.alloc(size, next);
          expected.push(content);
          next = (next + 1) % 251;
          writer.stream(STDOUT, 1, content);
        }
      }
    }
  });

  expect(Math.max(...records.map(({ content }) => content.length))).toBeLessThanOrEqual(65528);
  expect(
    records.filter(({ padding, version, content }) => padding > 0 || version !== 1 || content.length === 0),
  ).toEqual([]);
  expect(Buffer.concat(records.map(({ content }) => content)).equals(Buffer.concat(expected))).toBe(true);
});

test('many small chunks never make a record of more than 65528 bytes, and fill one before the next begins', () => {
  const { records } = written((writer) => {
    for (let index = 0; index < 20_000; index++) {
      writer.stream(STDOUT, 1, 'twelve bytes');
    }
  });

  expect(Math.max(...records.map(({ content }) => content.length))).toBeLessThanOrEqual(MAX_STREAM_CONTENT);
  expect(records.length).toBe(Math.ceil((20_000 * 12) / 65_528));
});

test('a large chunk is passed on as it is, not copied', () => {
  const large = Buffer.alloc(100_000, 1);
  const { buffers } = written((writer) => {
    writer.stream(STDOUT, 1, 'head');
    writer.stream(STDOUT, 1, large);
    writer.endRequest(1, 0);
  });
  const passedOn = buffers.filter((buffer) => buffer.buffer === large.buffer);

  expect(passedOn.map((buffer) => buffer.byteOffset - large.byteOffset)).toEqual([0, 65528]);
  expect(Buffer.concat(passedOn)).toHaveLength(100_000);
});

test('a view of a larger array is passed on as that view', () => {
  const array = new Uint8Array(50_000).fill(1);
  const { records } = written((writer) => writer.stream(STDOUT, 1, array.subarray(10_000, 40_000)));

  expect(records[0]?.content).toHaveLength(30_000);
});

test('a small chunk may be changed as soon as it was given', () => {
  const chunk = Buffer.from('abc');
  const writer = new RecordWriter();

  writer.stream(STDOUT, 1, chunk);
  chunk.fill(0);
  expect(Buffer.concat(writer.take()).toString('latin1', 8)).toBe('abc');
});

describe('strings', () => {
  test('are UTF-8 unless told otherwise', () => {
    const { records } = written((writer) => {
      writer.stream(STDOUT, 1, 'é€😀');
      writer.stream(STDOUT, 2, 'é', 'latin1');
    });

    expect(records[0]?.content.toString('utf8')).toBe('é€😀');
    expect(records[1]?.content.toString('hex')).toBe('e9');
  });

  test.each([5461, 5462, 16384, 16385, 21842, 21843, 100_000])(
    'of %d three-byte characters are whole, in records of at most 65528 bytes',
    (length) => {
      const { records } = written((writer) => {
        writer.stream(STDOUT, 1, '€'.repeat(length));
        writer.stream(STDOUT, 1, 'end');
      });

      expect(Math.max(...records.map(({ content }) => content.length))).toBeLessThanOrEqual(65528);
      expect(Buffer.concat(records.map(({ content }) => content)).toString()).toBe(
        '€'.repeat(length) + 'end',
      );
    },
  );

  test('with half a surrogate pair are sent as the replacement character', () => {
    const { records } = written((writer) => writer.stream(STDOUT, 1, 'a\ud83d'));

    expect(records[0]?.content.toString('hex')).toBe('61efbfbd');
  });
});

test('only bytes that were written leave, whatever was in the memory before', () => {
  // Fill the spare buffers with a mark, then write records that do not overwrite all of it.
  for (let round = 0; round < 20; round++) {
    const writer = new RecordWriter();
    for (let index = 0; index < 100; index++) {
      writer.stream(STDOUT, 1, Buffer.alloc(600, 0xa5));
    }
    writer.take();
    writer.stream(STDOUT, 1, Buffer.alloc(16_000, 0xa5));
    writer.take();
  }

  const taken = Array.from({ length: 20 }, () => {
    const writer = new RecordWriter();

    writer.stream(STDOUT, 1, 'clean');
    writer.stream(STDERR, 1, '€'.repeat(50));
    writer.record(GET_VALUES_RESULT, 0, Buffer.alloc(300, 1));
    writer.endRequest(1, 0);
    return Buffer.concat(writer.take());
  });

  expect(taken.filter((bytes) => bytes.includes(0xa5))).toEqual([]);
});

test('what was taken stays as it is while the next response is written', () => {
  const first = new RecordWriter();
  const second = new RecordWriter();

  first.stream(STDOUT, 1, 'first');
  const taken = first.take();
  second.stream(STDOUT, 2, 'second, and longer');
  expect(Buffer.concat(taken).toString('latin1', 8)).toBe('first');
});

test('§3.3: a record of more than 65535 bytes cannot be written', () => {
  const writer = new RecordWriter();

  writer.record(GET_VALUES_RESULT, 0, Buffer.alloc(65535));
  expect(Buffer.concat(writer.take())).toHaveLength(8 + 65535);
  expect(() => writer.record(GET_VALUES_RESULT, 0, Buffer.alloc(65536))).toThrow(RangeError);
});

test('the refused record is a header of version 0, after all that was written before', () => {
  const writer = new RecordWriter();

  writer.stream(STDOUT, 1, 'a');
  writer.refusedRecord();
  expect(Buffer.concat(writer.take()).toString('hex')).toBe('0106000100010000' + '61' + '00'.repeat(8));
});
