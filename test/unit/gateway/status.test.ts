import { STATUS_CODES } from 'node:http';

import { expect, test } from '@jest/globals';

import { statusText } from '../../../src/gateway/status';

/** RFC 9110 gave these new names or dropped them; Node has the old ones. */
const DIFFERENT_IN_NODE = new Set([413, 418, 422, 509]);

test('the reason phrase of every registered code is the one Node has', () => {
  for (const [code, reason] of Object.entries(STATUS_CODES)) {
    if (!DIFFERENT_IN_NODE.has(Number(code))) {
      expect([code, statusText(Number(code))]).toEqual([code, reason]);
    }
  }
});

test('RFC 9110 says 413 Content Too Large and 422 Unprocessable Content', () => {
  expect(statusText(413)).toBe('Content Too Large');
  expect(statusText(422)).toBe('Unprocessable Content');
});

test('a code that nobody registered is Unknown, never undefined', () => {
  for (const code of [0, 299, 1000, -1, 1.5, Number.NaN]) {
    expect(statusText(code)).toBe('Unknown');
  }
});
