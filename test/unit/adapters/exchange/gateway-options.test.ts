import { expect, test } from '@jest/globals';

import { errorLogOf, normalizeMount } from '../../../../adapters/exchange/gateway-options';
import { logToStderr } from '../../../../adapters/exchange/error-log';

test.each([
  [undefined, undefined],
  ['', ''],
  ['/', ''],
  ['//', ''],
  ['/app', '/app'],
  ['/app/', '/app'],
  ['/a/b//', '/a/b'],
  ['app', '/app'],
])('the mount point %j is %j', (mount, normalized) => {
  expect(normalizeMount(mount)).toBe(normalized);
});

test('the mount point is compared as bytes, like every path: é is two', () => {
  expect(normalizeMount('/caf\u00e9')).toBe('/caf\xc3\xa9');
});

test('the log is standard error unless another is given', () => {
  const other = (): void => undefined;

  expect(errorLogOf({})).toBe(logToStderr);
  expect(errorLogOf({ errorLog: other })).toBe(other);
});
