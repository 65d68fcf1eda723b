/** What real front ends sent on a connection, through `Connection`, cut in every way. fixtures/README.md says what they are. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { OpenRequest } from '../../../src/fastcgi/connection';
import { decodePairs, RecordType } from '../../support/records';
import { streamFixtures, type Measured, type StreamFixture } from '../../support/fixtures';
import { Recording, type Reaction, type RecordedEvent } from './recording';

/** Streams up to this length are cut at every offset; the fixtures' few longer ones at some hundred. */
const EVERY_OFFSET_BYTES = 6000;
const OFFSETS_OF_LONG_STREAMS = 300;

/** What a request has been told so far. */
interface Progress {
  stdinBytes: number;
  stdinEnded: boolean;
  dataEnded: boolean;
}

/**
 * Answers each request when all that its front end sent for it has arrived, so that nothing is lost and the id is free
 * for the next one; a request that is going to be aborted is never answered.
 */
function answering({ requests }: StreamFixture): Reaction {
  const toRun = requests.filter(({ paramsEnded }) => paramsEnded);
  const progress = new Map<
    OpenRequest,
    { progress: Progress; expected: (typeof toRun)[number] | undefined }
  >();

  return (event, request) => {
    if (request === undefined) {
      return;
    }
    if (event.event === 'request') {
      progress.set(request, {
        progress: { stdinBytes: 0, stdinEnded: false, dataEnded: false },
        expected: toRun[progress.size],
      });
    }

    const known = progress.get(request);

    if (known?.expected === undefined) {
      return;
    }

    const { progress: so, expected } = known;

    if (event.event === 'stdin') {
      so.stdinBytes += event.content.length;
    }
    so.stdinEnded ||= event.event === 'stdinEnd';
    so.dataEnded ||= event.event === 'dataEnd';
    if (
      !expected.aborted &&
      so.stdinBytes === expected.stdin.length &&
      so.stdinEnded === expected.stdin.ended &&
      so.dataEnded === (expected.data?.ended ?? false)
    ) {
      request.end(0);
    }
  };
}

function replay(fixture: StreamFixture, chunks: Iterable<Buffer>): Recording {
  return new Recording(answering(fixture)).pushAll(chunks);
}

function measure(events: readonly RecordedEvent[], kind: 'stdin' | 'data', ended: boolean): Measured {
  const content = Buffer.from(
    events.map((event) => (event.event === kind ? event.content : '')).join(''),
    'latin1',
  );

  return { length: content.length, sha256: createHash('sha256').update(content).digest('hex'), ended };
}

/** The requests as the fixture writes them down. */
function requestsIn({ events }: Recording): unknown[] {
  const groups: RecordedEvent[][] = [];
  const current = new Map<number, RecordedEvent[]>();

  for (const event of events) {
    if (event.event === 'request') {
      const group: RecordedEvent[] = [];
      groups.push(group);
      current.set(event.id, group);
    }
    if ('id' in event) {
      current.get(event.id)?.push(event);
    }
  }
  return groups.map((group) => {
    const [begin] = group;
    const has = (kind: RecordedEvent['event']): boolean => group.some(({ event }) => event === kind);

    if (begin?.event !== 'request') {
      throw new Error('a request begins with its announcement');
    }

    const { id, role, keepConn, pairs } = begin;
    const stdin = measure(group, 'stdin', has('stdinEnd'));
    const data = has('data') || has('dataEnd') ? { data: measure(group, 'data', has('dataEnd')) } : {};

    return {
      id,
      role,
      flags: Number(keepConn),
      pairs,
      paramsEnded: true,
      stdin,
      ...data,
      aborted: has('abort'),
    };
  });
}

/** Byte by byte, cut in two at every offset or at a few hundred, and in pieces of sizes that share no factor. */
function* cuts(bytes: Buffer): Generator<{ how: string; chunks: Buffer[] }> {
  const step = bytes.length <= EVERY_OFFSET_BYTES ? 1 : Math.ceil(bytes.length / OFFSETS_OF_LONG_STREAMS);

  for (let cut = 1; cut < bytes.length; cut += step) {
    yield { how: `cut at ${String(cut)}`, chunks: [bytes.subarray(0, cut), bytes.subarray(cut)] };
  }
  for (const size of [1, 7, 1021]) {
    const chunks: Buffer[] = [];

    for (let at = 0; at < bytes.length; at += size) {
      chunks.push(bytes.subarray(at, at + size));
    }
    yield { how: `in pieces of ${String(size)}`, chunks };
  }
}

describe.each(streamFixtures().map((fixture) => ({ name: fixture.name, fixture })))(
  '$name',
  ({ fixture }) => {
    const { bytes, requests, getValues } = fixture;

    test('means what the fixture says', () => {
      const recording = replay(fixture, [bytes]);
      const { sent } = recording;
      const asked = sent
        .filter(({ type }) => type === RecordType.GET_VALUES_RESULT)
        .map(({ content }) => decodePairs(content).map(([name]) => name));

      expect(requestsIn(recording)).toEqual(requests.filter(({ paramsEnded }) => paramsEnded));
      expect(asked).toEqual(getValues.map((names) => names.filter((name) => !name.includes('UNKNOWN'))));
      // Every request was answered once, or aborted; what was cut off with its connection is still open.
      expect(sent.filter(({ type }) => type === RecordType.END_REQUEST)).toHaveLength(requests.length);
      expect(recording.connection.openRequests).toBe(0);
    });

    test('means the same in every chunking', () => {
      const whole = replay(fixture, [bytes]);
      const expected = trace(whole);

      for (const { how, chunks } of cuts(bytes)) {
        const cut = replay(fixture, chunks);

        // `toEqual` on everything would take longer than all the rest: it only has to show a difference.
        if (trace(cut) !== expected) {
          expect({ how, events: cut.events, sent: cut.sent }).toEqual({
            how,
            events: whole.events,
            sent: whole.sent,
          });
        }
      }
    });
  },
);

function trace({ events, output }: Recording): string {
  return JSON.stringify(events) + output.toString('latin1');
}
