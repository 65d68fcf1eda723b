// What a client and a log are told of a failure: docs/design.md §1 "Failure".
import { describe, expect, test } from '@jest/globals';

import { ApplicationError, PeerError, type PeerErrorCode } from '../../../src/errors';
import {
  describeError,
  describeRequest,
  escapeControls,
  failureResponse,
} from '../../../src/gateway/failure';
import { Response } from '../../../src/gateway/response';

describe('the answer to a failure', () => {
  test('in production is a plain 500 that shows nothing of the error', () => {
    const { status, headers, body } = failureResponse(new Error('secret'), false);

    expect(status).toBe('500 Internal Server Error');
    expect(body).toBe('500 Internal Server Error\n');
    expect(JSON.stringify(headers)).not.toContain('secret');
  });

  test('to a fault of the application is a 500', () => {
    expect(failureResponse(new ApplicationError('ERR_HEADER', 'x'), false).status).toMatch(/^500 /);
  });

  const statuses: [PeerErrorCode, number][] = [
    ['ERR_BODY_TOO_LARGE', 413],
    ['ERR_BODY_TRUNCATED', 400],
    ['ERR_CONTENT_LENGTH', 400],
    ['ERR_LENGTH_REQUIRED', 411],
    ['ERR_OVERLOADED', 503],
    ['ERR_PARAMS_MALFORMED', 400],
    ['ERR_PARAMS_TOO_LARGE', 431],
    ['ERR_PATH', 400],
    ['ERR_ROLE_UNKNOWN', 501],
  ];

  for (const [code, status] of statuses) {
    test(`to ${code} is a ${String(status)}`, () => {
      expect(failureResponse(new PeerError(code, 'x'), false).status).toMatch(
        new RegExp(`^${String(status)} [A-Z]`),
      );
    });
  }

  test('says in a 503 when to come again', () => {
    expect(failureResponse(new PeerError('ERR_OVERLOADED', 'x'), false).headers).toContainEqual([
      'Retry-After',
      '1',
    ]);
  });

  for (const development of [false, true]) {
    test(`is never stored, and its length is right: development ${String(development)}`, () => {
      const { status, headers, body } = failureResponse(new Error('\u20ac'), development);
      const response = new Response();
      response.start(status, headers, undefined);

      expect(response.takeHead().contentLength).toBe(Buffer.byteLength(body));
      expect(headers).toContainEqual(['Cache-Control', 'no-store']);
    });
  }

  test('in development shows the error, its stack and its causes, escaped', () => {
    const cause = new TypeError('"the" cause');
    const { headers, body } = failureResponse(new Error(`<script>&'alert`, { cause }), true);

    expect(headers[0]).toEqual(['Content-Type', 'text/html; charset=utf-8']);
    expect(body).not.toMatch(/<script|'alert|"the"/);
    expect(body).toContain('&#60;script&#62;&#38;&#39;alert');
    expect(body).toContain('failure.test.ts');
    expect(body).toContain('caused by TypeError: &#34;the&#34; cause');
  });
});

describe('describeError', () => {
  test('has code, name, message and stack', () => {
    expect(describeError(new ApplicationError('ERR_HEADER', 'no'))).toMatch(
      /^\[ERR_HEADER\] ApplicationError: no\n +at /,
    );
  });

  test('manages without a stack', () => {
    const error = new RangeError('no');
    delete error.stack;

    expect(describeError(error)).toBe('RangeError: no');
  });

  test('shows an error of another realm like its own', () => {
    const foreign = Object.assign(Object.create(null) as object, {
      stack: 'Error: x\n    at there',
      code: 'ENOENT',
    });

    expect(describeError(foreign)).toBe('[ENOENT] Error: x\n    at there');
  });

  test.each([
    ['a string', 'thrown: a string'],
    [undefined, 'thrown: undefined'],
    [null, 'thrown: null'],
    [42, 'thrown: 42'],
    [Symbol('s'), 'thrown: Symbol(s)'],
    [Object.create(null), 'thrown: object'],
  ])('shows a thrown %p', (thrown, text) => {
    expect(describeError(thrown)).toBe(text);
  });

  test('does not follow causes for ever', () => {
    const error = new Error('my own cause');
    error.cause = error;

    expect(describeError(error).match(/my own cause/g)?.length).toBeLessThan(20);
  });

  test('never throws, whatever was thrown', () => {
    const trap = new Proxy(new Error('x'), {
      get() {
        throw new Error('got you');
      },
    });

    expect(describeError(trap)).toBe('thrown: object');
    expect(failureResponse(trap, true).status).toMatch(/^500 /);
  });
});

describe('describeRequest', () => {
  test('is the method and the target', () => {
    expect(describeRequest({ REQUEST_METHOD: 'GET', REQUEST_URI: '/a?b' })).toBe('GET /a?b');
    expect(describeRequest({ REQUEST_METHOD: 'GET', SCRIPT_NAME: '/a', PATH_INFO: '/b' })).toBe('GET /a/b');
    expect(describeRequest({})).toBe('- ');
    expect(describeRequest(undefined)).toBe('-');
  });

  test('is one line whatever the client wrote', () => {
    const forged = 'x\r\npostern: GET /admin: all is well\x1b[2J\x85';
    const line = describeRequest({ REQUEST_METHOD: forged, PATH_INFO: forged });

    expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });

  test('tells a backslash from an escaped control character', () => {
    expect(escapeControls('\n')).toBe('\\x0a');
    expect(escapeControls('\\x0a')).toBe('\\\\x0a');
  });
});
