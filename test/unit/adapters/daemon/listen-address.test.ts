import { describe, expect, test } from '@jest/globals';
import { formatListenAddress, parseListenAddress } from '../../../../adapters/daemon/index';

test.each([
  ['/run/app.sock', { kind: 'unix', path: '/run/app.sock' }, 'unix:/run/app.sock'],
  ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }, 'unix:/run/app.sock'],
  ['app.sock', { kind: 'unix', path: 'app.sock' }, 'unix:app.sock'],
  ['/run/a:b', { kind: 'unix', path: '/run/a:b' }, 'unix:/run/a:b'],
  ['/run/a:9000', { kind: 'unix', path: '/run/a:9000' }, 'unix:/run/a:9000'],
  ['127.0.0.1:9000', { kind: 'tcp', host: '127.0.0.1', port: 9000 }, '127.0.0.1:9000'],
  ['localhost:9000', { kind: 'tcp', host: 'localhost', port: 9000 }, 'localhost:9000'],
  [':9000', { kind: 'tcp', host: '127.0.0.1', port: 9000 }, '127.0.0.1:9000'],
  ['[::1]:9000', { kind: 'tcp', host: '::1', port: 9000 }, '[::1]:9000'],
  ['fd:3', { kind: 'fd', fd: 3 }, 'fd:3'],
])('%s', (text, address, formatted) => {
  expect(parseListenAddress(text)).toEqual(address);
  expect(formatListenAddress(parseListenAddress(text))).toBe(formatted);
});

describe('what makes no sense is a clear error', () => {
  test.each([
    ['', 'the socket must be a path, host:port or fd:N'],
    ['unix:', 'the socket must be a path, host:port or fd:N'],
    ['127.0.0.1:65536', 'no such port: 127.0.0.1:65536'],
  ])('%j', (text, message) => {
    expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ code: 'ERR_USAGE', message }));
  });

  test('a path longer than sun_path', () => {
    expect(parseListenAddress('/'.padEnd(107, 'x'))).toEqual({ kind: 'unix', path: '/'.padEnd(107, 'x') });
    expect(() => parseListenAddress('/'.padEnd(108, 'x'))).toThrow('longer than the 107 bytes');
    // Bytes, not characters.
    expect(() => parseListenAddress('/'.padEnd(60, 'é'))).toThrow('longer than the 107 bytes');
  });
});
