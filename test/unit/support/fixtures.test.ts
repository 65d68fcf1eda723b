// The fixtures are whole: what the JSON says of a stream is what the tests' own decoder reads from its bytes.
import { describe, expect, test } from '@jest/globals';

import { createHash } from 'node:crypto';

import { conversationOf } from '../../support/conversation';
import type { Measured, StreamFixture } from '../../support/fixtures';
import { environFixture, environFixtures, streamFixtures } from '../../support/fixtures';

const streams = streamFixtures();
const environs = environFixtures();

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function measured(bytes: Buffer, ended: boolean): Measured {
  return { length: bytes.length, sha256: sha256(bytes), ended };
}

function serversOf(fixtures: readonly { readonly server: string }[]): string[] {
  return [...new Set(fixtures.map(({ server }) => server))];
}

function expectAsWritten(fixture: StreamFixture): void {
  const { records, requests, getValues, unfinishedBytes } = conversationOf(fixture.bytes);

  expect(sha256(fixture.bytes)).toBe(fixture.sha256);
  expect(unfinishedBytes).toBe(0);
  expect(getValues).toEqual(fixture.getValues);
  expect(records.map((each) => [each.type, each.requestId, each.content.length, each.padding])).toEqual(
    fixture.records,
  );
  expect(
    requests.map(({ stdin, stdinEnded, data, dataEnded, ...rest }) => ({
      ...rest,
      stdin: measured(stdin, stdinEnded),
      ...(dataEnded ? { data: measured(data, dataEnded) } : {}),
    })),
  ).toEqual(fixture.requests);
}

describe('fixtures/streams', () => {
  for (const server of serversOf(streams)) {
    test(`${server}: the bytes are what the JSON says`, () => {
      streams.filter((each) => each.server === server).forEach(expectAsWritten);
    });
  }

  test('they hold what tests come here for', () => {
    const requests = streams.flatMap((each) => each.requests);
    expect(streams.some((each) => each.getValues.length > 0)).toBe(true);
    expect(streams.some((each) => new Set(each.requests.map(({ id }) => id)).size > 2)).toBe(true);
    expect(requests.some((each) => each.aborted && !each.paramsEnded)).toBe(true);
    expect(requests.some((each) => each.aborted && each.stdin.length > 0)).toBe(true);
    expect(new Set(requests.map((each) => each.role))).toEqual(new Set([1, 2, 3]));
    expect(new Set(requests.map((each) => each.flags))).toEqual(new Set([0, 1]));
  });

  test('they stay below 3 MB, and most can be cut at every offset', () => {
    expect(streams.reduce((sum, each) => sum + each.length, 0)).toBeLessThan(3e6);
    expect(streams.filter((each) => each.big === true).length).toBeLessThan(streams.length / 5);
  });
});

describe('fixtures/environ', () => {
  test('every value is latin-1, and every environ says what was asked for', () => {
    for (const { pairs, request, curl } of environs) {
      expect(pairs.flat().filter((text) => !/^[\0-\xff]*$/.test(text))).toEqual([]);
      expect(pairs.some(([name]) => name === 'REQUEST_METHOD')).toBe(true);
      expect(request === undefined).toBe(curl !== undefined);
    }
  });

  test('there is one of every front end, CGI and FastCGI', () => {
    expect(serversOf(environs)).toHaveLength(24);
    expect(new Set(environs.map(({ protocol }) => protocol))).toEqual(new Set(['cgi', 'fastcgi']));
  });

  test('names that were sent twice are there twice, in order', () => {
    const cookies = environFixture('nginx-plain/hdr-dup').pairs.filter(([name]) => name === 'HTTP_COOKIE');
    expect(cookies).toEqual([
      ['HTTP_COOKIE', 'c1=1'],
      ['HTTP_COOKIE', 'c2=2'],
    ]);
  });
});
