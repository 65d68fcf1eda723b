import { describe, expect, test } from '@jest/globals';
import { encodePairs, PairDecoder, type PairLimits } from '../../../src/fastcgi/name-value-pairs';
import { chunkings } from '../../support/chunkings';
import { encodePairs as encodeByHand, pair } from '../../support/records';

const WIDE: PairLimits = { maxBytes: 1024 * 1024, maxPairs: 1000 };

function decode(chunks: readonly Buffer[], limits = WIDE): PairDecoder {
  const decoder = new PairDecoder(limits);

  for (const chunk of chunks) {
    decoder.push(chunk);
  }
  return decoder;
}

// Written by hand from FastCGI §3.4: a length below 128 is one byte, any other four with the top bit set.
const SAMPLES: { what: string; bytes: Buffer; pairs: string[] }[] = [
  { what: 'one short pair', bytes: Buffer.from('0102' + '41' + '6263', 'hex'), pairs: ['A', 'bc'] },
  { what: 'an empty value', bytes: Buffer.from('0100' + '41', 'hex'), pairs: ['A', ''] },
  { what: 'an empty name', bytes: Buffer.from('0001' + '62', 'hex'), pairs: ['', 'b'] },
  { what: 'an empty name and an empty value', bytes: Buffer.from('0000', 'hex'), pairs: ['', ''] },
  {
    what: 'four-byte lengths for short strings, which are legal',
    bytes: Buffer.from('80000001' + '80000002' + '41' + '6263', 'hex'),
    pairs: ['A', 'bc'],
  },
  {
    what: 'a four-byte length of the name only',
    bytes: Buffer.from('80000001' + '01' + '41' + '62', 'hex'),
    pairs: ['A', 'b'],
  },
  {
    what: 'a four-byte length of the value only',
    bytes: Buffer.from('01' + '80000001' + '41' + '62', 'hex'),
    pairs: ['A', 'b'],
  },
  {
    what: 'four-byte lengths of nothing',
    bytes: Buffer.from('80000000' + '80000000' + '0101' + '41' + '62', 'hex'),
    pairs: ['', '', 'A', 'b'],
  },
  {
    what: 'the longest short string and the shortest long one',
    bytes: Buffer.concat([
      Buffer.from('7f' + '80000080', 'hex'),
      Buffer.from('N'.repeat(127) + 'v'.repeat(128)),
      Buffer.from('0101' + '41' + '62', 'hex'),
    ]),
    pairs: ['N'.repeat(127), 'v'.repeat(128), 'A', 'b'],
  },
  {
    what: 'bytes above 0x7F, as latin-1',
    bytes: Buffer.from('0103' + '41' + 'e900ff', 'hex'),
    pairs: ['A', '\xe9\0\xff'],
  },
  {
    what: 'the same name twice, in the order sent',
    bytes: Buffer.from('0101' + '4162' + '0101' + '4163', 'hex'),
    pairs: ['A', 'b', 'A', 'c'],
  },
  {
    what: '__proto__, which is a name like any other',
    bytes: Buffer.concat([Buffer.from('0901', 'hex'), Buffer.from('__proto__x')]),
    pairs: ['__proto__', 'x'],
  },
];

describe.each(SAMPLES)('§3.4: $what', ({ bytes, pairs }) => {
  for (const { how, chunks } of chunkings(bytes)) {
    test(`is read ${how}`, () => {
      const decoder = decode(chunks);

      expect(decoder.pairs).toEqual(pairs);
      expect(decoder.isComplete).toBe(true);
    });
  }
});

test('§3.4: a stream that ends inside a pair is not complete, wherever that is', () => {
  const bytes = Buffer.from('0101' + '4162' + '01' + '80000003' + '43' + '646566', 'hex');

  for (let end = 0; end <= bytes.length; end++) {
    const isBetweenPairs = end === 0 || end === 4 || end === bytes.length;

    expect({ end, complete: decode([bytes.subarray(0, end)]).isComplete }).toEqual({
      end,
      complete: isBetweenPairs,
    });
  }
});

test('a length of two gigabytes costs nothing while its bytes do not come', () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 100 }, () =>
    decode([Buffer.from('ffffffff' + 'ffffffff' + '41', 'hex')]),
  );

  expect(decoders.every((decoder) => !decoder.isComplete)).toBe(true);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
});

test('a chunk that was pushed may be reused: nothing of it is kept', () => {
  const decoder = new PairDecoder(WIDE);
  const chunk = Buffer.from('0102' + '41' + '62', 'hex');

  decoder.push(chunk);
  chunk.fill(0xff);
  decoder.push(Buffer.from('63', 'hex'));
  expect(decoder.pairs).toEqual(['A', 'bc']);
});

describe('limits', () => {
  const bytes = encodeByHand([
    ['A', '1'],
    ['B', '2'],
    ['C', '3'],
  ]);

  for (const { how, chunks } of chunkings(bytes)) {
    test(`exactly maxBytes pass, one more does not, ${how}`, () => {
      const pushed = (limits: PairLimits): boolean[] => {
        const decoder = new PairDecoder(limits);
        return chunks.map((chunk) => decoder.push(chunk));
      };

      expect(pushed({ maxBytes: bytes.length, maxPairs: 3 })).not.toContain(false);
      expect(pushed({ maxBytes: bytes.length - 1, maxPairs: 3 }).at(-1)).toBe(false);
    });

    test(`exactly maxPairs pass, one more does not, ${how}`, () => {
      const pushed = (maxPairs: number): boolean[] => {
        const decoder = new PairDecoder({ maxBytes: bytes.length, maxPairs });
        return chunks.map((chunk) => decoder.push(chunk));
      };

      expect(pushed(3)).not.toContain(false);
      expect(pushed(2).at(-1)).toBe(false);
    });
  }

  test('what comes after a limit was passed is ignored', () => {
    const decoder = new PairDecoder({ maxBytes: 100, maxPairs: 1 });

    expect(decoder.push(bytes)).toBe(false);
    expect(decoder.push(Buffer.from('0101' + '4162', 'hex'))).toBe(false);
    expect(decoder.pairs).toEqual(['A', '1']);
  });

  test('a value of a megabyte, byte by byte, is read in linear time', () => {
    // Quadratic would be 2^39 bytes copied: the test would not come back.
    const value = 'v'.repeat(1024 * 1024 - 9);
    const decoder = new PairDecoder(WIDE);

    for (const byte of pair('NAME', value)) {
      decoder.push(Buffer.from([byte]));
    }
    expect(decoder.pairs[1]?.length).toBe(value.length);
  });
});

describe('encodePairs', () => {
  test('§3.4: lengths below 128 are one byte', () => {
    expect(encodePairs([['A', 'bc']]).toString('hex')).toBe('0102' + '41' + '6263');
    expect(
      encodePairs([['A', 'x'.repeat(127)]])
        .subarray(0, 2)
        .toString('hex'),
    ).toBe('017f');
  });

  test('§3.4: lengths from 128 on are four bytes with the top bit set', () => {
    expect(
      encodePairs([['A', 'x'.repeat(128)]])
        .subarray(0, 5)
        .toString('hex'),
    ).toBe('01' + '80000080');
    expect(
      encodePairs([['N'.repeat(70000), '']])
        .subarray(0, 5)
        .toString('hex'),
    ).toBe('80011170' + '00');
  });

  test('strings are latin-1', () => {
    expect(encodePairs([['A', '\xe9\xff']]).toString('hex')).toBe('0102' + '41' + 'e9ff');
  });

  test('no pairs are no bytes', () => {
    expect(encodePairs([])).toHaveLength(0);
  });
});
