import { describe, expect, test } from '@jest/globals';
import { RecordParser, type RecordHandler } from '../../../src/fastcgi/record-parser';
import { chunkings } from '../../support/chunkings';
import { record, RecordType } from '../../support/records';

interface ReadRecord {
  readonly type: number;
  readonly requestId: number;
  readonly contentLength: number;
  content: string;
  ended: boolean;
}

class Reader implements RecordHandler {
  readonly records: ReadRecord[] = [];
  /** Pieces that `onRecordContent` was called with. */
  readonly pieces: Buffer[] = [];

  onRecordStart(type: number, requestId: number, contentLength: number): void {
    if (this.records.at(-1)?.ended === false) {
      throw new Error('a record starts inside another');
    }
    this.records.push({ type, requestId, contentLength, content: '', ended: false });
  }

  onRecordContent(content: Buffer): void {
    this.pieces.push(content);
    this.#current().content += content.toString('latin1');
  }

  onRecordEnd(): void {
    this.#current().ended = true;
  }

  #current(): ReadRecord {
    const current = this.records.at(-1);

    if (current === undefined || current.ended) {
      throw new Error('no record is open');
    }
    return current;
  }
}

function read(chunks: readonly Buffer[]): { reader: Reader; parser: RecordParser } {
  const reader = new Reader();
  const parser = new RecordParser(reader);

  for (const chunk of chunks) {
    parser.push(chunk);
  }
  return { reader, parser };
}

function whole(type: number, requestId: number, content: string): ReadRecord {
  return { type, requestId, contentLength: content.length, content, ended: true };
}

// Each written by hand from FastCGI §3.3: version, type, request id, content length, padding length, reserved.
const SAMPLES: { what: string; bytes: Buffer; records: ReadRecord[] }[] = [
  {
    what: 'an STDIN record with five bytes of padding',
    bytes: Buffer.from('0105000100030500' + '616263' + '0000000000', 'hex'),
    records: [whole(5, 1, 'abc')],
  },
  {
    what: 'the empty record that ends a stream, with no padding',
    bytes: Buffer.from('0105000100000000', 'hex'),
    records: [whole(5, 1, '')],
  },
  {
    what: 'an empty record that is all padding',
    bytes: Buffer.from('0104000100000300' + 'ffffff', 'hex'),
    records: [whole(4, 1, '')],
  },
  {
    what: 'both bytes of a request id and a reserved byte that is not zero',
    bytes: Buffer.from('0108abcd000100ff' + '7a', 'hex'),
    records: [whole(8, 0xabcd, 'z')],
  },
  {
    what: 'a type that does not exist (§4.2)',
    bytes: Buffer.from('01ff000000020000' + '0102', 'hex'),
    records: [whole(255, 0, '\x01\x02')],
  },
  {
    what: 'padding that looks like a record',
    bytes: Buffer.from('0105000100010800' + '61' + '0105000200000000' + '0105000300000000', 'hex'),
    records: [whole(5, 1, 'a'), whole(5, 3, '')],
  },
  {
    what: 'three records without anything between them',
    bytes: Buffer.from('0105000100010000' + '61' + '0105000200010100' + '62ee' + '0105000100000000', 'hex'),
    records: [whole(5, 1, 'a'), whole(5, 2, 'b'), whole(5, 1, '')],
  },
];

describe.each(SAMPLES)('§3.3: $what', ({ bytes, records }) => {
  for (const { how, chunks } of chunkings(bytes)) {
    test(`is read ${how}`, () => {
      expect(read(chunks).reader.records).toEqual(records);
    });
  }
});

test('§3.3: padding of every length from 0 to 255 is skipped', () => {
  for (let padding = 0; padding <= 255; padding++) {
    const bytes = Buffer.concat([record(RecordType.STDIN, 7, 'abc', padding), record(RecordType.STDIN, 8)]);
    const expected = [whole(5, 7, 'abc'), whole(5, 8, '')];

    expect(read([bytes]).reader.records).toEqual(expected);
    expect(read(Array.from(bytes, (byte) => Buffer.from([byte]))).reader.records).toEqual(expected);
  }
});

test('§3.3: the largest record, 65535 bytes of content and 255 of padding, is read', () => {
  const content = 'x'.repeat(65535);
  const bytes = Buffer.concat([record(RecordType.STDIN, 65535, content, 255), record(RecordType.STDIN, 1)]);

  for (const size of [bytes.length, 65536, 4096, 1000]) {
    const chunks: Buffer[] = [];

    for (let at = 0; at < bytes.length; at += size) {
      chunks.push(bytes.subarray(at, at + size));
    }
    expect(read(chunks).reader.records).toEqual([whole(5, 65535, content), whole(5, 1, '')]);
  }
});

test('content is handed on as it arrives, without a copy and without waiting for the rest', () => {
  const first = Buffer.from('0105000100040000' + '6162', 'hex');
  const { reader } = read([first]);

  expect(reader.records).toEqual([{ ...whole(5, 1, 'ab'), contentLength: 4, ended: false }]);
  expect(reader.pieces[0]?.buffer).toBe(first.buffer);
});

test('a record ends after its padding, not after its content', () => {
  const { reader, parser } = read([Buffer.from('0105000100010200' + '61' + '00', 'hex')]);

  expect(reader.records[0]?.ended).toBe(false);
  parser.push(Buffer.from([0]));
  expect(reader.records[0]?.ended).toBe(true);
});

test('an empty chunk is nothing', () => {
  const empty = Buffer.alloc(0);
  const { reader } = read([
    empty,
    Buffer.from('01050001', 'hex'),
    empty,
    Buffer.from('00000000', 'hex'),
    empty,
  ]);

  expect(reader.records).toEqual([whole(5, 1, '')]);
});

describe('§3.3: a version other than 1', () => {
  for (const version of [0, 2, 127, 255]) {
    const good = Buffer.from('0105000100000000', 'hex');
    const bad = Buffer.from([version, 5, 0, 1, 0, 0, 0, 0]);

    for (const { how, chunks } of chunkings(Buffer.concat([good, bad]))) {
      test(`${String(version)} is an error, ${how}; what came before it counts`, () => {
        const reader = new Reader();
        const parser = new RecordParser(reader);

        expect(() => {
          for (const chunk of chunks) {
            parser.push(chunk);
          }
        }).toThrow(expect.objectContaining({ name: 'FastCgiProtocolError', code: 'ERR_FCGI_VERSION' }));
        expect(reader.records).toEqual([whole(5, 1, '')]);
      });
    }
  }
});
