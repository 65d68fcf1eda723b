// One call of the application, from startResponse to the last byte: docs/design.md §1 "Body", "Failure".
import { createHook } from 'node:async_hooks';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';

import { describe, expect, test } from '@jest/globals';

import { PeerError } from '../../../src/errors';
import type { Application, Body, Chunk, StartResponse, Write } from '../../../src/gateway/types';
import { answer, record, RecordedRun, recordSync, turns } from './recorded-run';

const GONE = new PeerError('ERR_PEER_GONE', 'gone');

/** `startResponse` with a Content-Length, then `body`. */
function promising(contentLength: number, body: () => Body, status = '200 OK'): Application {
  return (_environ, startResponse) => {
    startResponse(status, [['Content-Length', String(contentLength)]]);
    return body();
  };
}

/** A body, its own iterator, that counts how often it is asked for a chunk and let go. */
class Watched {
  nexts = 0;
  returns = 0;
  closes = 0;
  readonly #chunks: readonly unknown[];

  constructor(chunks: readonly unknown[]) {
    this.#chunks = chunks;
  }

  body(isAsync: boolean): Iterable<Chunk> {
    const maybeLater = (value: unknown): unknown => (isAsync ? Promise.resolve(value) : value);
    const self = {
      next: () => {
        const chunk = this.#chunks[this.nexts++];

        if (chunk instanceof Error) {
          throw chunk;
        }
        return maybeLater({ done: this.nexts > this.#chunks.length, value: chunk });
      },
      return: () => {
        this.returns++;
        return maybeLater({ done: true });
      },
      close: () => {
        this.closes++;
      },
      [isAsync ? Symbol.asyncIterator : Symbol.iterator]: () => self,
    };

    // Hand-made: TypeScript does not see which of the two it is.
    return self as unknown as Iterable<Chunk>;
  }
}

describe('the head', () => {
  test('waits for the first chunk that is not empty', () => {
    const recorded = new RecordedRun();

    recorded.start(
      answer(function* () {
        recorded.log.push('begun');
        yield '';
        yield new Uint8Array(0);
        recorded.log.push('two empty chunks');
        yield 'a';
        recorded.log.push('one more');
        yield 'b';
      }),
    );

    expect(recorded.log).toEqual([
      'begun',
      'two empty chunks',
      'head 200 OK',
      'write a',
      'one more',
      'write b',
      'end',
      'settled',
    ]);
  });

  test('waits for the end if no chunk comes', () => {
    expect(recordSync(answer(() => ['', ''])).log).toEqual(['head 200 OK', 'end', 'settled']);
  });

  test('is brought out by the first write(), even of nothing', () => {
    const recorded = new RecordedRun();

    recorded.start((_environ, startResponse) => {
      const write = startResponse('200 OK', []);
      recorded.log.push('started');
      write('');
      recorded.log.push('wrote nothing');
      write('a');
      return ['b'];
    });

    expect(recorded.log).toEqual([
      'started',
      'head 200 OK',
      'wrote nothing',
      'write a',
      'write b',
      'end',
      'settled',
    ]);
  });

  test('may be started as late as the first iteration of the body', async () => {
    const late = recordSync(function* (_environ, startResponse) {
      startResponse('201 Created', []);
      yield 'a';
    });
    const later = await record(async function* (_environ, startResponse) {
      await Promise.resolve();
      startResponse('202 Accepted', []);
      yield 'a';
    });

    expect(late.log).toEqual(['head 201 Created', 'write a', 'end', 'settled']);
    expect(later.log).toEqual(['head 202 Accepted', 'write a', 'end', 'settled']);
  });

  test('that is never started is a 500', () => {
    for (const body of [undefined, 'a', ['a'], []]) {
      const recorded = recordSync(() => body);

      expect(recorded.log[0]).toBe('head 500 Internal Server Error');
      expect(recorded.codes).toEqual(['ERR_NO_RESPONSE']);
    }
  });

  test('with a 1xx status is a 500, by a chunk and by write()', () => {
    const byChunk = recordSync((_environ, startResponse) => {
      startResponse('103 Early Hints', []);
      return 'a';
    });
    const byWrite = recordSync((_environ, startResponse) => {
      startResponse('100 Continue', [])('a');
      return null;
    });

    for (const recorded of [byChunk, byWrite]) {
      expect(recorded.head?.status).toBe('500 Internal Server Error');
      expect(recorded.codes).toEqual(['ERR_STATUS']);
    }
  });

  test('can be replaced with excInfo before it is sent, also from within the body', () => {
    const recorded = recordSync((_environ, startResponse) => {
      startResponse('200 OK', [['X-A', 'b']]);
      return (function* () {
        yield '';
        startResponse('503 Busy', [], new Error('x'));
        yield 'c';
      })();
    });

    expect(recorded.log).toEqual(['head 503 Busy', 'write c', 'end', 'settled']);
    expect(recorded.head?.fieldLines).toBe('');
  });

  test('that is sent makes startResponse throw excInfo, which truncates unless it is caught', () => {
    const error = new Error('too late');
    const recorded = recordSync((_environ, startResponse) => {
      startResponse('200 OK', [])('a');
      startResponse('500 x', [], error);
      return null;
    });

    expect(recorded.log).toEqual(['head 200 OK', 'write a', 'truncate', 'settled']);
    expect(recorded.errors).toEqual([error]);
  });

  test('goes to the writer once, whatever fails', () => {
    const recorded = recordSync((_environ, startResponse) => {
      startResponse('200 OK', [])('a');
      throw new Error('x');
    });

    expect(recorded.log.filter((line) => line.startsWith('head'))).toEqual(['head 200 OK']);
  });
});

describe('a body may be', () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const kinds: [string, () => unknown, string][] = [
    ['null', () => null, ''],
    ['undefined', () => undefined, ''],
    ['a string', () => 'h\u20ac', 'h\u20ac'],
    ['an empty string', () => '', ''],
    ['a Uint8Array', () => bytes('ab'), 'ab'],
    ['a Buffer', () => Buffer.from('ab'), 'ab'],
    ['an array', () => ['a', bytes('b'), Buffer.from('c')], 'abc'],
    ['an empty array', () => [], ''],
    ['a Set', () => new Set(['a', 'b']), 'ab'],
    [
      'a generator',
      function* () {
        yield 'a';
        yield bytes('b');
      },
      'ab',
    ],
    [
      'an async generator',
      async function* () {
        yield 'a';
        await Promise.resolve();
        yield bytes('b');
      },
      'ab',
    ],
    ['a Node Readable', () => Readable.from([Buffer.from('a'), Buffer.from('b')]), 'ab'],
    [
      'a ReadableStream',
      () =>
        new ReadableStream({
          start(controller) {
            controller.enqueue(bytes('a'));
            controller.enqueue(bytes('b'));
            controller.close();
          },
        }),
      'ab',
    ],
    [
      'an iterator without return',
      () => {
        let calls = 0;
        return { [Symbol.iterator]: () => ({ next: () => ({ done: ++calls > 2, value: 'a' }) }) };
      },
      'aa',
    ],
    [
      'an async iterator whose next gives no promise',
      () => {
        let calls = 0;
        return { [Symbol.asyncIterator]: () => ({ next: () => ({ done: ++calls > 2, value: 'a' }) }) };
      },
      'aa',
    ],
    ['an object with close()', () => Object.assign(['a'], { close: () => undefined }), 'a'],
    ['lone surrogates, replaced', () => 'a\ud800', 'a\ufffd'],
  ];

  for (const [kind, body, text] of kinds) {
    test(kind, async () => {
      const recorded = await record(answer(body));

      expect(recorded.text).toBe(text);
      expect(recorded.log.slice(-2)).toEqual(['end', 'settled']);
      expect(recorded.errors).toEqual([]);
    });

    test(`a promise of ${kind}`, async () => {
      const recorded = await record(answer(async () => Promise.resolve(body())));

      expect(recorded.text).toBe(text);
      expect(recorded.log.slice(-2)).toEqual(['end', 'settled']);
      expect(recorded.errors).toEqual([]);
    });
  }

  test('a thenable of any make', async () => {
    const thenable = { then: (resolve: (body: string) => void) => resolve('a') };

    expect((await record(answer(() => thenable))).text).toBe('a');
  });

  test('one string: it is one chunk, never iterated', () => {
    expect(recordSync(answer(() => 'abc')).log).toEqual(['head 200 OK', 'write abc', 'end', 'settled']);
  });

  test('one Uint8Array: it is one chunk, never iterated', () => {
    expect(recordSync(answer(() => Buffer.from('abc'))).log).toContain('write abc');
  });
});

describe('a body may not be', () => {
  test.each([
    ['a number', 42],
    ['zero', 0],
    ['true', true],
    ['a function', () => 'a'],
    ['a symbol', Symbol('a')],
    ['a plain object', { a: 1 }],
    ['an ArrayBuffer', new ArrayBuffer(1)],
    ['a Blob', new Blob(['a'])],
  ])('%s', async (_kind, body) => {
    for (const give of [() => body, async () => Promise.resolve(body)]) {
      const recorded = await record(answer(give));

      expect(recorded.codes).toEqual(['ERR_BODY_TYPE']);
      expect(recorded.head?.status).toBe('500 Internal Server Error');
      expect(recorded.log.slice(-2)).toEqual(['end', 'settled']);
    }
  });

  test.each([
    ['a number', 42],
    ['null', null],
    ['undefined', undefined],
    ['an array', ['a']],
    ['a promise', Promise.resolve('a')],
    ['an ArrayBuffer', new ArrayBuffer(1)],
    ['a String object', new String('a')],
  ])('an iterable of %s', async (_kind, chunk) => {
    const sync = recordSync(answer(() => [chunk]));
    const late = recordSync(answer(() => ['a', chunk]));
    const written = recordSync((_environ, startResponse) => {
      startResponse('200 OK', [])(chunk as string);
      return null;
    });

    for (const recorded of [sync, late, written]) {
      expect(recorded.codes).toEqual(['ERR_CHUNK_TYPE']);
    }
    expect(sync.head?.status).toBe('500 Internal Server Error');
    expect(written.head?.status).toBe('500 Internal Server Error');
    expect(late.log).toEqual(['head 200 OK', 'write a', 'truncate', 'settled']);
    await turns();
  });

  test('a Uint16Array, which would be cut down to bytes', () => {
    expect(recordSync(answer(() => new Uint16Array([0x0a0d]))).codes).toEqual(['ERR_CHUNK_TYPE']);
  });

  test('an object whose close() is then forgotten', () => {
    let closes = 0;
    recordSync(answer(() => ({ close: () => closes++ })));

    expect(closes).toBe(1);
  });

  for (const symbol of [Symbol.iterator, Symbol.asyncIterator] as const) {
    test.each([
      ['gives no iterator', () => undefined],
      [
        'throws',
        () => {
          throw new Error('x');
        },
      ],
      ['gives an iterator without next()', () => ({})],
      ['gives an iterator whose next() gives nothing', () => ({ next: () => undefined })],
      ['gives an iterator whose next() gives a number', () => ({ next: () => 1 })],
      [
        'gives steps that cannot be read',
        () => ({
          next: () => ({
            get done() {
              throw new Error('x');
            },
          }),
        }),
      ],
    ])(`${symbol.description ?? ''} that %s`, async (_what, iterate) => {
      const recorded = await record(answer(() => ({ [symbol]: iterate })));

      expect(recorded.head?.status).toBe('500 Internal Server Error');
      expect(recorded.errors).toHaveLength(1);
    });
  }
});

describe('a synchronous application', () => {
  test('has had everything happen when start() returns', () => {
    for (const body of [() => 'a', () => ['a'], () => new Set(['a']), () => Buffer.from('a')]) {
      expect(recordSync(answer(body)).log).toEqual(['head 200 OK', 'write a', 'end', 'settled']);
    }
    expect(
      recordSync((_environ, startResponse) => {
        startResponse('200 OK', [])('a');
        return null;
      }).log,
    ).toEqual(['head 200 OK', 'write a', 'end', 'settled']);
  });

  test('makes no promise, in no ending', () => {
    let promises = 0;
    const hook = createHook({
      init(_id, type) {
        promises += type === 'PROMISE' ? 1 : 0;
      },
    });
    const runs = [
      new RecordedRun(),
      new RecordedRun(),
      new RecordedRun({ method: 'HEAD' }),
      new RecordedRun(),
      new RecordedRun({ blockAfter: 1 }),
    ] as const;

    hook.enable();
    runs[0].start(answer(() => 'a'));
    runs[1].start(
      answer(function* () {
        yield 'a';
        yield 'b';
      }),
    );
    runs[2].start(answer(() => ['a', 'b']));
    runs[3].start(answer(() => new Watched(['a', new Error('x')]).body(false)));
    runs[4].start(answer(() => ['a', 'b']));
    runs[4].run.resume();
    runs[4].run.resume();
    hook.disable();

    expect(promises).toBe(0);
    expect(runs.map((each) => each.log.at(-1))).toEqual(Array(5).fill('settled'));
  });

  test('touches neither wsgi.input nor wsgi.errors nor makes an AbortController', () => {
    // The recorder's environ throws where they are touched.
    expect(recordSync(answer(() => 'a')).errors).toEqual([]);
  });
});

describe('backpressure:', () => {
  for (const isAsync of [false, true]) {
    const kind = isAsync ? 'asynchronous' : 'synchronous';

    test(`the next chunk of an ${kind} body is not asked for while the peer can take no more`, async () => {
      const watched = new Watched(['a', 'b', 'c']);
      const recorded = new RecordedRun({ blockAfter: 2 }).start(answer(() => watched.body(isAsync)));

      await turns();
      expect(recorded.text).toBe('ab');
      expect(watched.nexts).toBe(2);

      recorded.run.resume();
      await turns();
      expect(recorded.text).toBe('abc');
      expect(watched.nexts).toBe(3);

      recorded.run.resume();
      await recorded.whenSettled;
      expect(recorded.log.slice(-2)).toEqual(['end', 'settled']);
    });

    test(`resume() while an ${kind} body is not waiting asks for nothing twice`, async () => {
      const watched = new Watched(['a', 'b']);
      const recorded = new RecordedRun().start(answer(() => watched.body(isAsync)));

      recorded.run.resume();
      recorded.run.resume();
      await recorded.whenSettled;
      recorded.run.resume();
      await turns();

      expect(watched.nexts).toBe(3);
      expect(recorded.text).toBe('ab');
    });

    test(`an abort while an ${kind} body waits closes it, and nothing more is asked for`, async () => {
      const watched = new Watched(['a', 'b']);
      const recorded = new RecordedRun({ blockAfter: 1 }).start(answer(() => watched.body(isAsync)));

      await turns();
      recorded.run.abort(GONE);
      await recorded.whenSettled;
      recorded.run.resume();
      await turns();

      expect(watched).toMatchObject({ nexts: 1, returns: 1, closes: 1 });
      expect(recorded.log).toEqual(['head 200 OK', 'write a', 'settled']);
    });
  }

  test('a string needs no resume: it ends at once', () => {
    expect(new RecordedRun({ blockAfter: 1 }).start(answer(() => 'a')).log.at(-1)).toBe('settled');
  });

  test('write() does not wait, but the body after it does', () => {
    const watched = new Watched(['c']);
    const recorded = new RecordedRun({ blockAfter: 1 }).start((_environ, startResponse) => {
      const write = startResponse('200 OK', []);
      write('a');
      write('b');
      return watched.body(false);
    });

    expect(recorded.text).toBe('ab');
    expect(watched.nexts).toBe(0);
    recorded.run.resume();
    expect(recorded.text).toBe('abc');
  });
});

describe('close() and return() are called exactly once', () => {
  interface Ending {
    readonly how: string;
    readonly chunks: readonly unknown[];
    readonly method?: string;
    readonly contentLength?: number;
    readonly log: readonly string[];
  }

  const endings: Ending[] = [
    { how: 'at the normal end', chunks: ['a'], log: ['head 200 OK', 'write a', 'end'] },
    { how: 'after no chunk at all', chunks: [], log: ['head 200 OK', 'end'] },
    {
      how: 'after an error before the head',
      chunks: [new Error('x')],
      log: ['head 500 Internal Server Error', 'write 500 Internal Server Error\n', 'end'],
    },
    {
      how: 'after an error behind the head',
      chunks: ['a', new Error('x')],
      log: ['head 200 OK', 'write a', 'truncate'],
    },
    { how: 'after a chunk of a wrong type', chunks: ['a', 1], log: ['head 200 OK', 'write a', 'truncate'] },
    { how: 'after the head of HEAD', method: 'HEAD', chunks: ['a', 'b'], log: ['head 200 OK', 'end'] },
    {
      how: 'after surplus bytes',
      contentLength: 1,
      chunks: ['ab', 'c'],
      log: ['head 200 OK', 'write a', 'end'],
    },
    {
      how: 'after too few bytes',
      contentLength: 2,
      chunks: ['a'],
      log: ['head 200 OK', 'write a', 'truncate'],
    },
  ];

  for (const { how, chunks, method = 'GET', contentLength, log } of endings) {
    for (const isAsync of [false, true]) {
      for (const isPromised of [false, true]) {
        const kind = `${isPromised ? 'promised ' : ''}${isAsync ? 'asynchronous' : 'synchronous'} body`;

        test(`${how}, ${kind}`, async () => {
          const watched = new Watched(chunks);
          const recorded = await record(
            (_environ, startResponse) => {
              startResponse(
                '200 OK',
                contentLength === undefined ? [] : [['Content-Length', String(contentLength)]],
              );
              const body = watched.body(isAsync);
              return isPromised ? Promise.resolve(body) : body;
            },
            { method },
          );

          expect(recorded.log).toEqual([...log, 'settled']);
          expect(watched).toMatchObject({ returns: 1, closes: 1 });
        });
      }
    }
  }

  for (const isAsync of [false, true]) {
    const kind = isAsync ? 'asynchronous' : 'synchronous';

    test(`when the peer goes before the promise of an ${kind} body resolves`, async () => {
      const watched = new Watched(['a']);
      const recorded = new RecordedRun().start(async (_environ, startResponse) => {
        startResponse('200 OK', []);
        await turns();
        return watched.body(isAsync);
      });

      recorded.run.abort(GONE);
      expect(recorded.log).toEqual([]);
      await recorded.whenSettled;

      expect(watched).toMatchObject({ nexts: 0, returns: 1, closes: 1 });
      expect(recorded.log).toEqual(['settled']);
      expect(recorded.errors).toEqual([]);
    });

    test(`when the peer goes while an ${kind} body is at work in next()`, async () => {
      const watched = new Watched(['a', 'b', 'c']);
      const recorded = new RecordedRun({
        onWrite: (run) => {
          run.abort(GONE);
        },
      });
      recorded.start(answer(() => watched.body(isAsync)));
      await recorded.whenSettled;

      expect(watched).toMatchObject({ nexts: 1, returns: 1, closes: 1 });
      expect(recorded.log).toEqual(['head 200 OK', 'write a', 'settled']);
      expect(recorded.errors).toEqual([]);
    });
  }

  test('when the peer goes during a pending next()', async () => {
    const notes: string[] = [];
    const recorded = new RecordedRun().start(
      answer(() => ({
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise(() => undefined),
          return: () => Promise.resolve(notes.push('return')),
        }),
        close: () => notes.push('close'),
      })),
    );

    recorded.run.abort(GONE);
    await recorded.whenSettled;

    expect(notes).toEqual(['return', 'close']);
  });

  test('a generator runs its finally when the peer goes', async () => {
    for (const isAsync of [false, true]) {
      const recorded = new RecordedRun({ blockAfter: 1 });
      recorded.start(
        answer(
          isAsync
            ? async function* () {
                try {
                  yield 'a';
                  await Promise.resolve();
                  yield 'b';
                } finally {
                  recorded.log.push('finally');
                }
              }
            : function* () {
                try {
                  yield 'a';
                  yield 'b';
                } finally {
                  recorded.log.push('finally');
                }
              },
        ),
      );
      await turns();
      recorded.run.abort(GONE);
      await recorded.whenSettled;

      expect(recorded.log).toEqual(['head 200 OK', 'write a', 'finally', 'settled']);
      expect(recorded.errors).toEqual([]);
    }
  });

  test('a generator that writes more than it promised itself runs its finally', () => {
    const recorded = new RecordedRun();
    recorded.start((_environ, startResponse) => {
      const write = startResponse('200 OK', [['Content-Length', '1']]);
      return (function* () {
        try {
          write('ab');
          yield 'c';
        } finally {
          recorded.log.push('finally');
        }
      })();
    });

    expect(recorded.log).toEqual(['head 200 OK', 'write a', 'end', 'finally', 'settled']);
    expect(recorded.codes).toEqual(['ERR_BODY_LENGTH']);
  });

  test('a generator whose own write() finds the peer gone runs its finally', () => {
    const recorded = new RecordedRun({ onWrite: (run) => run.abort(GONE) });
    recorded.start((_environ, startResponse) => {
      const write = startResponse('200 OK', []);
      return (function* () {
        try {
          write('a');
          yield 'b';
        } finally {
          recorded.log.push('finally');
        }
      })();
    });

    expect(recorded.log).toEqual(['head 200 OK', 'write a', 'finally', 'settled']);
    expect(recorded.errors).toEqual([]);
  });

  test('an application that goes on after its response was cut off has its body closed', () => {
    const watched = new Watched(['c']);
    const recorded = recordSync((_environ, startResponse) => {
      startResponse('200 OK', [['Content-Length', '1']])('ab');
      return watched.body(false);
    });

    expect(watched).toMatchObject({ nexts: 0, returns: 1, closes: 1 });
    expect(recorded.log).toEqual(['head 200 OK', 'write a', 'end', 'settled']);
  });

  test('a ReadableStream is cancelled when the peer goes, read or not', async () => {
    for (const wait of [async () => Promise.resolve(), turns]) {
      let cancels = 0;
      const recorded = new RecordedRun().start(async (_environ, startResponse) => {
        startResponse('200 OK', []);
        await wait();
        return new ReadableStream<Uint8Array>({
          cancel: () => {
            cancels++;
          },
        });
      });

      await Promise.resolve();
      recorded.run.abort(GONE);
      await turns();

      expect(cancels).toBe(1);
    }
  });

  test('a Node Readable is destroyed in every ending, and its waiting read holds nothing up', async () => {
    const never = new Readable({ read: () => undefined });
    const recorded = new RecordedRun().start(answer(() => never));

    await turns();
    recorded.run.abort(GONE);
    await recorded.whenSettled;

    expect(never.destroyed).toBe(true);
    expect(recorded.errors).toEqual([]);
  });

  test('a stream that fails after nobody wants it any more does not end the process', async () => {
    const recorded = new RecordedRun().start(async (_environ, startResponse) => {
      startResponse('200 OK', []);
      await Promise.resolve();
      return createReadStream('/nonexistent/file');
    });

    recorded.run.abort(GONE);
    await recorded.whenSettled;
    await new Promise((resolve) => setTimeout(resolve, 50));

    expect(recorded.log).toEqual(['settled']);
  });

  test('return() comes before close(), and both after the last byte', () => {
    const recorded = new RecordedRun();
    recorded.start(
      answer(() => {
        const self = {
          next: () => ({ done: true, value: undefined }),
          return: () => recorded.log.push('return'),
          close: () => recorded.log.push('close'),
          [Symbol.iterator]: () => self,
        };
        return self;
      }),
    );

    expect(recorded.log).toEqual(['head 200 OK', 'end', 'return', 'close', 'settled']);
  });

  test('close() is called with the body as this', () => {
    class Rows extends Array<string> {
      closed = false;
      close(): void {
        this.closed = true;
      }
    }
    const rows = new Rows('a', 'b');
    recordSync(answer(() => rows));

    expect(rows.closed).toBe(true);
  });
});

describe('cleaning up that fails', () => {
  const broken = (what: 'return' | 'close', how: 'throws' | 'rejects' | 'cannot be read'): unknown => {
    const fail = (): never => {
      throw new Error(`${what} ${how}`);
    };
    const method = how === 'rejects' ? async () => Promise.reject(new Error(`${what} ${how}`)) : fail;
    const self = { next: () => ({ done: true, value: undefined }), [Symbol.iterator]: () => self };

    return Object.defineProperty(self, what, how === 'cannot be read' ? { get: fail } : { value: method });
  };

  for (const what of ['return', 'close'] as const) {
    for (const how of ['throws', 'rejects', 'cannot be read'] as const) {
      test(`${what}() that ${how} is logged and changes nothing`, async () => {
        const recorded = await record(answer(() => broken(what, how)));

        expect(recorded.log).toEqual(['head 200 OK', 'end', 'settled']);
        expect(recorded.errors).toEqual([new Error(`${what} ${how}`)]);
      });
    }
  }

  test('a promise of close() or return() is waited for', async () => {
    const recorded = new RecordedRun();
    recorded.start(
      answer(() =>
        Object.assign(['a'], {
          close: async () => {
            await turns();
            recorded.log.push('closed');
          },
        }),
      ),
    );
    await recorded.whenSettled;

    expect(recorded.log.slice(-3)).toEqual(['end', 'closed', 'settled']);
  });
});

describe('Content-Length', () => {
  for (const [how, body] of [
    ['in one chunk', () => 'abcdef'],
    ['over chunks', () => ['ab', 'cd', 'ef']],
    ['in bytes', () => Buffer.from('abcdef')],
  ] as const) {
    test(`cuts surplus bytes and logs them, ${how}`, () => {
      const recorded = recordSync(promising(3, body));

      expect(recorded.text).toBe('abc');
      expect(recorded.log.slice(-2)).toEqual(['end', 'settled']);
      expect(recorded.codes).toEqual(['ERR_BODY_LENGTH']);
    });
  }

  test('is counted in bytes, not in characters', () => {
    expect(recordSync(promising(3, () => '\u20ac')).errors).toEqual([]);
    expect(recordSync(promising(2, () => '\u20ac')).body.toString('hex')).toBe('e282');
    expect(recordSync(promising(3, () => '\ud800')).errors).toEqual([]);
  });

  test('of 0 lets nothing through', () => {
    expect(recordSync(promising(0, () => 'a')).log).toEqual(['head 200 OK', 'end', 'settled']);
    expect(recordSync(promising(0, () => [])).log).toEqual(['head 200 OK', 'end', 'settled']);
  });

  test('stops the application at the first surplus byte', () => {
    const watched = new Watched(['ab', 'c', 'd']);
    recordSync(promising(1, () => watched.body(false)));

    expect(watched.nexts).toBe(1);
  });

  test('counts write() and body together', () => {
    const recorded = recordSync((_environ, startResponse) => {
      startResponse('200 OK', [['Content-Length', '3']])('ab');
      return 'cd';
    });

    expect(recorded.text).toBe('abc');
    expect(recorded.codes).toEqual(['ERR_BODY_LENGTH']);
  });

  test('and fewer bytes than it says truncate the response', async () => {
    expect(recordSync(promising(3, () => 'ab')).log).toEqual([
      'head 200 OK',
      'write ab',
      'truncate',
      'settled',
    ]);
    const later = await record(
      promising(3, async function* () {
        yield 'ab';
        await Promise.resolve();
      }),
    );

    expect(later.log).toContain('truncate');
    expect(later.codes).toEqual(['ERR_BODY_LENGTH']);
  });

  test('and no byte at all is a 500 while the head is not sent', () => {
    for (const body of [() => null, () => '', () => [], () => ['']]) {
      const recorded = recordSync(promising(3, body));

      expect(recorded.head?.status).toBe('500 Internal Server Error');
      expect(recorded.text).toBe('500 Internal Server Error\n');
      expect(recorded.codes).toEqual(['ERR_BODY_LENGTH']);
    }
  });
});

describe('no byte of a body is sent', () => {
  const cases: [string, string, string][] = [
    ['for HEAD', 'HEAD', '200 OK'],
    ['for HEAD with an error status', 'HEAD', '404 Not Found'],
    ['with 204', 'GET', '204 No Content'],
    ['with 304', 'GET', '304 Not Modified'],
  ];

  for (const [how, method, status] of cases) {
    for (const contentLength of [undefined, 0, 2, 1000]) {
      test(`${how}, Content-Length ${String(contentLength)}, whatever the application returns`, async () => {
        for (const body of [
          () => 'ab',
          () => ['a', 'b'],
          () => null,
          () => Buffer.from('ab'),
          async function* () {
            yield await Promise.resolve('ab');
          },
        ]) {
          const recorded = await record(
            (_environ, startResponse) => {
              const write = startResponse(
                status,
                contentLength === undefined ? [] : [['Content-Length', String(contentLength)]],
              );
              write('x');
              return body();
            },
            { method },
          );

          expect(recorded.log).toEqual([`head ${status}`, 'end', 'settled']);
          expect(recorded.errors).toEqual([]);
        }
      });
    }
  }

  test('for HEAD, but Content-Length is kept', () => {
    const recorded = recordSync(
      promising(5, () => null),
      { method: 'HEAD' },
    );

    expect(recorded.head?.fieldLines).toBe('Content-Length: 5\r\n');
    expect(recorded.errors).toEqual([]);
  });

  test('with 204, and Content-Length is dropped', () => {
    expect(recordSync(promising(5, () => 'abcde', '204 No Content')).head?.fieldLines).toBe('');
  });

  test('of the 500 that answers a HEAD', () => {
    const recorded = recordSync(
      () => {
        throw new Error('x');
      },
      { method: 'HEAD' },
    );

    expect(recorded.log).toEqual(['head 500 Internal Server Error', 'end', 'settled']);
    expect(recorded.head?.fieldLines).toContain('Content-Length: 26');
  });

  test('though a middleware changes REQUEST_METHOD in the environ', () => {
    const recorded = recordSync(
      (environ, startResponse) => {
        environ.REQUEST_METHOD = 'GET';
        startResponse('200 OK', []);
        return 'a';
      },
      { method: 'HEAD' },
    );

    expect(recorded.text).toBe('');
  });
});

describe('a failure', () => {
  const error = new Error('the reason');

  test.each<[string, Application]>([
    [
      'thrown by the application',
      () => {
        throw error;
      },
    ],
    ['rejected by the application', async () => Promise.reject(error)],
    [
      'thrown by the first next()',
      (_environ, startResponse) => {
        startResponse('200 OK', []);
        return new Watched([error]).body(false);
      },
    ],
    [
      'thrown by the first next() of an asynchronous body',
      (_environ, startResponse) => {
        startResponse('200 OK', []);
        return new Watched([error]).body(true);
      },
    ],
    [
      'rejected by the first next()',
      async function* () {
        await Promise.resolve();
        throw error;
      },
    ],
    [
      'of a thenable',
      () =>
        ({
          then(_resolve: unknown, reject: (reason: unknown) => void) {
            reject(error);
          },
        }) as unknown as Promise<Body>,
    ],
    [
      'of reading what was returned',
      () =>
        ({
          get then() {
            throw error;
          },
        }) as unknown as Body,
    ],
    [
      'of a Node Readable',
      (_environ, startResponse) => {
        startResponse('200 OK', []);
        return new Readable({
          read() {
            this.destroy(error);
          },
        });
      },
    ],
  ])('%s before the head is a plain 500, told to the log only', async (_how, application) => {
    const recorded = await record(application);

    expect(recorded.log).toEqual([
      'head 500 Internal Server Error',
      'write 500 Internal Server Error\n',
      'end',
      'settled',
    ]);
    expect(recorded.head?.fieldLines).not.toContain('reason');
    expect(recorded.errors).toEqual([error]);
  });

  test('replaces the headers the application had begun', () => {
    const recorded = recordSync((_environ, startResponse) => {
      startResponse('200 OK', [['Set-Cookie', 'secret=1']]);
      throw error;
    });

    expect(recorded.head?.fieldLines).not.toContain('Set-Cookie');
  });

  test('shows a page in development mode', () => {
    const recorded = recordSync(
      () => {
        throw new Error('<b>');
      },
      { development: true },
    );

    expect(recorded.text).toContain('&#60;b&#62;');
    expect(recorded.head?.fieldLines).toContain('text/html');
  });

  test('after the head truncates: no end, no more bytes', async () => {
    const sync = recordSync(
      answer(function* () {
        yield 'a';
        throw error;
      }),
    );
    const later = await record(
      answer(async function* () {
        yield 'a';
        await Promise.resolve();
        throw error;
      }),
    );
    const writing = await record(async (_environ, startResponse) => {
      startResponse('200 OK', [])('a');
      await Promise.resolve();
      throw error;
    });

    for (const recorded of [sync, later, writing]) {
      expect(recorded.log).toEqual(['head 200 OK', 'write a', 'truncate', 'settled']);
      expect(recorded.errors).toEqual([error]);
    }
  });

  test('of the application after its response was cut off is logged, not sent', async () => {
    const recorded = await record((_environ, startResponse) => {
      startResponse('200 OK', [['Content-Length', '1']])('ab');
      throw error;
    });

    expect(recorded.log).toEqual(['head 200 OK', 'write a', 'end', 'settled']);
    expect(recorded.errors).toHaveLength(2);
  });

  test('of the application after an abort is its way to give up, and not logged', async () => {
    const recorded = new RecordedRun().start(async () => {
      await turns();
      throw error;
    });
    recorded.run.abort(GONE);
    await recorded.whenSettled;

    expect(recorded.errors).toEqual([]);
    expect(recorded.log).toEqual(['settled']);
  });

  test('of the log itself does not keep the client waiting', () => {
    const recorded = new RecordedRun();
    recorded.onError = () => {
      throw new Error('disk full');
    };
    recorded.start(() => {
      throw error;
    });

    expect(recorded.log.slice(-2)).toEqual(['end', 'settled']);
  });

  test('of the writer is logged, and everything is let go', () => {
    const watched = new Watched(['a', 'b']);
    const recorded = new RecordedRun();
    recorded.write = () => {
      throw error;
    };
    recorded.start(answer(() => watched.body(false)));

    expect(recorded.log).toEqual(['head 200 OK', 'truncate', 'settled']);
    expect(recorded.errors).toEqual([error]);
    expect(watched).toMatchObject({ returns: 1, closes: 1 });
  });

  test('of the writer at the end is logged, and everything is let go', () => {
    const watched = new Watched(['a']);
    const recorded = new RecordedRun();
    recorded.end = () => {
      throw error;
    };
    recorded.start(answer(() => watched.body(false)));

    expect(recorded.log.at(-1)).toBe('settled');
    expect(recorded.errors).toEqual([error]);
    expect(watched).toMatchObject({ returns: 1, closes: 1 });
  });
});

describe('refuse()', () => {
  test('answers without the application, by the funnel', () => {
    const recorded = new RecordedRun();
    recorded.run.refuse(new PeerError('ERR_OVERLOADED', 'x'), 'GET');

    expect(recorded.log).toEqual([
      'head 503 Service Unavailable',
      'write 503 Service Unavailable\n',
      'end',
      'settled',
    ]);
    expect(recorded.codes).toEqual(['ERR_OVERLOADED']);
  });

  test('answers a HEAD without a body', () => {
    const recorded = new RecordedRun();
    recorded.run.refuse(new PeerError('ERR_PATH', 'x'), 'HEAD');

    expect(recorded.log).toEqual(['head 400 Bad Request', 'end', 'settled']);
  });
});

describe('write()', () => {
  function writeOf(recorded: RecordedRun, body: (write: Write) => Body | Promise<Body>): void {
    recorded.start((_environ, startResponse) => body(startResponse('200 OK', [])));
  }

  test('after the end is ERR_RESPONSE_ENDED', () => {
    let late: Write = () => undefined;
    const recorded = new RecordedRun();
    writeOf(recorded, (write) => {
      late = write;
      return 'a';
    });

    expect(() => late('b')).toThrow(expect.objectContaining({ code: 'ERR_RESPONSE_ENDED' }));
    expect(recorded.text).toBe('a');
  });

  test('after an abort throws the reason', async () => {
    const recorded = new RecordedRun();
    let late: Write = () => undefined;
    writeOf(recorded, async (write) => {
      late = write;
      await turns();
      return null;
    });
    recorded.run.abort(GONE);

    expect(() => late('b')).toThrow(GONE);
    await recorded.whenSettled;
    expect(recorded.text).toBe('');
  });

  test('of something else throws to the caller and sends nothing', () => {
    const recorded = new RecordedRun();
    writeOf(recorded, (write) => {
      expect(() => write(1 as unknown as string)).toThrow(
        expect.objectContaining({ code: 'ERR_CHUNK_TYPE' }),
      );
      return 'a';
    });

    expect(recorded.log).toEqual(['head 200 OK', 'write a', 'end', 'settled']);
  });

  test('passes chunks on while the application still works', async () => {
    const recorded = new RecordedRun();
    writeOf(recorded, async (write) => {
      write('a');
      await turns();
      write('b');
      return ['c'];
    });

    expect(recorded.log).toEqual(['head 200 OK', 'write a']);
    await recorded.whenSettled;
    expect(recorded.text).toBe('abc');
  });
});

describe('startResponse', () => {
  test('twice is a 500, even if the first one threw', () => {
    const twice: Application = (_environ, startResponse) => {
      startResponse('200 OK', []);
      startResponse('200 OK', []);
      return 'a';
    };
    const afterThrow: Application = (_environ, startResponse: StartResponse) => {
      try {
        startResponse('bad', []);
      } catch {
        startResponse('200 OK', []);
      }
      return 'a';
    };

    for (const application of [twice, afterThrow]) {
      const recorded = recordSync(application);
      expect(recorded.head?.status).toBe('500 Internal Server Error');
      expect(recorded.codes).toEqual(['ERR_START_RESPONSE_TWICE']);
    }
  });

  test('that throws and is swallowed leaves no response: 500', () => {
    const recorded = recordSync((_environ, startResponse) => {
      try {
        startResponse('200 OK', [['X', 'a\nb']]);
      } catch {
        return 'a';
      }
      return 'b';
    });

    expect(recorded.codes).toEqual(['ERR_NO_RESPONSE']);
  });
});

describe('postern.signal', () => {
  test('is aborted with the reason when the peer goes, whenever it is touched', async () => {
    const recorded = new RecordedRun();
    const seen: unknown[] = [];
    recorded.start(async (environ, startResponse) => {
      environ['postern.signal'].addEventListener('abort', () => seen.push('event'));
      startResponse('200 OK', []);
      await turns();
      return null;
    });
    recorded.run.abort(GONE);

    expect(seen).toEqual(['event']);
    expect(recorded.environ['postern.signal'].reason).toBe(GONE);
    await recorded.whenSettled;

    const untouched = new RecordedRun();
    untouched.run.abort(GONE);
    expect(untouched.environ['postern.signal'].aborted).toBe(true);
  });

  test('is not aborted by a response that ended well', () => {
    const recorded = recordSync(answer(() => 'a'));
    recorded.run.abort(GONE);

    expect(recorded.environ['postern.signal'].aborted).toBe(false);
    expect(recorded.log.filter((line) => line === 'settled')).toHaveLength(1);
  });
});

describe('postern.after_response', () => {
  function withTasks(
    recorded: RecordedRun,
    tasks: readonly (() => unknown)[],
    body: () => unknown = () => 'a',
  ): RecordedRun {
    return recorded.start((environ, startResponse) => {
      tasks.forEach((task) => environ['postern.after_response'](task));
      startResponse('200 OK', []);
      return body() as Body;
    });
  }

  test('runs its tasks in order, after the response is complete and the body closed', () => {
    const recorded = new RecordedRun();
    withTasks(recorded, [() => recorded.log.push('first'), () => recorded.log.push('second')], () =>
      Object.assign(['a'], { close: () => recorded.log.push('close') }),
    );

    expect(recorded.log).toEqual(['head 200 OK', 'write a', 'end', 'close', 'first', 'second', 'settled']);
  });

  test('waits for promises; errors are logged and stop nothing', async () => {
    const recorded = new RecordedRun();
    withTasks(recorded, [
      () => {
        throw new Error('sync');
      },
      async () => {
        await turns();
        throw new Error('later');
      },
      async () => {
        await turns();
        recorded.log.push('done');
      },
    ]);
    await recorded.whenSettled;

    expect(recorded.log.slice(-3)).toEqual(['end', 'done', 'settled']);
    expect(recorded.errors).toEqual([new Error('sync'), new Error('later')]);
  });

  test('runs its tasks after every ending', async () => {
    const task = (recorded: RecordedRun) => (): unknown => recorded.log.push('task');
    const failed = new RecordedRun();
    withTasks(failed, [task(failed)], () => {
      throw new Error('x');
    });
    const truncated = new RecordedRun();
    withTasks(truncated, [task(truncated)], () => new Watched(['a', new Error('x')]).body(false));
    const aborted = new RecordedRun();
    withTasks(aborted, [task(aborted)], () => new Promise(() => undefined));
    aborted.run.abort(GONE);
    await turns();

    expect(failed.log.slice(-3)).toEqual(['end', 'task', 'settled']);
    expect(truncated.log.slice(-3)).toEqual(['truncate', 'task', 'settled']);
    expect(aborted.log).toEqual(['task']);
  });

  test('registered by a task, or after the end, runs at once', async () => {
    const recorded = new RecordedRun();
    const register = recorded.environ['postern.after_response'];
    withTasks(recorded, [
      () => {
        recorded.log.push('outer');
        register(async () => {
          await turns();
          recorded.log.push('inner');
        });
      },
    ]);
    await recorded.whenSettled;
    register(() => recorded.log.push('late'));

    expect(recorded.log.slice(-4)).toEqual(['outer', 'inner', 'settled', 'late']);
  });
});

describe('onSettled', () => {
  test('is called once in every ending, and abort() after it is nothing', async () => {
    const applications: Application[] = [
      answer(() => 'a'),
      answer(() => ['a', 1]),
      answer(async () => Promise.resolve(['a'])),
      answer(async function* () {
        yield await Promise.resolve('a');
      }),
      () => {
        throw new Error('x');
      },
      async () => Promise.reject(new Error('x')),
      promising(9, () => 'a'),
      promising(0, () => 'a'),
    ];

    for (const application of applications) {
      for (const method of ['GET', 'HEAD']) {
        const recorded = await record(application, { method });
        recorded.run.abort(GONE);
        recorded.run.resume();
        await turns();

        expect(recorded.log.filter((line) => line === 'settled')).toHaveLength(1);
        expect(recorded.log.at(-1)).toBe('settled');
      }
    }
  });

  test('waits for an application that was aborted', async () => {
    const recorded = new RecordedRun().start(async () => {
      await turns();
      recorded.log.push('application is done');
      return null;
    });
    recorded.run.abort(GONE);
    recorded.run.abort(GONE);
    await recorded.whenSettled;

    expect(recorded.log).toEqual(['application is done', 'settled']);
  });
});

test('100,000 chunks need no stack and no promise each', () => {
  const recorded = new RecordedRun();
  let bytes = 0;
  recorded.write = () => {
    bytes++;
    return true;
  };
  recorded.start(
    answer(function* () {
      for (let index = 0; index < 100_000; index++) {
        yield 'a';
      }
    }),
  );

  expect(bytes).toBe(100_000);
  expect(recorded.log.at(-1)).toBe('settled');
});
