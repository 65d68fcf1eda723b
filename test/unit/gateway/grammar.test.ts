import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  isFieldValue,
  isForbiddenHeader,
  isStatus,
  isToken,
  parseContentLength,
  percentDecode,
} from '../../../src/gateway/grammar';

describe('grammar', () => {
  test('a token has one character at least, and none that separates', () => {
    expect(isToken('Content-Type')).toBe(true);
    for (const name of ['', 'a b', 'a:', 'a\n', '\na', '(a)', 'a/b', 'ä', '"a"']) {
      expect(isToken(name)).toBe(false);
    }
  });

  test('a field value has no end of line, also not at its end', () => {
    expect(isFieldValue('')).toBe(true);
    expect(isFieldValue('a\tb \xff')).toBe(true);
    for (const value of ['a\n', '\n', 'a\r', 'a\0', 'a\x7f', '\u010a', '\u2028', '\ud83d\ude00']) {
      expect(isFieldValue(value)).toBe(false);
    }
  });

  test('a status has no end of line, also not at its end', () => {
    expect(isStatus('200 OK')).toBe(true);
    expect(isStatus('200 OK\n')).toBe(false);
  });

  test('whatever is taken survives a latin-1 write unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        fc.pre(isFieldValue(value));
        expect(Buffer.from(value, 'latin1').toString('latin1')).toBe(value);
      }),
    );
  });

  test('forbidden headers are asked for in lower case', () => {
    expect(isForbiddenHeader('connection')).toBe(true);
    expect(isForbiddenHeader('content-length')).toBe(false);
    expect(isForbiddenHeader('constructor')).toBe(false);
  });

  test.each([
    ['0', 0],
    ['0005', 5],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%s is a content length', (value, length) => {
    expect(parseContentLength(value)).toBe(length);
  });

  test.each([
    [''],
    ['-1'],
    ['+1'],
    ['1.5'],
    [' 1'],
    ['1 '],
    ['1\n'],
    ['0x1'],
    ['1e1'],
    ['９'],
    ['9007199254740992'],
  ])('%j is none', (value) => {
    expect(parseContentLength(value)).toBeUndefined();
  });

  test('a length of very many digits is refused, not rounded', () => {
    expect(parseContentLength('9'.repeat(400))).toBeUndefined();
  });
});

describe('percentDecode', () => {
  test.each([
    ['', ''],
    ['/a', '/a'],
    ['%41%6a%6A', 'Ajj'],
    ['%2F%00', '/\0'],
    ['%c3%a9%E9', '\xc3\xa9\xe9'],
    ['%zz%4', '%zz%4'],
    ['%2541', '%41'],
    ['%%41', '%A'],
    ['a+b', 'a+b'],
  ])('%j is %j', (encoded, decoded) => {
    expect(percentDecode(encoded)).toBe(decoded);
  });

  test('undoes the encoding of every byte, once', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const encoded = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
        expect(percentDecode(encoded)).toBe(Buffer.from(bytes).toString('latin1'));
      }),
    );
  });
});
