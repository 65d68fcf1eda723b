import { describe, expect, test } from '@jest/globals';
import { requestVariables, type HttpRequestHead } from '../../../../adapters/http/request-variables';

const HEAD: HttpRequestHead = {
  method: 'GET',
  target: '/',
  httpVersion: '1.1',
  rawHeaders: [],
  localAddress: '127.0.0.1',
  localPort: 8080,
  remoteAddress: '127.0.0.2',
  remotePort: 50000,
};

function valuesOf(request: Partial<HttpRequestHead>, name: string): string[] {
  return requestVariables({ ...HEAD, ...request })
    .filter(([each]) => each === name)
    .map(([, value]) => value);
}

function namesOf(rawHeaders: readonly string[]): string[] {
  return requestVariables({ ...HEAD, rawHeaders })
    .map(([name]) => name)
    .filter((name) => name.startsWith('HTTP_') || name.startsWith('CONTENT_'));
}

describe('the request line', () => {
  test('becomes method, protocol and raw target', () => {
    expect(valuesOf({ method: 'PATCH' }, 'REQUEST_METHOD')).toEqual(['PATCH']);
    expect(valuesOf({ httpVersion: '1.0' }, 'SERVER_PROTOCOL')).toEqual(['HTTP/1.0']);
    expect(valuesOf({ target: '/a%2Fb//c?q=%20' }, 'REQUEST_URI')).toEqual(['/a%2Fb//c?q=%20']);
  });

  test('gives the path decoded to bytes, and the query as it is', () => {
    const target = '/caf%C3%A9/%E9/a%2fb?x=%C3%A9&y=?';

    expect(valuesOf({ target }, 'PATH_INFO')).toEqual(['/caf\xc3\xa9/\xe9/a/b']);
    expect(valuesOf({ target }, 'QUERY_STRING')).toEqual(['x=%C3%A9&y=?']);
    expect(valuesOf({ target }, 'SCRIPT_NAME')).toEqual(['']);
  });

  test('in the absolute form gives its host to HTTP_HOST, after the header', () => {
    const request = { target: 'http://other.test:99/app?x', rawHeaders: ['Host', 'app.example.test'] };

    expect(valuesOf(request, 'HTTP_HOST')).toEqual(['app.example.test', 'other.test:99']);
    expect(valuesOf(request, 'PATH_INFO')).toEqual(['/app']);
    expect(valuesOf(request, 'QUERY_STRING')).toEqual(['x']);
  });

  test('in the absolute form without a path means the root', () => {
    expect(valuesOf({ target: 'HTTP://other.test?x' }, 'PATH_INFO')).toEqual(['/']);
    expect(valuesOf({ target: 'HTTP://other.test?x' }, 'QUERY_STRING')).toEqual(['x']);
  });

  test('in the asterisk form has no path', () => {
    expect(valuesOf({ method: 'OPTIONS', target: '*' }, 'PATH_INFO')).toEqual(['']);
    expect(valuesOf({ method: 'OPTIONS', target: '*' }, 'REQUEST_URI')).toEqual(['*']);
  });

  for (const target of [
    '*',
    '',
    'app',
    'http://',
    'http://user@app.example.test/',
    'ftp://app.example.test/',
  ]) {
    test(`refuses the target ${JSON.stringify(target)}`, () => {
      expect(() => requestVariables({ ...HEAD, target })).toThrow(
        expect.objectContaining({ code: 'ERR_PATH', status: '400 Bad Request' }),
      );
    });
  }
});

describe('headers', () => {
  test('become HTTP_ variables, one for each line, in order', () => {
    const rawHeaders = ['X-Dup', 'one', 'x-dup', 'two', 'Accept', '*/*'];

    expect(valuesOf({ rawHeaders }, 'HTTP_X_DUP')).toEqual(['one', 'two']);
    expect(valuesOf({ rawHeaders }, 'HTTP_ACCEPT')).toEqual(['*/*']);
  });

  test('keep their bytes', () => {
    expect(valuesOf({ rawHeaders: ['X-Bytes', '\x80\xff\t'] }, 'HTTP_X_BYTES')).toEqual(['\x80\xff\t']);
  });

  test('with an underscore, a dot or another mark are dropped, for they would alias', () => {
    expect(namesOf(['X_Forwarded_For', '6.6.6.6', 'X.Forwarded.For', '7', 'Content_Length', '5'])).toEqual(
      [],
    );
  });

  test('of the body become CONTENT_ variables', () => {
    expect(namesOf(['Content-Type', 'text/plain', 'content-length', '5'])).toEqual([
      'CONTENT_TYPE',
      'CONTENT_LENGTH',
    ]);
  });

  test('leave the length unknown in the chunked coding', () => {
    expect(namesOf(['Content-Length', '5', 'Transfer-Encoding', 'Chunked'])).toEqual([
      'HTTP_TRANSFER_ENCODING',
    ]);
  });

  test('never set HTTPS', () => {
    expect(valuesOf({ rawHeaders: ['Https', 'on'] }, 'HTTPS')).toEqual([]);
    expect(valuesOf({ rawHeaders: ['Https', 'on'] }, 'REQUEST_SCHEME')).toEqual(['http']);
  });

  test('with two hosts are refused', () => {
    expect(() => requestVariables({ ...HEAD, rawHeaders: ['Host', 'a', 'host', 'a'] })).toThrow(
      expect.objectContaining({ code: 'ERR_PARAMS_MALFORMED' }),
    );
  });

  test('with another transfer coding are refused', () => {
    expect(() => requestVariables({ ...HEAD, rawHeaders: ['Transfer-Encoding', 'gzip, chunked'] })).toThrow(
      expect.objectContaining({ code: 'ERR_PARAMS_MALFORMED' }),
    );
  });
});

test('the addresses of both ends are there', () => {
  expect(valuesOf({}, 'SERVER_ADDR')).toEqual(['127.0.0.1']);
  expect(valuesOf({}, 'SERVER_PORT')).toEqual(['8080']);
  expect(valuesOf({}, 'REMOTE_ADDR')).toEqual(['127.0.0.2']);
  expect(valuesOf({}, 'REMOTE_PORT')).toEqual(['50000']);
  expect(valuesOf({}, 'SERVER_SOFTWARE')).toEqual(['postern']);
});
