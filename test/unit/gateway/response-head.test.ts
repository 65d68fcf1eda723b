// The head on the wire: docs/design.md §1, bytes from RFC 3875 §6.2 written by hand.
import { describe, expect, test } from '@jest/globals';

import { Response, type ResponseHead } from '../../../src/gateway/response';
import { encodeCgiHead, encodeFastCgiHead, encodeNphHead } from '../../../src/gateway/response-head';

function headOf(status: string, headers: readonly (readonly [string, string])[]): ResponseHead {
  const response = new Response();

  response.start(status, headers, undefined);
  return response.takeHead();
}

const MOVED = headOf('301 Moved Permanently', [
  ['Location', '/x'],
  ['X-A', '\xe9'],
]);

describe('the head', () => {
  test('has Status first in CGI (busybox 1.35)', () => {
    expect(encodeCgiHead(MOVED)).toBe('Status: 301 Moved Permanently\r\nLocation: /x\r\nX-A: \xe9\r\n\r\n');
  });

  test('has Status last in FastCGI (HAProxy 2.6.12)', () => {
    expect(encodeFastCgiHead(MOVED)).toBe(
      'Location: /x\r\nX-A: \xe9\r\nStatus: 301 Moved Permanently\r\n\r\n',
    );
  });

  test('has a status line for nph- scripts, and says that the connection ends', () => {
    expect(encodeNphHead(MOVED, 'HTTP/1.1')).toBe(
      'HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\nX-A: \xe9\r\nConnection: close\r\n\r\n',
    );
  });

  test('of an nph- script is HTTP/1.0 for an HTTP/1.0 client, else HTTP/1.1', () => {
    expect(encodeNphHead(MOVED, 'HTTP/1.0')).toMatch(/^HTTP\/1\.0 301 /);
    expect(encodeNphHead(MOVED, 'HTTP/2.0')).toMatch(/^HTTP\/1\.1 301 /);
  });

  test('without headers is the status alone', () => {
    const head = headOf('200 OK', []);

    expect(encodeCgiHead(head)).toBe('Status: 200 OK\r\n\r\n');
    expect(encodeFastCgiHead(head)).toBe('Status: 200 OK\r\n\r\n');
  });

  test('has one blank line, at its end, and every line ends with CRLF', () => {
    for (const encode of [encodeCgiHead, encodeFastCgiHead]) {
      const lines = encode(MOVED).split('\r\n');

      expect(lines.slice(-2)).toEqual(['', '']);
      expect(lines.slice(0, -2).every((line) => /^[^\r\n]+$/.test(line))).toBe(true);
    }
  });
});
