// The ruler itself, held against bytes written by hand from the FastCGI 1.0 specification.
import { describe, expect, test } from '@jest/globals';

import { chunkings } from '../../support/chunkings';
import { conversationOf } from '../../support/conversation';
import {
  abortRequest,
  beginRequest,
  data,
  decodePairs,
  decodeRecords,
  decodeSome,
  encodePairs,
  endRequest,
  getValues,
  pair,
  params,
  record,
  RecordType,
  request,
  responseOf,
  responsesOf,
  Role,
  stdin,
} from '../../support/records';

function hex(...parts: string[]): Buffer {
  return Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
}

// One STDIN record for request 1: "abc" + 5 bytes of padding, from FastCGI §3.3.
const STDIN_ABC = hex('01 05 0001 0003 05 00', '616263', 'eeeeeeeeee');

describe('the builders write', () => {
  test('a record with padding (§3.3)', () => {
    expect(record(RecordType.STDIN, 1, 'abc', 5)).toEqual(STDIN_ABC);
  });

  test('a request id and a content length above one byte', () => {
    expect(record(RecordType.STDOUT, 0x1234, 'x'.repeat(0x0102)).subarray(0, 8)).toEqual(
      hex('01 06 1234 0102 00 00'),
    );
  });

  test('BEGIN_REQUEST with role and flags (§5.1)', () => {
    expect(beginRequest(1, Role.AUTHORIZER, 1)).toEqual(hex('01 01 0001 0008 00 00', '0002 01 0000000000'));
  });

  test('a pair with one-byte lengths (§3.4)', () => {
    expect(pair('AB', 'c')).toEqual(hex('02 01', '4142', '63'));
  });

  test('a pair with a four-byte length from 128 bytes on (§3.4)', () => {
    expect(pair('A', 'v'.repeat(127)).subarray(0, 3)).toEqual(hex('01 7f', '41'));
    expect(pair('A', 'v'.repeat(128)).subarray(0, 6)).toEqual(hex('01 80000080', '41'));
    expect(pair('n'.repeat(300), '').subarray(0, 6)).toEqual(hex('8000012c 00', '6e'));
  });

  test('a short pair in the long form, which is legal, too', () => {
    expect(pair('A', '', 'long')).toEqual(hex('80000001 80000000', '41'));
  });

  test('PARAMS cut inside a length, and the empty record', () => {
    expect(params(1, [['A', 'b']], { cutEvery: 1 })).toEqual(
      hex(
        ...['01', '01', '41', '62'].map((byte) => `01 04 0001 0001 00 00 ${byte}`),
        '01 04 0001 0000 00 00',
      ),
    );
  });

  test('STDIN and DATA, padded or left open', () => {
    expect(stdin(1, 'abc', { padding: 5 })).toEqual(Buffer.concat([STDIN_ABC, hex('01 05 0001 0000 00 00')]));
    expect(stdin(1)).toEqual(hex('01 05 0001 0000 00 00'));
    expect(data(2, 'x', { end: false })).toEqual(hex('01 08 0002 0001 00 00', '78'));
  });

  test('ABORT_REQUEST (§5.4) and END_REQUEST (§5.5)', () => {
    expect(abortRequest(3)).toEqual(hex('01 02 0003 0000 00 00'));
    expect(endRequest(1, 0x01020304, 3)).toEqual(hex('01 03 0001 0008 00 00', '01020304 03 000000'));
  });

  test('GET_VALUES on the null request id (§4.1)', () => {
    expect(getValues(['AB'])).toEqual(hex('01 09 0000 0004 00 00', '02 00', '4142'));
  });

  test('a whole request', () => {
    expect(request([['A', 'b']], 'c', { id: 2, keepConn: true })).toEqual(
      hex(
        '01 01 0002 0008 00 00  0001 01 0000000000',
        '01 04 0002 0004 00 00  01 01 41 62',
        '01 04 0002 0000 00 00',
        '01 05 0002 0001 00 00  63',
        '01 05 0002 0000 00 00',
      ),
    );
  });

  test('latin-1: one character is one byte', () => {
    expect(pair('A', '\u00e9')).toEqual(hex('01 01 41 e9'));
  });
});

describe('the decoder reads', () => {
  const expected = { version: 1, type: 5, requestId: 1, content: Buffer.from('abc'), padding: 5 };

  test('records, whatever their padding holds', () => {
    expect(decodeRecords(Buffer.concat([STDIN_ABC, STDIN_ABC]))).toEqual([expected, expected]);
  });

  test('a foreign version and type without complaint', () => {
    expect(decodeRecords(hex('02 c8 ffff 0000 00 07'))).toEqual([
      { version: 2, type: 200, requestId: 65535, content: Buffer.alloc(0), padding: 0 },
    ]);
  });

  for (const { how, chunks } of chunkings(Buffer.concat([STDIN_ABC, STDIN_ABC]))) {
    test(`what is whole, and keeps the rest: ${how}`, () => {
      let rest = Buffer.alloc(0);
      const records = chunks.flatMap((chunk) => {
        const step = decodeSome(Buffer.concat([rest, chunk]));
        rest = step.rest as typeof rest; // both are plain buffers; only their inferred generics differ
        return step.records;
      });
      expect(records).toEqual([expected, expected]);
      expect(rest).toHaveLength(0);
    });
  }

  test('nothing of a record that is cut: it throws', () => {
    expect(() => decodeRecords(STDIN_ABC.subarray(0, 15))).toThrow('15 bytes after');
  });

  test('pairs with lengths of one and of four bytes', () => {
    const long = 'v'.repeat(70000);
    expect(decodePairs(hex('02 01', '4142', '63', '80000001 80000000', '44'))).toEqual([
      ['AB', 'c'],
      ['D', ''],
    ]);
    expect(
      decodePairs(Buffer.concat([hex('01 80011170', '41'), Buffer.from(long), hex('00 01', 'ff')])),
    ).toEqual([
      ['A', long],
      ['', '\u00ff'],
    ]);
  });

  test('a pair cut at any byte as an error', () => {
    const bytes = encodePairs([['A', 'v'.repeat(128)]]);
    for (let length = 1; length < bytes.length; length++) {
      expect(() => decodePairs(bytes.subarray(0, length))).toThrow('cut');
    }
  });
});

describe('a response is', () => {
  // STDOUT "hi", empty STDOUT, END_REQUEST 0/0: §5.3, §5.5.
  const answer = hex(
    '01 06 0001 0002 06 00',
    '6869 000000000000',
    '01 06 0001 0000 00 00',
    '01 03 0001 0008 00 00',
    '00000000 00 000000',
  );

  test('stdout, stderr and both statuses', () => {
    expect(responseOf(answer, 1)).toEqual({
      stdout: Buffer.from('hi'),
      stderr: Buffer.alloc(0),
      stdoutEnded: true,
      stderrEnded: false,
      ended: true,
      appStatus: 0,
      protocolStatus: 0,
    });
  });

  test('unfinished without END_REQUEST', () => {
    expect(responseOf(answer.subarray(0, 24), 1)).toMatchObject({ ended: false, appStatus: undefined });
    expect(responseOf(answer, 2)).toMatchObject({ ended: false, stdout: Buffer.alloc(0) });
  });

  test('one of several when the id is used again', () => {
    const twice = Buffer.concat([answer, answer]);
    expect(responsesOf(twice, 1)).toHaveLength(2);
    expect(() => responseOf(twice, 1)).toThrow('after its END_REQUEST');
  });

  test('its own among multiplexed ones', () => {
    const mixed = Buffer.concat([record(6, 1, 'a'), record(6, 3, 'B'), record(7, 1, '!'), record(6, 1, 'c')]);
    expect(responseOf(mixed, 1)).toMatchObject({ stdout: Buffer.from('ac'), stderr: Buffer.from('!') });
  });
});

describe('a conversation is', () => {
  test('its requests, with what was left open', () => {
    const bytes = Buffer.concat([
      getValues(['FCGI_MAX_REQS']),
      beginRequest(1, Role.FILTER, 1),
      params(1, [['A', 'b']], { cutEvery: 1, padding: 3 }),
      beginRequest(3),
      abortRequest(3),
      stdin(1, 'body', { end: false }),
      STDIN_ABC.subarray(0, 5),
    ]);
    expect(conversationOf(bytes)).toMatchObject({
      getValues: [['FCGI_MAX_REQS']],
      unfinishedBytes: 5,
      requests: [
        {
          id: 1,
          role: 3,
          flags: 1,
          pairs: [['A', 'b']],
          paramsEnded: true,
          stdinEnded: false,
          aborted: false,
        },
        { id: 3, role: 1, flags: 0, pairs: [], paramsEnded: false, stdinEnded: false, aborted: true },
      ],
    });
  });

  test('two requests when an id begins again', () => {
    const again = Buffer.concat([request([], 'one'), request([], 'two')]);
    expect(conversationOf(again).requests.map((each) => each.stdin.toString())).toEqual(['one', 'two']);
  });

  test('not a record of a request that never began', () => {
    expect(() => conversationOf(stdin(1, 'x'))).toThrow('no BEGIN_REQUEST');
  });
});
