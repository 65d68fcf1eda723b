import { describe, expect, test } from '@jest/globals';
import { CgiResponseParser, type CgiResponse } from '../../../src/gateway/cgi-response';
import { chunkings } from '../../support/chunkings';

interface Parsed {
  readonly status: string;
  readonly headers: CgiResponse['headers'];
  readonly body: string;
}

function parse(chunks: readonly Buffer[], maxHeadBytes?: number): Parsed {
  const parser = new CgiResponseParser({ maxHeadBytes });

  for (const [index, chunk] of chunks.entries()) {
    const response = parser.push(chunk);

    if (response !== undefined) {
      const body = Buffer.concat([response.rest, ...chunks.slice(index + 1)]);

      return { status: response.status, headers: response.headers, body: body.toString('latin1') };
    }
  }
  return parser.end();
}

function parseText(text: string, maxHeadBytes?: number): Parsed {
  return parse([Buffer.from(text, 'latin1')], maxHeadBytes);
}

for (const { name, text } of [
  {
    name: 'CRLF',
    text: 'Status: 404 Not Here\r\nContent-Type: text/plain\r\nX-Bytes:\t\xe9: b \r\n\r\nbody\n\nmore',
  },
  { name: 'LF', text: 'Status: 404 Not Here\nContent-Type: text/plain\nX-Bytes:\t\xe9: b \n\nbody\n\nmore' },
  {
    name: 'a mixture of both',
    text: 'Status: 404 Not Here\nContent-Type: text/plain\r\nX-Bytes:\t\xe9: b \n\r\nbody\n\nmore',
  },
]) {
  for (const { how, chunks } of chunkings(Buffer.from(text, 'latin1'))) {
    test(`reads a head with ${name}: ${how}`, () => {
      expect(parse(chunks)).toEqual({
        status: '404 Not Here',
        headers: [
          ['Content-Type', 'text/plain'],
          ['X-Bytes', '\xe9: b'],
        ],
        body: 'body\n\nmore',
      });
    });
  }
}

describe('the status', () => {
  test('is 200 when nothing is said', () => {
    expect(parseText('Content-Type: text/plain\n\n').status).toBe('200 OK');
  });

  for (const target of ['http://elsewhere.test/', '/here']) {
    test(`is 302 for Location: ${target} alone`, () => {
      expect(parseText(`Location: ${target}\n\n`)).toEqual({
        status: '302 Found',
        headers: [['Location', target]],
        body: '',
      });
    });
  }

  test('is the one that is given, Location or not', () => {
    expect(parseText('Location: /here\nStatus: 201 Created\n\n').status).toBe('201 Created');
  });

  test('gets its reason when it has none', () => {
    expect(parseText('Status: 404\n\n').status).toBe('404 Not Found');
    expect(parseText('Status: 299 \n\n').status).toBe('299 Unknown');
  });

  test('may be spelled in any case', () => {
    expect(parseText('STATUS: 202 Accepted\n\n').status).toBe('202 Accepted');
  });

  for (const value of ['', 'OK', '20', '2000 OK', '200OK', '000 Zero']) {
    test(`is an error when it is ${JSON.stringify(value)}`, () => {
      expect(() => parseText(`Status: ${value}\n\n`)).toThrow(/^Status is not three digits/);
    });
  }
});

describe('headers', () => {
  test('keep their order and their repetitions', () => {
    expect(parseText('Set-Cookie: a=1\nX: \nSet-Cookie: b=2\n\n').headers).toEqual([
      ['Set-Cookie', 'a=1'],
      ['X', ''],
      ['Set-Cookie', 'b=2'],
    ]);
  });

  test('that belong to the server are dropped', () => {
    expect(
      parseText('X: 1\nConnection: close\nTransfer-Encoding: chunked\nKeep-Alive: timeout=1\n\n').headers,
    ).toEqual([['X', '1']]);
  });

  for (const { name, line } of [
    { name: 'no colon', line: 'hello world' },
    { name: 'no name', line: ': value' },
    { name: 'a blank before the colon', line: 'Name : value' },
    { name: 'a folded line', line: 'Name: value\n more' },
    { name: 'a carriage return inside', line: 'Name: a\rb' },
    { name: 'a NUL', line: 'Name: a\0b' },
  ]) {
    test(`are an error with ${name}`, () => {
      expect(() => parseText(`X: 1\n${line}\n\n`)).toThrow(expect.objectContaining({ code: 'ERR_BACKEND' }));
    });
  }
});

describe('a head that does not end', () => {
  test('is an error when the output does', () => {
    expect(() => parseText('')).toThrow('the program ended without a response');
    expect(() => parseText('X: 1\n')).toThrow('the program ended within its response head');
  });

  test('is an error at its limit, blank line included', () => {
    expect(parseText('X: 1\n\nbody', 6).body).toBe('body');
    expect(() => parseText('X: 1\n\nbody', 5)).toThrow('the response head is longer than 5 bytes');
    expect(() => parseText('X: 12345', 5)).toThrow('the response head is longer than 5 bytes');
  });

  test('is an error when it is empty', () => {
    expect(() => parseText('\nbody')).toThrow('the response head is empty');
  });
});
