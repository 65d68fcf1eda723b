// What Node calls req.url: as the client wrote it, where that is what the front end decided on.
import { describe, expect, test } from '@jest/globals';

import { requestTarget } from '../../../src/gateway/request-target';
import { environOf, type Variables } from './built-environ';

function target(variables: Variables): string {
  return requestTarget(environOf(variables));
}

describe('the request target', () => {
  test.each<[string, Variables, string]>([
    [
      'as it was written',
      { PATH_INFO: '/a b', REQUEST_URI: '/a%20b?c=%20', QUERY_STRING: 'c=%20' },
      '/a%20b?c=%20',
    ],
    ['below the mount point', { SCRIPT_NAME: '/app', PATH_INFO: '/x', REQUEST_URI: '/app/x' }, '/x'],
    ['below an encoded mount point', { SCRIPT_NAME: '/a b', PATH_INFO: '/x', REQUEST_URI: '/a%20b/x' }, '/x'],
    ['at the bare mount point', { SCRIPT_NAME: '/app', PATH_INFO: '', REQUEST_URI: '/app' }, '/'],
    ['with an encoded slash', { PATH_INFO: '/a/b', REQUEST_URI: '/a%2Fb' }, '/a%2Fb'],
    ['with a slash that Apache left encoded', { PATH_INFO: '/a%2Fb', REQUEST_URI: '/a%2Fb' }, '/a%2Fb'],
    ['of OPTIONS *', { PATH_INFO: '', REQUEST_URI: '*' }, '*'],
    ['without REQUEST_URI', { PATH_INFO: '/a b%\xe9', QUERY_STRING: 'c' }, '/a%20b%25%E9?c'],
    ['after a rewrite', { PATH_INFO: '/new', REQUEST_URI: '/old?a', QUERY_STRING: 'a' }, '/new?a'],
  ])('%s', (_what, variables, expected) => {
    expect(target(variables)).toBe(expected);
  });

  test('has no dot segments that the front end has resolved before it checked its rules', () => {
    for (const uri of ['/admin/../x', '/admin/%2e%2e/x', '/./x', '/admin/..%2fx']) {
      expect(target({ PATH_INFO: '/x', REQUEST_URI: uri })).toBe('/x');
    }
  });

  test('has those that the front end has not resolved (Caddy, HAProxy)', () => {
    expect(target({ PATH_INFO: '/a/../x', REQUEST_URI: '/a/../x' })).toBe('/a/../x');
  });
});
