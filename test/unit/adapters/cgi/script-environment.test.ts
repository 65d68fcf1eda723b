import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { exportScript, scriptEnvironment } from '../../../../adapters/cgi/script-environment';
import type { Environ } from '../../../../src/gateway/types';

function variablesOf(
  environ: Readonly<Record<string, unknown>>,
  host: NodeJS.ProcessEnv = {},
): Readonly<Record<string, string>> {
  // Only the strings of an environ are looked at.
  return scriptEnvironment(environ as Environ, { contentLength: 0, host }).variables;
}

describe("a script's environment", () => {
  test('has the variables of the request', () => {
    const environ = { REQUEST_METHOD: 'GET', PATH_INFO: '', HTTP_X_Y: 'z', HTTPS: 'on', SSL_CIPHER: 'c' };

    expect(variablesOf(environ)).toEqual(environ);
  });

  test('has nothing that only a FastCGI parameter can be', () => {
    expect(
      variablesOf({
        LD_PRELOAD: '/x',
        NODE_OPTIONS: '-r x',
        PATH: '/x',
        'HTTP_X-Y': '',
        'wsgi.version': 'x',
      }),
    ).toEqual({});
  });

  test('has no HTTP_PROXY, neither the client’s nor the host’s', () => {
    expect(variablesOf({ HTTP_PROXY: 'a' }, { HTTP_PROXY: 'b', HTTP_X: 'c', LANG: 'd' })).toEqual({
      LANG: 'd',
    });
  });

  test('has the length of the body that is sent, and no other', () => {
    const environ = { CONTENT_LENGTH: '0005' } as unknown as Environ;

    expect(scriptEnvironment(environ, { contentLength: 5, host: {} }).variables).toEqual({
      CONTENT_LENGTH: '5',
    });
    expect(scriptEnvironment(environ, { contentLength: 0, host: {} }).variables).toEqual({});
  });

  test('has of this process what Apache passes on', () => {
    const { variables } = scriptEnvironment({} as Environ, { contentLength: 0, host: undefined });

    expect(variables['PATH']).toBe(process.env['PATH']);
    expect(Object.keys(variables).filter((name) => !/^(?:PATH|LD_LIBRARY_PATH|TZ)$/.test(name))).toEqual([]);
  });

  test('holds UTF-8 as Node wants it', () => {
    expect(variablesOf({ PATH_INFO: '/caf\xc3\xa9' })).toEqual({ PATH_INFO: '/caf\u00e9' });
  });

  test('sets apart what is not UTF-8', () => {
    const environ = { PATH_INFO: '/caf\xe9', HTTP_X: 'a\0b' } as unknown as Environ;

    expect(scriptEnvironment(environ, { contentLength: 0, host: {} })).toEqual({
      variables: {},
      rawVariables: [['PATH_INFO', '/caf\xe9']],
    });
  });
});

test('a shell sets every byte but NUL as it is, line feeds at the end included', () => {
  const bytes = Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1));
  const value = `${bytes.toString('latin1')}x\n\n`;
  const script = exportScript([
    ['PATH_INFO', value],
    ['HTTP_X', '\xff'],
  ]);
  const seen = execFileSync('/bin/sh', ['-c', script, 'env', '-0'], { env: { PATH: process.env['PATH'] } });

  expect(seen.toString('latin1').split('\0')).toEqual(
    expect.arrayContaining([`PATH_INFO=${value}`, 'HTTP_X=\xff']),
  );
});
