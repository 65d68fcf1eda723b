/** Every row and column of the table at the top of connection.ts, so it is as long as that table is wide. */
import { describe, expect, test } from '@jest/globals';
import { PeerError } from '../../../src/errors';
import type { Bytes, DecodedRecord, Pair } from '../../support/records';
import {
  abortRequest,
  beginRequest,
  data,
  decodePairs,
  encodePairs,
  getValues,
  KEEP_CONN,
  params,
  record,
  RecordType,
  request,
  responseOf,
  Role,
  stdin,
  stream,
} from '../../support/records';
import { chunkings } from '../../support/chunkings';
import { Recording, type RecordedEvent, type Reaction } from './recording';

const { BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA } = RecordType;
const { GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE } = RecordType;

const PAIRS: readonly Pair[] = [
  ['REQUEST_METHOD', 'GET'],
  ['REQUEST_URI', '/'],
];

const STATES = ['not open', 'PARAMS coming in', 'running'] as const;
type State = (typeof STATES)[number];

/** The bytes that bring request 1 in a state; a filter, so that DATA means something. */
function bytesTo(state: State, role: number = Role.FILTER): Buffer {
  switch (state) {
    case 'not open':
      return Buffer.alloc(0);
    case 'PARAMS coming in':
      return Buffer.concat([beginRequest(1, role, KEEP_CONN), params(1, PAIRS, { end: false })]);
    case 'running':
      return Buffer.concat([beginRequest(1, role, KEEP_CONN), params(1, PAIRS)]);
  }
}

function inState(state: State, react?: Reaction): Recording {
  return new Recording(react).push(bytesTo(state));
}

/** What happens after the request was brought in a state. */
function after(
  state: State,
  ...bytes: Buffer[]
): { events: readonly RecordedEvent[]; sent: readonly DecodedRecord[] } {
  const recording = inState(state);
  const before = recording.events.length;

  recording.push(...bytes);
  return { events: recording.events.slice(before), sent: recording.sent };
}

function types(records: readonly DecodedRecord[]): number[] {
  return records.map(({ type }) => type);
}

const answerAtOnce: Reaction = (event, open) => {
  if (event.event === 'request') {
    open?.stdout('ok');
    open?.end(0);
  }
};

const endAtStdinEnd: Reaction = (event, open) => {
  if (event.event === 'stdinEnd') {
    open?.end(0);
  }
};

describe('§5.1 BEGIN_REQUEST', () => {
  test('opens the request with its role and its KEEP_CONN flag', () => {
    const recording = new Recording().push(beginRequest(1, Role.AUTHORIZER, KEEP_CONN), params(1, PAIRS));

    expect(recording.events).toEqual([
      { event: 'request', id: 1, role: Role.AUTHORIZER, keepConn: true, pairs: PAIRS },
    ]);
    expect(recording.sent).toEqual([]);
  });

  test.each([1, 2, 255, 256, 300, 65535])('takes any id but 0: %d', (id) => {
    const recording = new Recording(endAtStdinEnd).push(request(PAIRS, 'body', { id }));

    expect(recording.events.map((event) => ('id' in event ? event.id : event.event))).toEqual([
      id,
      id,
      id,
      'done',
    ]);
    expect(responseOf(recording.output, id).ended).toBe(true);
  });

  test.each([0x00, 0xfe])('looks at no flag but KEEP_CONN: flags %d mean close', (flags) => {
    const recording = new Recording().push(beginRequest(1, Role.RESPONDER, flags), params(1, PAIRS));

    expect(recording.request(1).keepConn).toBe(false);
  });

  test.each(['PARAMS coming in', 'running'] as const)(
    'is a protocol error for an id that is open (%s), and the request beside it is not harmed',
    (state) => {
      const recording = new Recording().push(
        beginRequest(2, Role.RESPONDER, 1),
        params(2, PAIRS),
        bytesTo(state),
      );

      expect(() => recording.push(beginRequest(1))).toThrow(
        expect.objectContaining({ name: 'FastCgiProtocolError', code: 'ERR_FCGI_BEGIN_REQUEST' }),
      );
      expect(recording.connection.openRequests).toBe(2);
      expect(recording.sent).toEqual([]);
    },
  );

  for (let length = 0; length < 8; length++) {
    test(`is a protocol error with a body of ${String(length)} bytes instead of eight`, () => {
      const body = Buffer.from([0, 1, 1, 0, 0, 0, 0]).subarray(0, length);

      expect(() => new Recording().push(record(BEGIN_REQUEST, 1, body))).toThrow(
        expect.objectContaining({ name: 'FastCgiProtocolError', code: 'ERR_FCGI_BEGIN_REQUEST' }),
      );
    });
  }

  test('may have more than eight bytes, and padding', () => {
    const body = Buffer.from([0, 1, 1, 0, 0, 0, 0, 0, 0xff, 0xff]);
    const recording = new Recording().push(record(BEGIN_REQUEST, 1, body, 255), params(1, PAIRS));

    expect(recording.events).toEqual([
      { event: 'request', id: 1, role: Role.RESPONDER, keepConn: true, pairs: PAIRS },
    ]);
  });

  test.each([0, 4, 255, 256, 257, 65535])('§5.1: role %d is refused', (role) => {
    const recording = new Recording().push(beginRequest(1, role, KEEP_CONN), params(1, PAIRS), stdin(1, 'x'));

    expect(recording.events).toEqual([{ event: 'refusal', id: 1, code: 'ERR_ROLE_UNKNOWN' }]);
    expect(recording.connection.openRequests).toBe(0);
  });

  test.each([Role.RESPONDER, Role.AUTHORIZER, Role.FILTER])('§6: role %d is taken', (role) => {
    const recording = new Recording().push(beginRequest(1, role, KEEP_CONN), params(1, PAIRS));

    expect(recording.request(1).role).toBe(role);
  });
});

describe('§5.2 PARAMS', () => {
  test('is ignored for an id that is not open', () => {
    expect(after('not open', params(1, PAIRS))).toEqual({ events: [], sent: [] });
  });

  test('the request comes with the empty record, not before', () => {
    const { events } = after('PARAMS coming in', params(1, [['A', 'b']]));

    expect(events).toEqual([
      { event: 'request', id: 1, role: Role.FILTER, keepConn: true, pairs: [...PAIRS, ['A', 'b']] },
    ]);
    expect(after('PARAMS coming in', params(1, [['A', 'b']], { end: false })).events).toEqual([]);
  });

  test('is ignored once it has ended', () => {
    expect(after('running', params(1, [['A', 'b']]))).toEqual({ events: [], sent: [] });
  });

  test('of no pairs at all is a request, for it is not the wire that can tell', () => {
    const recording = new Recording().push(beginRequest(1), params(1, []));

    expect(recording.events).toMatchObject([{ event: 'request', pairs: [] }]);
  });

  test('§3.4: its pairs may be cut anywhere, inside four-byte lengths too', () => {
    const pairs: Pair[] = [
      ['SHORT', 'v'],
      ['LONG', 'x'.repeat(300)],
      ['N'.repeat(200), ''],
      ['', ''],
    ];

    for (let cutEvery = 1; cutEvery <= 40; cutEvery++) {
      for (const padding of [0, 1, 7, 255]) {
        const bytes = Buffer.concat([beginRequest(1), params(1, pairs, { cutEvery, padding })]);

        expect(new Recording().push(bytes).events).toMatchObject([{ event: 'request', pairs }]);
      }
    }
  });

  test('§3.3: its records may have any padding, the empty one too', () => {
    for (let padding = 0; padding <= 255; padding++) {
      const bytes = Buffer.concat([
        beginRequest(1),
        record(PARAMS, 1, encodePairs(PAIRS), padding),
        record(PARAMS, 1, '', padding),
        record(STDIN, 1, 'abc', padding),
        record(STDIN, 1, '', padding),
      ]);
      const { events } = new Recording().push(bytes);

      expect(events).toMatchObject([
        { pairs: PAIRS },
        { event: 'stdin', content: 'abc' },
        { event: 'stdinEnd' },
      ]);
    }
  });

  const CUT_PAIR = encodePairs(PAIRS).subarray(0, -1);

  for (const { how, chunks } of chunkings(
    Buffer.concat([
      beginRequest(1, 1, KEEP_CONN),
      record(PARAMS, 1, CUT_PAIR),
      record(PARAMS, 1),
      stdin(1, 'x'),
    ]),
  )) {
    test(`that ends inside a pair is refused, ${how}`, () => {
      const recording = new Recording().push(...chunks);

      expect(recording.events).toEqual([{ event: 'refusal', id: 1, code: 'ERR_PARAMS_MALFORMED' }]);
      expect(responseOf(recording.output, 1).stdout.toString()).toBe('refused: ERR_PARAMS_MALFORMED');
    });
  }

  for (const { how, chunks } of chunkings(
    Buffer.concat([beginRequest(1, 1, KEEP_CONN), params(1, PAIRS), stdin(1, 'x')]),
  )) {
    test(`of one byte too many is refused once, ${how}, and the rest of the request is ignored`, () => {
      const maxParamsBytes = encodePairs(PAIRS).length - 1;
      const recording = new Recording(undefined, { maxParamsBytes }).push(...chunks);

      expect(recording.events).toEqual([{ event: 'refusal', id: 1, code: 'ERR_PARAMS_TOO_LARGE' }]);
      expect(recording.connection.openRequests).toBe(0);
    });

    test(`of exactly as many bytes and pairs as are allowed is taken, ${how}`, () => {
      const limits = { maxParamsBytes: encodePairs(PAIRS).length, maxParams: PAIRS.length };

      expect(new Recording(undefined, limits).push(...chunks).events).toMatchObject([
        { event: 'request', pairs: PAIRS },
        { event: 'stdin', content: 'x' },
        { event: 'stdinEnd' },
      ]);
    });

    test(`of one pair too many is refused once, ${how}`, () => {
      const recording = new Recording(undefined, { maxParams: PAIRS.length - 1 }).push(...chunks);

      expect(recording.events).toEqual([{ event: 'refusal', id: 1, code: 'ERR_PARAMS_TOO_LARGE' }]);
    });
  }

  test('a request that is refused for its size has the pairs that came before the limit', () => {
    const recording = new Recording(undefined, { maxParams: 1 }).push(beginRequest(1), params(1, PAIRS));

    expect(recording.request(1).pairs).toEqual(['REQUEST_METHOD', 'GET']);
  });
});

describe.each([
  { name: 'STDIN', type: STDIN, event: 'stdin' as const, end: 'stdinEnd' as const },
  { name: 'DATA', type: DATA, event: 'data' as const, end: 'dataEnd' as const },
])('§5.3 $name', ({ type, event, end }) => {
  const send = (content: Bytes, cutEvery = 65528): Buffer => stream(type, 1, content, { cutEvery });

  test('is ignored for an id that is not open', () => {
    expect(after('not open', send('abc'))).toEqual({ events: [], sent: [] });
  });

  test('goes to the request while it runs, and its end is announced', () => {
    expect(after('running', send('abcdef', 1)).events).toEqual([
      { event, id: 1, content: 'abcdef' },
      { event: end, id: 1 },
    ]);
  });

  test('that comes before the end of PARAMS is kept until then', () => {
    const recording = inState('PARAMS coming in').push(send('abcdef', 2));

    expect(recording.events).toEqual([]);
    recording.push(record(PARAMS, 1));
    expect(recording.events).toMatchObject([
      { event: 'request' },
      { event, id: 1, content: 'abcdef' },
      { event: end, id: 1 },
    ]);
  });

  test('that began before the end of PARAMS goes on after it', () => {
    const recording = inState('PARAMS coming in').push(
      record(type, 1, 'abc'),
      record(PARAMS, 1),
      send('def'),
    );

    expect(recording.events.slice(1)).toEqual([
      { event, id: 1, content: 'abcdef' },
      { event: end, id: 1 },
    ]);
  });

  test('kept before the end of PARAMS is a copy: the chunk may be reused', () => {
    const recording = inState('PARAMS coming in');
    const chunk = record(type, 1, 'abc');

    recording.push(chunk);
    chunk.fill(0);
    recording.push(record(PARAMS, 1));
    expect(recording.events[1]).toEqual({ event, id: 1, content: 'abc' });
  });

  test('before the end of PARAMS is refused beyond its limit, and not held', () => {
    const recording = new Recording(undefined, { maxEarlyBytes: 100 }).push(
      beginRequest(1, Role.FILTER, KEEP_CONN),
    );

    recording.push(record(STDIN, 1, 'x'.repeat(60)), record(DATA, 1, 'x'.repeat(40)));
    expect(recording.events).toEqual([]);
    recording.push(record(type, 1, 'y'), record(type, 1, 'z'.repeat(1000)), params(1, PAIRS));
    expect(recording.events).toEqual([{ event: 'refusal', id: 1, code: 'ERR_PARAMS_MALFORMED' }]);
  });

  test('after its end, all before the end of PARAMS, is ignored', () => {
    const recording = inState('PARAMS coming in').push(send('abc'), send('def'), record(PARAMS, 1));

    expect(recording.events.slice(1)).toEqual([
      { event, id: 1, content: 'abc' },
      { event: end, id: 1 },
    ]);
  });

  test('that was kept is not given to a request that is answered at once', () => {
    const recording = inState('PARAMS coming in', answerAtOnce).push(send('abc'), record(PARAMS, 1));

    expect(recording.events).toMatchObject([{ event: 'request' }]);
  });

  test('that was kept is not given on when the request is answered at its first piece', () => {
    const react: Reaction = (each, open) => {
      if (each.event === event) {
        open?.end(0);
      }
    };
    const recording = inState('PARAMS coming in', react).push(send('abc'), record(PARAMS, 1));

    expect(recording.events.map((each) => each.event)).toEqual(['request', event]);
  });
});

test.each([Role.RESPONDER, Role.AUTHORIZER])('§6.4: DATA means nothing to role %d, early or not', (role) => {
  const early = new Recording().push(
    beginRequest(1, role),
    data(1, 'early', { end: false }),
    params(1, PAIRS),
  );
  const late = early.push(data(1, 'abc', { end: false }));

  expect(late.events).toMatchObject([{ event: 'request' }]);
});

describe('§5.4 ABORT_REQUEST', () => {
  test('is ignored for an id that is not open', () => {
    expect(after('not open', abortRequest(1))).toEqual({ events: [], sent: [] });
  });

  test('without PARAMS, as HAProxy 2.6.12 sends it: END_REQUEST, and nobody is told', () => {
    const recording = new Recording().push(beginRequest(1, Role.RESPONDER, KEEP_CONN), abortRequest(1));

    expect(recording.events).toEqual([]);
    expect(types(recording.sent)).toEqual([END_REQUEST]);
    expect(recording.connection.openRequests).toBe(0);
  });

  test('while PARAMS comes in: END_REQUEST, and nobody is told', () => {
    const { events, sent } = after('PARAMS coming in', abortRequest(1));

    expect(events).toEqual([]);
    expect(types(sent)).toEqual([END_REQUEST]);
  });

  test('while the request runs: it is told, then END_REQUEST goes out', () => {
    const { events, sent } = after('running', abortRequest(1));

    expect(events).toEqual([{ event: 'abort', id: 1, code: 'ERR_PEER_GONE' }]);
    expect(types(sent)).toEqual([END_REQUEST]);
    expect(sent[0]?.content.toString('hex')).toBe('0000000100000000');
  });

  test('after a part of the response: its streams are ended first', () => {
    const recording = inState('running');

    recording.request(1).stdout('Status: 200 OK\r\n\r\n');
    recording.request(1).stderr('oops');
    recording.push(abortRequest(1));
    expect(types(recording.sent)).toEqual([STDOUT, STDERR, STDERR, STDOUT, END_REQUEST]);
  });

  test('after the response: nothing', () => {
    const recording = inState('running', answerAtOnce);
    const before = recording.output.length;

    recording.push(abortRequest(1));
    expect(recording.events.map(({ event }) => event)).toEqual(['request']);
    expect(recording.output).toHaveLength(before);
  });

  test('nothing that is written after it leaves, and what still comes in is ignored', () => {
    const recording = inState('running').push(abortRequest(1));
    const before = recording.output.length;
    const open = recording.request(1);

    open.stdout('late');
    open.stderr('late');
    open.end(0);
    recording.push(stdin(1, 'late'), data(1, 'late'), params(1, PAIRS), abortRequest(1));
    expect(recording.output).toHaveLength(before);
    expect(recording.events.map(({ event }) => event)).toEqual(['request', 'abort']);
  });

  test('a request that ends itself when it is told is ended once', () => {
    const recording = inState('running', (event, open) => {
      if (event.event === 'abort') {
        open?.end(7);
      }
    }).push(abortRequest(1));

    expect(types(recording.sent)).toEqual([END_REQUEST]);
    expect(recording.sent[0]?.content.readUInt32BE(0)).toBe(7);
  });

  test('of one request leaves the others running', () => {
    const recording = inState('running').push(
      beginRequest(2),
      params(2, PAIRS),
      abortRequest(1),
      stdin(2, 'go on'),
    );

    expect(recording.events.slice(2)).toEqual([
      { event: 'abort', id: 1, code: 'ERR_PEER_GONE' },
      { event: 'stdin', id: 2, content: 'go on' },
      { event: 'stdinEnd', id: 2 },
    ]);
  });

  test('may have content and padding', () => {
    expect(types(after('running', record(ABORT_REQUEST, 1, 'x', 3)).sent)).toEqual([END_REQUEST]);
  });
});

describe('every other record with the id of a request', () => {
  const others = [0, END_REQUEST, STDOUT, STDERR, GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE, 12, 100, 255];

  for (const state of STATES) {
    test.each(others)(`§3.3: type %d is ignored (${state})`, (type) => {
      expect(after(state, record(type, 1, 'content', 3), record(type, 1))).toEqual({ events: [], sent: [] });
    });

    test(`does not disturb the request (${state})`, () => {
      const noise = Buffer.concat(others.map((type) => record(type, 1, 'content', 1)));
      const recording = inState(state).push(noise);

      if (state === 'not open') {
        recording.push(bytesTo('running'));
      } else if (state === 'PARAMS coming in') {
        recording.push(record(PARAMS, 1));
      }
      recording.push(stdin(1, 'abc'));
      expect(recording.events.map(({ event }) => event)).toEqual(['request', 'stdin', 'stdinEnd']);
    });
  }
});

describe('§4.1 GET_VALUES', () => {
  const ask = (names: readonly string[]): Pair[][] =>
    new Recording()
      .push(getValues(names))
      .sent.filter(({ type, requestId }) => type === GET_VALUES_RESULT && requestId === 0)
      .map(({ content }) => decodePairs(content));

  test('is answered with what was asked for, in that order', () => {
    expect(ask(['FCGI_MPXS_CONNS', 'FCGI_MAX_CONNS', 'FCGI_MAX_REQS'])).toEqual([
      [
        ['FCGI_MPXS_CONNS', '1'],
        ['FCGI_MAX_CONNS', '10'],
        ['FCGI_MAX_REQS', '50'],
      ],
    ]);
  });

  test('is answered with nothing that was not asked for', () => {
    expect(ask(['FCGI_MAX_REQS'])).toEqual([[['FCGI_MAX_REQS', '50']]]);
  });

  test('names that are not known are left out', () => {
    expect(ask(['FCGI_UNKNOWN', 'FCGI_MAX_REQS', '__proto__', 'constructor', ''])).toEqual([
      [['FCGI_MAX_REQS', '50']],
    ]);
    expect(ask(['FCGI_UNKNOWN'])).toEqual([[]]);
  });

  test('a name asked for twice is answered once', () => {
    expect(ask(['FCGI_MAX_REQS', 'FCGI_MAX_REQS'])).toEqual([[['FCGI_MAX_REQS', '50']]]);
  });

  test('that asks for nothing gets an empty answer', () => {
    expect(ask([])).toEqual([[]]);
  });

  test('a name that comes with a value is answered all the same', () => {
    const question = record(GET_VALUES, 0, encodePairs([['FCGI_MAX_REQS', 'what?']]));

    expect(decodePairs(new Recording().push(question).sent[0]?.content ?? Buffer.alloc(0))).toEqual([
      ['FCGI_MAX_REQS', '50'],
    ]);
  });

  test('that is cut inside a pair is answered as far as it goes', () => {
    const asked = encodePairs([
      ['FCGI_MAX_REQS', ''],
      ['FCGI_MAX_CONNS', ''],
    ]);
    const { sent } = new Recording().push(record(GET_VALUES, 0, asked.subarray(0, -1)));

    expect(sent.map(({ content }) => decodePairs(content))).toEqual([[['FCGI_MAX_REQS', '50']]]);
  });

  test('of the largest size gets an answer of at most three pairs', () => {
    const asked = Buffer.concat(Array.from({ length: 4369 }, () => encodePairs([['FCGI_MAX_REQS', '']])));
    const { sent } = new Recording().push(record(GET_VALUES, 0, asked));

    expect(asked).toHaveLength(65535);
    expect(sent.map(({ content }) => decodePairs(content))).toEqual([[['FCGI_MAX_REQS', '50']]]);
  });

  for (const { how, chunks } of chunkings(
    Buffer.concat([
      beginRequest(1),
      params(1, PAIRS, { end: false }),
      getValues(['FCGI_MPXS_CONNS']),
      record(PARAMS, 1),
      stdin(1, 'abc', { end: false }),
      record(GET_VALUES, 0, encodePairs([['FCGI_MAX_CONNS', '']]), 5),
      record(STDIN, 1),
    ]),
  )) {
    test(`is answered in the middle of a request, ${how}`, () => {
      const recording = new Recording(endAtStdinEnd).push(...chunks);

      expect(types(recording.sent)).toEqual([GET_VALUES_RESULT, GET_VALUES_RESULT, END_REQUEST]);
      expect(recording.sent.slice(0, 2).map(({ content }) => decodePairs(content))).toEqual([
        [['FCGI_MPXS_CONNS', '1']],
        [['FCGI_MAX_CONNS', '10']],
      ]);
      expect(recording.events).toMatchObject([
        { event: 'request', pairs: PAIRS },
        { event: 'stdin', content: 'abc' },
        { event: 'stdinEnd' },
        { event: 'done' },
      ]);
    });
  }
});

describe('§4.2 UNKNOWN_TYPE', () => {
  const MANAGEMENT = [
    0,
    BEGIN_REQUEST,
    ABORT_REQUEST,
    END_REQUEST,
    PARAMS,
    STDIN,
    STDOUT,
    STDERR,
    DATA,
    12,
    100,
    255,
  ];

  for (const state of STATES) {
    test.each(MANAGEMENT)(`answers a management record of type %d, naming the type (${state})`, (type) => {
      const { events, sent } = after(state, record(type, 0, 'whatever it is', 2));

      expect(events).toEqual([]);
      expect(sent).toMatchObject([{ type: UNKNOWN_TYPE, requestId: 0 }]);
      expect([...(sent[0]?.content ?? [])]).toEqual([type, 0, 0, 0, 0, 0, 0, 0]);
    });

    test.each([GET_VALUES_RESULT, UNKNOWN_TYPE])(`never answers an answer, type %d (${state})`, (type) => {
      expect(after(state, record(type, 0, '\x0d\x01FCGI_MAX_REQS9'))).toEqual({ events: [], sent: [] });
    });
  }

  test('answers a record without content, too', () => {
    expect(types(new Recording().push(record(99, 0)).sent)).toEqual([UNKNOWN_TYPE]);
  });
});

describe('§3.5 the connection', () => {
  test('is done after the answer when KEEP_CONN is not set', () => {
    const recording = new Recording(endAtStdinEnd).push(request(PAIRS, ''));

    expect(recording.events.at(-1)).toEqual({ event: 'done' });
  });

  test('is kept when KEEP_CONN is set, and takes the same id again', () => {
    const one = request(PAIRS, 'body', { keepConn: true });
    const recording = new Recording(endAtStdinEnd).push(one, one, one);

    expect(recording.events.filter(({ event }) => event === 'request')).toHaveLength(3);
    expect(recording.events).not.toContainEqual({ event: 'done' });
  });

  test('is done only when every request is: one without KEEP_CONN waits for the others', () => {
    const recording = new Recording().push(
      request(PAIRS, '', { id: 1, keepConn: true }),
      request(PAIRS, '', { id: 2, keepConn: false }),
      request(PAIRS, '', { id: 3, keepConn: true }),
    );

    recording.request(2).end(0);
    recording.request(3).end(0);
    expect(recording.events).not.toContainEqual({ event: 'done' });
    recording.request(1).end(0);
    expect(recording.events.at(-1)).toEqual({ event: 'done' });
  });

  test('is done after a request that was refused or aborted, too', () => {
    expect(new Recording().push(beginRequest(1, 99)).events.at(-1)).toEqual({ event: 'done' });
    expect(new Recording().push(beginRequest(1), abortRequest(1)).events).toEqual([{ event: 'done' }]);
  });

  test('is done after a request that was abandoned', () => {
    const recording = new Recording().push(request(PAIRS));

    recording.request(1).abandon();
    expect(recording.events.at(-1)).toEqual({ event: 'done' });
    expect(recording.sent).toEqual([]);
  });

  test('is done at once when it shall close and nothing is open', () => {
    const recording = new Recording();

    recording.connection.closeWhenDone();
    expect(recording.events).toEqual([{ event: 'done' }]);
  });

  test('is done when what is open has ended, if it shall close', () => {
    const recording = inState('running');

    recording.connection.closeWhenDone();
    expect(recording.events).not.toContainEqual({ event: 'done' });
    recording.request(1).end(0);
    expect(recording.events.at(-1)).toEqual({ event: 'done' });
  });
});

describe('§3.3 multiplexing', () => {
  test('answers go out in the order they are made, each under its id', () => {
    const recording = new Recording().push(
      request(PAIRS, 'one', { id: 1, keepConn: true }),
      request(PAIRS, 'two', { id: 2, keepConn: true }),
      request(PAIRS, 'three', { id: 3, keepConn: true }),
    );

    for (const id of [3, 1, 2]) {
      recording.request(id).stdout(`to ${String(id)}`);
      recording.request(id).end(id);
    }
    expect(
      recording.sent.filter(({ type }) => type === END_REQUEST).map(({ requestId }) => requestId),
    ).toEqual([3, 1, 2]);
    expect(responseOf(recording.output, 2)).toMatchObject({ stdout: Buffer.from('to 2'), appStatus: 2 });
  });

  test('records of many requests may come in any mixture', () => {
    const ids = [1, 2, 300, 65535];
    const cut = (id: number): Buffer[] => [
      beginRequest(id, Role.RESPONDER, KEEP_CONN),
      ...[...encodePairs([['ID', String(id)]])].map((byte) => record(PARAMS, id, Buffer.from([byte]))),
      record(PARAMS, id),
      record(STDIN, id, `body of ${String(id)}`),
      record(STDIN, id),
    ];
    const queues = ids.map(cut);
    const recording = new Recording();

    while (queues.some((queue) => queue.length > 0)) {
      recording.push(...queues.flatMap((queue) => queue.splice(0, 1)));
    }
    for (const id of ids) {
      expect(recording.events.filter((event) => 'id' in event && event.id === id)).toMatchObject([
        { event: 'request', pairs: [['ID', String(id)]] },
        { event: 'stdin', content: `body of ${String(id)}` },
        { event: 'stdinEnd' },
      ]);
    }
  });

  test('more requests than maxConcurrent are refused; those that are open go on, and a free place is taken', () => {
    const recording = new Recording(undefined, { maxConcurrent: 2 });

    for (const id of [1, 2, 3]) {
      recording.push(request(PAIRS, '', { id, keepConn: true }));
    }
    expect(recording.events.filter(({ event }) => event !== 'stdinEnd')).toMatchObject([
      { event: 'request', id: 1 },
      { event: 'request', id: 2 },
      { event: 'refusal', id: 3, code: 'ERR_OVERLOADED' },
    ]);
    expect(recording.connection.openRequests).toBe(2);
    recording.request(1).end(0);
    recording.push(request(PAIRS, '', { id: 3, keepConn: true }));
    expect(recording.events.at(-2)).toMatchObject({ event: 'request', id: 3 });
  });

  test('a request whose PARAMS is still coming in takes a place', () => {
    const recording = new Recording(undefined, { maxConcurrent: 1 }).push(beginRequest(1), beginRequest(2));

    expect(recording.events).toEqual([{ event: 'refusal', id: 2, code: 'ERR_OVERLOADED' }]);
  });
});

describe('an answer before the end of the body', () => {
  test('the rest of the body is ignored, and the id may be used again (Apache 2.4.71, enablereuse)', () => {
    const recording = new Recording((event, open) => {
      if (event.event === 'stdin') {
        open?.end(0);
      }
    });
    const upload = Buffer.concat([
      beginRequest(1, 1, KEEP_CONN),
      params(1, PAIRS),
      record(STDIN, 1, 'first'),
    ]);

    recording.push(upload, record(STDIN, 1, 'stale'), record(STDIN, 1, 'stale'));
    recording.push(beginRequest(1, 1, KEEP_CONN), params(1, [['A', 'b']]), record(STDIN, 1));
    expect(recording.events).toMatchObject([
      { event: 'request', pairs: PAIRS },
      { event: 'stdin', content: 'first' },
      { event: 'request', pairs: [['A', 'b']] },
      { event: 'stdinEnd' },
    ]);
  });

  test('inside a STDIN record: the rest of that record is ignored, too', () => {
    const recording = inState('running', (event, open) => {
      if (event.event === 'stdin') {
        open?.end(0);
      }
    });
    const body = record(STDIN, 1, 'abcdef');

    recording.push(body.subarray(0, 10), body.subarray(10), bytesTo('running'), stdin(1, 'next'));
    expect(recording.events).toMatchObject([
      { event: 'request' },
      { event: 'stdin', content: 'ab' },
      { event: 'request' },
      { event: 'stdin', content: 'next' },
    ]);
  });

  test('inside a STDIN record that outlives it: the rest is not the next request’s, which has the same id', () => {
    const recording = inState('running');
    const body = record(STDIN, 1, 'abcdef', 8);

    recording.push(body.subarray(0, 10));
    recording.request(1).end(0);
    recording.push(body.subarray(10), bytesTo('running'), stdin(1, 'next'));
    expect(recording.events.slice(1)).toMatchObject([
      { event: 'stdin', content: 'ab' },
      { event: 'request' },
      { event: 'stdin', content: 'next' },
      { event: 'stdinEnd' },
    ]);
  });

  test('while PARAMS comes in is not possible: an id whose record is cut when it is aborted is free afterwards', () => {
    const recording = inState('PARAMS coming in').push(abortRequest(1));

    recording.push(record(PARAMS, 1, 'stale'), record(PARAMS, 1), bytesTo('running'));
    expect(recording.events).toMatchObject([{ event: 'request', pairs: PAIRS }]);
  });
});

describe('§3.3 the streams of a response', () => {
  test('are ended if they were used, STDERR first', () => {
    const recording = inState('running');

    recording.request(1).stdout('out');
    recording.request(1).stderr('err');
    recording.request(1).end(0);
    expect(recording.sent.map(({ type, content }) => [type, content.toString()])).toEqual([
      [STDOUT, 'out'],
      [STDERR, 'err'],
      [STDERR, ''],
      [STDOUT, ''],
      [END_REQUEST, '\0'.repeat(8)],
    ]);
  });

  test('are not mentioned if they were not used: an empty write is no use', () => {
    const recording = inState('running');

    recording.request(1).stdout('');
    recording.request(1).stdout(Buffer.alloc(0));
    recording.request(1).stderr('');
    recording.request(1).end(0);
    expect(types(recording.sent)).toEqual([END_REQUEST]);
  });

  test('cannot be written to after the end, which counts once', () => {
    const recording = inState('running');
    const open = recording.request(1);

    open.end(5, 3);
    open.stdout('late');
    open.stderr('late');
    open.end(0);
    open.abandon();
    expect(recording.sent.map(({ content }) => content.toString('hex'))).toEqual(['0000000503000000']);
  });

  test('have no end when the request is abandoned', () => {
    const recording = inState('running');

    recording.request(1).stdout('out');
    recording.request(1).abandon();
    recording.request(1).end(0);
    expect(types(recording.sent)).toEqual([STDOUT]);
    expect(recording.connection.openRequests).toBe(0);
  });
});

describe('the end of the connection', () => {
  const gone = new PeerError('ERR_PEER_GONE', 'gone');

  test('settles every open request; those that run are told', () => {
    const recording = new Recording().push(
      request(PAIRS, '', { id: 1 }),
      request(PAIRS, '', { id: 2 }),
      beginRequest(3),
      beginRequest(4),
      params(4, PAIRS, { end: false }),
    );

    recording.request(1).end(0);
    recording.connection.lose(gone);
    expect(recording.connection.openRequests).toBe(0);
    expect(recording.events.filter(({ event }) => event === 'abort')).toEqual([
      { event: 'abort', id: 2, code: 'ERR_PEER_GONE' },
    ]);
    expect(recording.sent.filter(({ type }) => type === END_REQUEST)).toHaveLength(1);
  });

  test('is told once', () => {
    const recording = inState('running');

    recording.connection.lose(gone);
    recording.connection.lose(gone);
    expect(recording.events.filter(({ event }) => event === 'abort')).toHaveLength(1);
  });

  test('is not told to a request that another one has settled on hearing of it', () => {
    const recording = new Recording((event) => {
      if (event.event === 'abort') {
        recording.request(2).end(0);
      }
    }).push(request(PAIRS, '', { id: 1 }), request(PAIRS, '', { id: 2 }));

    recording.connection.lose(gone);
    expect(recording.events.filter(({ event }) => event === 'abort')).toEqual([
      { event: 'abort', id: 1, code: 'ERR_PEER_GONE' },
    ]);
  });
});

describe('one chunk with more than one request in it', () => {
  const bytes = Buffer.concat([
    request(PAIRS, 'body', { id: 1, keepConn: true }),
    request(PAIRS, 'body', { id: 1, keepConn: true }),
    getValues(['FCGI_MAX_REQS']),
    request(PAIRS, 'body', { id: 1, keepConn: true }),
  ]);

  for (const { how, chunks } of chunkings(bytes)) {
    test(`an application that answers inside onRequest gets them one after the other, ${how}`, () => {
      const recording = new Recording(answerAtOnce).push(...chunks);

      expect(recording.events.map(({ event }) => event)).toEqual(['request', 'request', 'request']);
      expect(types(recording.sent)).toEqual([
        ...[STDOUT, STDOUT, END_REQUEST],
        ...[STDOUT, STDOUT, END_REQUEST],
        GET_VALUES_RESULT,
        ...[STDOUT, STDOUT, END_REQUEST],
      ]);
    });
  }

  test('onDone is told while more requests are to come: the last one is still answered', () => {
    const recording = new Recording(answerAtOnce).push(
      Buffer.concat([request(PAIRS, '', { id: 1 }), request(PAIRS, '', { id: 2 })]),
    );

    expect(recording.events.map(({ event }) => event)).toEqual(['request', 'done', 'request', 'done']);
    expect(responseOf(recording.output, 2).ended).toBe(true);
  });
});

describe('a protocol error in the middle of a chunk', () => {
  const bytes = Buffer.concat([
    request(PAIRS, '', { id: 1, keepConn: true }),
    request(PAIRS, '', { id: 2, keepConn: true }),
    Buffer.from('0201000300080000', 'hex'),
    request(PAIRS, '', { id: 4, keepConn: true }),
  ]);

  for (const { how, chunks } of chunkings(bytes.subarray(0, -60))) {
    test(`what came before it counts, what comes after it does not, ${how}`, () => {
      const recording = new Recording((event, open) => {
        if (event.event === 'request' && event.id === 1) {
          open?.end(0);
        }
      });

      expect(() => recording.push(...chunks)).toThrow(expect.objectContaining({ code: 'ERR_FCGI_VERSION' }));
      expect(recording.events.filter(({ event }) => event === 'request')).toMatchObject([
        { id: 1 },
        { id: 2 },
      ]);
      expect(responseOf(recording.output, 1).ended).toBe(true);
      expect(recording.connection.openRequests).toBe(1);
    });
  }
});

test('a refused record goes out after what was written', () => {
  const recording = inState('running');

  recording.request(1).stdout('a');
  recording.connection.writeRefusedRecord();
  expect(recording.connection.pendingOutputBytes).toBe(17);
  expect(recording.output.toString('hex')).toBe('0106000100010000' + '61' + '00'.repeat(8));
  expect(recording.connection.pendingOutputBytes).toBe(0);
});
