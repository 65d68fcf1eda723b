// startResponse's states: docs/design.md §1 "startResponse".
import { describe, expect, test } from '@jest/globals';

import { hasNoBody, Response } from '../../../src/gateway/response';
import type { Headers } from '../../../src/gateway/types';

function started(status: string, headers: Headers = []): Response {
  const response = new Response();

  response.start(status, headers, undefined);
  return response;
}

function codeOf(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}

function codeOfStart(status: unknown, headers: unknown): unknown {
  // What an application written in JavaScript may pass.
  return codeOf(() => new Response().start(status as string, headers as Headers, undefined));
}

/** Those of the 65,536 code units that `action` takes. */
function codeUnitsTakenBy(action: (unit: string) => void): number[] {
  const taken: number[] = [];

  for (let unit = 0; unit <= 0xffff; unit++) {
    if (codeOf(() => action(String.fromCharCode(unit))) === undefined) {
      taken.push(unit);
    }
  }
  return taken;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Tab, 0x20–0x7E and 0x80–0xFF. */
const VALUE_UNITS = [9, ...range(0x20, 0x7e), ...range(0x80, 0xff)];

/** RFC 9110 §5.6.2. */
const TOKEN_UNITS = Array.from(
  "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
  (char) => char.charCodeAt(0),
).sort((a, b) => a - b);

describe('the status', () => {
  for (const status of ['100 Continue', '200 OK', '299 \x80\xff', '404 Not Found', '999 x', '200 \t']) {
    test(`${JSON.stringify(status)} is taken`, () => {
      expect(started(status).headSent).toBe(false);
    });
  }

  for (const status of [
    '',
    '200',
    '200 ',
    '200OK',
    '099 x',
    '000 x',
    '1000 x',
    '20 x',
    ' 200 OK',
    '2e2 OK',
    '200\tOK',
    '٢٠٠ OK',
    '-20 OK',
    '200 OK\n',
    '200 OK\r\nX: y',
  ]) {
    test(`${JSON.stringify(status)} is ERR_STATUS`, () => {
      expect(codeOfStart(status, [])).toBe('ERR_STATUS');
    });
  }

  test.each([[200], [undefined], [null], [{ toString: () => '200 OK' }]])('%p is ERR_STATUS', (status) => {
    expect(codeOfStart(status, [])).toBe('ERR_STATUS');
  });

  test('of all code units a reason may have exactly tab, 0x20–0x7E and 0x80–0xFF', () => {
    expect(codeUnitsTakenBy((unit) => started(`200 a${unit}b`))).toEqual(VALUE_UNITS);
  });
});

describe('the headers', () => {
  test('of all code units a value may have exactly tab, 0x20–0x7E and 0x80–0xFF', () => {
    expect(codeUnitsTakenBy((unit) => started('200 OK', [['X-A', unit]]))).toEqual(VALUE_UNITS);
    expect(codeUnitsTakenBy((unit) => started('200 OK', [['X-A', `a${unit}b`]]))).toEqual(VALUE_UNITS);
  });

  test('of all code units a name may have exactly those of a token', () => {
    expect(codeUnitsTakenBy((unit) => started('200 OK', [[unit, 'a']]))).toEqual(TOKEN_UNITS);
    expect(codeUnitsTakenBy((unit) => started('200 OK', [[`a${unit}b`, 'a']]))).toEqual(TOKEN_UNITS);
  });

  test('an empty value is taken, an empty name is not', () => {
    expect(codeOfStart('200 OK', [['X-A', '']])).toBeUndefined();
    expect(codeOfStart('200 OK', [['', 'a']])).toBe('ERR_HEADER');
  });

  for (const name of [
    'Connection',
    'Keep-Alive',
    'Proxy-Authenticate',
    'Proxy-Authorization',
    'Proxy-Connection',
    'Status',
    'TE',
    'Trailer',
    'Trailers',
    'Transfer-Encoding',
    'Upgrade',
  ]) {
    test(`${name} belongs to the server, in any case of letters`, () => {
      expect(codeOfStart('200 OK', [[name, 'x']])).toBe('ERR_HEADER');
      expect(codeOfStart('200 OK', [[name.toLowerCase(), 'x']])).toBe('ERR_HEADER');
      expect(codeOfStart('200 OK', [[name.toUpperCase(), 'x']])).toBe('ERR_HEADER');
    });
  }

  test.each([
    [undefined],
    [null],
    ['X-A: b'],
    [{ 'X-A': 'b' }],
    [new Map([['X-A', 'b']])],
    [[['X-A']]],
    [[['X-A', 1]]],
    [[[1, 'b']]],
    [[['X-A', ['b']]]],
    [[['Set-Cookie', 'a=1', 'b=2']]],
    [['ab']],
    [[undefined]],
  ])('%p is no array of pairs', (headers) => {
    expect(codeOfStart('200 OK', headers)).toBe('ERR_HEADER');
  });

  test('the message names the header and the rule, never the value', () => {
    expect(() => started('200 OK', [['X-Secret', 'hush\n']])).toThrow(/X-Secret.*RFC 9110/);
    expect(() => started('200 OK', [['X-Secret', 'hush\n']])).not.toThrow(/hush/);
  });

  test('they are sent as given, in order, repeated ones apart', () => {
    const head = started('200 OK', [
      ['Set-Cookie', 'a=1'],
      ['X-A', ''],
      ['Set-Cookie', 'b=\xe9'],
    ]).takeHead();

    expect(head.fieldLines).toBe('Set-Cookie: a=1\r\nX-A: \r\nSet-Cookie: b=\xe9\r\n');
  });

  test('an array that is changed later changes nothing', () => {
    const headers: [string, string][] = [['X-A', 'b']];
    const response = started('200 OK', headers);
    headers.push(['X-B', 'c\r\nX-C: d']);

    expect(response.takeHead().fieldLines).toBe('X-A: b\r\n');
  });
});

describe('Content-Length', () => {
  for (const value of ['', '-1', '+1', '1.0', '0x10', '1e3', ' 1', '1 ', 'abc', '9007199254740992', '1, 1']) {
    test(`${JSON.stringify(value)} is ERR_HEADER`, () => {
      expect(codeOfStart('200 OK', [['Content-Length', value]])).toBe('ERR_HEADER');
    });
  }

  test('it is known to the gateway in any case of letters', () => {
    expect(started('200 OK', [['content-LENGTH', '12']]).takeHead().contentLength).toBe(12);
    expect(started('200 OK').takeHead().contentLength).toBeUndefined();
  });

  test('twice the same is sent once, two different ones are an error', () => {
    const twice = [
      ['Content-Length', '5'],
      ['content-length', '5'],
    ] as const;

    expect(started('200 OK', twice).takeHead().fieldLines).toBe('Content-Length: 5\r\n');
    expect(codeOfStart('200 OK', [...twice, ['Content-Length', '6']])).toBe('ERR_HEADER');
  });

  test('it is dropped on 204, kept on 304', () => {
    const headers = [
      ['Content-Length', '5'],
      ['X-A', 'b'],
    ] as const;

    expect(started('204 No Content', headers).takeHead().fieldLines).toBe('X-A: b\r\n');
    expect(started('304 Not Modified', headers).takeHead().fieldLines).toContain('Content-Length: 5');
  });
});

describe('a second call', () => {
  test('without excInfo is an error', () => {
    expect(codeOf(() => started('200 OK').start('200 OK', [], undefined))).toBe('ERR_START_RESPONSE_TWICE');
    expect(codeOf(() => started('200 OK').start('200 OK', [], null))).toBe('ERR_START_RESPONSE_TWICE');
  });

  test('without excInfo is an error even if the first one threw', () => {
    const response = new Response();

    expect(codeOf(() => response.start('bad', [], undefined))).toBe('ERR_STATUS');
    expect(codeOf(() => response.start('200 OK', [], undefined))).toBe('ERR_START_RESPONSE_TWICE');
  });

  test('with excInfo replaces status and headers while the head is not sent', () => {
    const response = started('200 OK', [['X-A', 'b']]);
    response.start('503 Oops', [['X-C', 'd']], new Error('changed my mind'));

    expect(response.takeHead()).toMatchObject({ status: '503 Oops', fieldLines: 'X-C: d\r\n' });
  });

  test('with excInfo and a bad status leaves nothing to send', () => {
    const response = started('200 OK');

    expect(codeOf(() => response.start('bad', [], new Error('x')))).toBe('ERR_STATUS');
    expect(codeOf(() => response.takeHead())).toBe('ERR_NO_RESPONSE');
  });

  test('with excInfo throws it once the head is sent, whatever it is', () => {
    for (const excInfo of [new Error('x'), 'a string', 0, false]) {
      const response = started('200 OK');
      response.takeHead();
      let thrown: unknown;
      try {
        response.start('500 x', [], excInfo);
      } catch (error) {
        thrown = error;
      }

      expect(thrown).toBe(excInfo);
    }
  });

  test('excInfo with the first call is no error', () => {
    const response = new Response();
    response.start('500 x', [], new Error('x'));

    expect(response.takeHead().status).toBe('500 x');
  });
});

describe('the head', () => {
  test('cannot be taken before startResponse', () => {
    expect(codeOf(() => new Response().takeHead())).toBe('ERR_NO_RESPONSE');
  });

  test('is never a 1xx', () => {
    for (const status of ['100 Continue', '101 Switching Protocols', '103 Early Hints', '199 x']) {
      expect(codeOf(() => started(status).takeHead())).toBe('ERR_STATUS');
    }
  });

  test('of HEAD, 204 and 304 ends the response; they promise no bytes', () => {
    const headers = [['Content-Length', '5']] as const;

    expect(started('200 OK', headers).promisedBytes('GET')).toBe(5);
    expect(started('200 OK', headers).promisedBytes('HEAD')).toBe(0);
    expect(started('304 x', headers).promisedBytes('GET')).toBe(0);
    expect(new Response().promisedBytes('GET')).toBe(0);
    expect(hasNoBody('HEAD', '200 OK')).toBe(true);
    expect(hasNoBody('GET', '204 x')).toBe(true);
    expect(hasNoBody('GET', '304 x')).toBe(true);
    expect(hasNoBody('GET', '205 x')).toBe(false);
    expect(hasNoBody('head', '200 OK')).toBe(false);
    expect(hasNoBody(undefined, '200 OK')).toBe(false);
  });
});
