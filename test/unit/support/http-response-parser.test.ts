import { describe, expect, test } from '@jest/globals';
import { chunkings } from '../../support/chunkings';
import { ResponseParser, type ResponseHead } from '../../support/http-response-parser';

interface Reading {
  readonly interim: readonly number[];
  readonly head: ResponseHead | undefined;
  readonly body: string;
  readonly parser: ResponseParser;
}

function read(method: string, chunks: readonly Buffer[]): Reading {
  const interim: number[] = [];
  const body: Buffer[] = [];
  let head: ResponseHead | undefined;
  const parser = new ResponseParser(method, {
    onInterim: ({ status }) => interim.push(status),
    onHead: (each) => (head = each),
    onBody: (bytes) => body.push(bytes),
  });
  chunks.forEach((chunk) => parser.push(chunk));
  return { interim, head, body: Buffer.concat(body).toString('latin1'), parser };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

const WHOLE = [
  {
    what: 'a body as long as Content-Length says',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc',
    expected: { framing: 'length', body: 'abc', unread: '' },
  },
  {
    what: 'a chunked body with an extension and a trailer',
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n1\r\n.\r\n0\r\nX-T: 1\r\n\r\n',
    expected: { framing: 'chunked', body: '0123456789.', unread: '' },
  },
  {
    what: 'no body for 204, and what comes nevertheless',
    text: 'HTTP/1.1 204 No Content\r\n\r\nabc',
    expected: { framing: 'none', body: '', unread: 'abc' },
  },
  {
    what: 'no body for 304, whatever its Content-Length',
    text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n',
    expected: { framing: 'none', body: '', unread: '' },
  },
  {
    what: 'nothing beyond Content-Length',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc',
    expected: { framing: 'length', body: 'a', unread: 'bc' },
  },
];

for (const { what, text, expected } of WHOLE) {
  describe(`reads ${what}`, () => {
    for (const { how, chunks } of chunkings(bytes(text))) {
      test(how, () => {
        const { body, parser } = read('GET', chunks);
        const unread = parser.unread.toString('latin1');
        expect({ framing: parser.framing, body, unread }).toEqual(expected);
        expect(parser.ended).toBe(true);
      });
    }
  });
}

const CUT = [
  'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab',
  'HTTP/1.1 200 OK\r\n',
];

for (const text of CUT) {
  test(`takes for cut: ${JSON.stringify(text)}`, () => {
    const { parser } = read('GET', [bytes(text)]);
    expect([parser.ended, parser.completeAtClose]).toEqual([false, false]);
  });
}

test('a response without a length ends where the connection does', () => {
  const { body, parser } = read('GET', [bytes('HTTP/1.0 200 OK\r\n\r\nabc')]);
  expect([body, parser.framing, parser.ended, parser.completeAtClose]).toEqual(['abc', 'close', false, true]);
});

test('a response to HEAD has no body', () => {
  const { parser } = read('HEAD', [bytes('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc')]);
  expect([parser.ended, parser.unread.toString()]).toEqual([true, 'abc']);
});

test('interim responses come before the final one', () => {
  const { interim, head } = read('GET', [
    bytes('HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\nHTTP/1.1 404 No\r\n\r\n'),
  ]);
  expect([interim, head?.status]).toEqual([[103], 404]);
});

test('keeps the order, the spelling and the bytes of header fields', () => {
  const { head } = read('GET', [bytes('HTTP/1.1 200 Fine \xe9\r\nb: 2\r\nA:\t\xff 1 \r\nb: \r\n\r\n')]);
  expect(head).toEqual({
    version: '1.1',
    status: 200,
    reason: 'Fine \xe9',
    headers: [
      ['b', '2'],
      ['A', '\xff 1'],
      ['b', ''],
    ],
  });
});

const WRONG = [
  'SSH-2.0-x\r\n\r\n',
  'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc',
];

for (const text of WRONG) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    expect(() => read('GET', [bytes(text)])).toThrow('not a');
  });
}
