import { describe, expect, test } from '@jest/globals';

import { createErrorStream, formatError } from '../../../../adapters/exchange/error-log';
import { ApplicationError } from '../../../../src/errors';
import { environOf } from '../../gateway/built-environ';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('an entry of the log', () => {
  test('is the request line, then the error with code and stack', () => {
    const entry = formatError(
      new ApplicationError('ERR_HEADER', 'no'),
      environOf({ REQUEST_METHOD: 'GET', REQUEST_URI: '/a?b' }),
    );

    expect(entry).toMatch(/^postern: GET \/a\?b: \[ERR_HEADER\] ApplicationError: no\n\s+at /);
    expect(entry.endsWith('\n')).toBe(true);
  });

  test('is written without a request, too', () => {
    expect(formatError('x', undefined)).toBe('postern: -: thrown: x\n');
  });

  test('cannot be forged by the path of a request', () => {
    const forged = 'x\r\npostern: GET /admin: all is well';
    const entry = formatError('x', environOf({ REQUEST_METHOD: forged, PATH_INFO: `/${forged}` }));

    expect(entry.split(/[\r\n]/)).toHaveLength(2);
  });

  test('cannot be forged by a message that quotes the path of a request', () => {
    const forged = 'no such page: /x\r\npostern: GET /admin: all is well\x1b[2J\x9b2J';
    for (const error of [new Error(forged), forged, new Error('x', { cause: new Error(forged) })]) {
      const [, ...further] = formatError(error, undefined)
        .trimEnd()
        .split(/\r\n|\r|\n/);

      expect(further.filter((line) => !line.startsWith('  '))).toEqual([]);
      expect(formatError(error, undefined)).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
    }
  });
});

describe('wsgi.errors', () => {
  test('passes on what is written, strings as UTF-8', async () => {
    const written: Buffer[] = [];
    const stream = createErrorStream((bytes) => written.push(bytes));
    stream.write('h\u20ac');
    stream.write(Buffer.from([0xff]));
    await turn();

    expect(Buffer.concat(written).toString('hex')).toBe('68e282acff');
  });

  test('that an application has ended does not end the process at the next write', async () => {
    const stream = createErrorStream(() => undefined);
    stream.end('a');
    await turn();
    stream.write('b');
    await turn();

    expect(stream.destroyed).toBe(true);
  });
});
