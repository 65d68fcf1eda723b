/** Requests and connections that end in another way than with an answer, and those that end slowly. */
import { Socket } from 'node:net';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { ConnectionDriver } from '../../../../adapters/fastcgi/connection-driver';
import type { Application, Body, Environ } from '../../../../src/index';
import {
  abortRequest,
  beginRequest,
  params,
  record,
  RecordType,
  request,
  responseOf,
  stdin,
} from '../../../support/records';
import type { RawClient } from '../../../support/raw-client';
import { Gate, pairsOf, settled, withServer, type RunningServer } from './running-server';

const { END_REQUEST, STDIN, STDOUT } = RecordType;

/** Enough for every time-out of a connection; the time is not real. */
const LONG_MS = 600_000;

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', []);
  return 'hello\n';
};

/** Lets time-outs be passed over by hand; everything else keeps real time. */
function holdTimers(): void {
  jest.useFakeTimers({
    doNotFake: [
      'Date',
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
    ],
  });
}

afterEach(() => {
  jest.useRealTimers();
});

/** An application that begins a response and then waits until it is told to give up. */
class Patient {
  readonly began = new Gate();
  readonly aborted = new Gate<unknown>();
  readonly settled = new Gate();
  returns = 0;
  closes = 0;

  readonly application: Application = (environ, startResponse): Body => {
    const signal = environ['postern.signal'];
    let step = 0;

    startResponse('200 OK', []);
    signal.addEventListener('abort', () => {
      this.aborted.open(signal.reason);
    });
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (step++ === 0) {
            return { value: 'beginning', done: false };
          }
          this.began.open();
          await this.aborted.passed;
          this.settled.open();
          return { value: undefined, done: true };
        },
        return: async () => {
          this.returns++;
          return Promise.resolve({ value: undefined, done: true });
        },
      }),
      close: () => {
        this.closes++;
      },
    } as Body; // close() is PEP 3333's, and no part of the type
  };
}

describe('the peer gives up', () => {
  const ways: [string, (client: RawClient) => void][] = [
    ['half-closes (nginx 1.22.1)', (client) => client.end()],
    ['closes', (client) => client.socket.destroy()],
    ['resets', (client) => client.reset()],
    ['sends ABORT_REQUEST (HAProxy 2.6.12)', (client) => void client.write(abortRequest(1))],
  ];

  test.each(ways)('and %s: the signal is aborted, return() and close() run once', async (_how, giveUp) => {
    const patient = new Patient();

    await withServer(patient.application, async ({ connect, server }) => {
      const client = await connect('tcp');

      await client.write(request(pairsOf(), '', { keepConn: true }));
      await patient.began.passed;
      giveUp(client);
      expect(await patient.aborted.passed).toMatchObject({ name: 'PeerError', code: 'ERR_PEER_GONE' });
      await patient.settled.passed;
      await settled(() => server.activeRequests);
      expect([patient.returns, patient.closes, server.activeRequests]).toEqual([1, 1, 0]);
    });
  });

  test('with ABORT_REQUEST: END_REQUEST is the answer, and the connection goes on', async () => {
    const patient = new Patient();
    const application: Application = (environ, startResponse) =>
      environ.PATH_INFO === '/' ? patient.application(environ, startResponse) : hello(environ, startResponse);

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      await client.write(request(pairsOf(), '', { keepConn: true }));
      await patient.began.passed;
      await client.write(abortRequest(1));
      await expect(client.waitForEnd(1)).resolves.toMatchObject({ appStatus: 1, protocolStatus: 0 });

      const next = await client.request(pairsOf({ PATH_INFO: '/next' }), '', { keepConn: true });

      expect(next.stdout.toString()).toContain('hello');
    });
  });

  test('in the middle of its PARAMS: nobody is called, nothing is left', async () => {
    await withServer(hello, async ({ connect, server, log }) => {
      const client = await connect();

      await client.write(Buffer.concat([beginRequest(1), params(1, pairsOf(), { end: false })]));
      client.end();
      await client.waitForClose();
      expect([server.activeRequests, log]).toEqual([0, []]);
    });
  });

  test('all requests of the connection are told', async () => {
    const reasons: unknown[] = [];
    const all = new Gate();
    const application: Application = async (environ) =>
      new Promise((_resolve, reject) => {
        environ['postern.signal'].addEventListener('abort', () => {
          reasons.push(environ['postern.signal'].reason);
          reject(new Error('gave up'));
          if (reasons.length === 3) {
            all.open();
          }
        });
      });

    await withServer(application, async ({ connect, server, log }) => {
      const client = await connect();

      for (const id of [1, 2, 3]) {
        await client.write(request(pairsOf(), '', { id, keepConn: true }));
      }
      await settled(() => server.activeRequests);
      expect(server.activeRequests).toBe(3);
      client.end();
      await all.passed;
      expect(await settled(() => server.activeRequests)).toBe(0);
      // An application that gives up by throwing is no error.
      expect(log).toEqual([]);
    });
  });

  test('while the body is read: the reader gets the reason', async () => {
    const failed = new Gate<unknown>();
    const application: Application = async (environ, startResponse) => {
      try {
        for await (const chunk of environ['wsgi.input']) {
          expect(chunk).toBeDefined();
        }
      } catch (error) {
        failed.open(error);
      }
      return hello(environ, startResponse);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([
          beginRequest(1),
          params(1, pairsOf({ CONTENT_LENGTH: '10' })),
          record(STDIN, 1, 'half'),
        ]),
      );
      client.end();
      expect(await failed.passed).toMatchObject({ code: 'ERR_PEER_GONE' });
    });
  });

  test.each([
    ['all of it has arrived', 'x'.repeat(200_000)],
    ['none of it has arrived', ''],
  ])('before the body is touched, and %s: the late reader does not wait for ever', async (_what, body) => {
    const called = new Gate();
    const aborted = new Gate();
    const outcome = new Gate<string>();
    const application: Application = async (environ: Environ, startResponse) => {
      environ['postern.signal'].addEventListener('abort', () => {
        aborted.open();
      });
      called.open();
      await aborted.passed;
      try {
        for await (const chunk of environ['wsgi.input']) {
          expect(chunk).toBeDefined();
        }
        outcome.open('the end');
      } catch {
        outcome.open('an error');
      }
      return hello(environ, startResponse);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();
      const bytes = [beginRequest(1), params(1, pairsOf({ CONTENT_LENGTH: '200000' }))];

      await client.write(Buffer.concat(body === '' ? bytes : [...bytes, stdin(1, body)]));
      await called.passed;
      client.end();
      expect(await outcome.passed).toBe('an error');
    });
  });

  test('an application that never notices does not hold the count of active requests', async () => {
    const application: Application = async () => new Promise(() => undefined);

    await withServer(
      application,
      async ({ connect, server }) => {
        for (let round = 0; round < 5; round++) {
          const client = await connect();

          await client.write(request(pairsOf()));
          await settled(() => server.activeRequests);
          expect(server.activeRequests).toBe(1);
          await client.destroy();
          expect(await settled(() => server.activeRequests)).toBe(0);
        }
      },
      { maxConcurrent: 1 },
    );
  });
});

describe('a response that cannot be completed', () => {
  const broken: Application = function* (_environ, startResponse) {
    startResponse('200 OK', []);
    yield 'beginning';
    throw new Error('broken');
  };

  test('has no END_REQUEST, though KEEP_CONN is set, and the connection is closed', async () => {
    await withServer(broken, async ({ connect, log }) => {
      const client = await connect();

      await client.write(request(pairsOf(), '', { keepConn: true }));
      await client.waitForClose();
      expect(client.records.map(({ type }) => type)).toEqual([STDOUT, STDOUT]);
      expect(log.join('')).toContain('broken');
    });
  });

  test('ends for nginx with a record that it refuses, for it takes the close for an end', async () => {
    await withServer(broken, async ({ connect }) => {
      const client = await connect();

      await client.write(request(pairsOf({ SERVER_SOFTWARE: 'nginx/1.22.1' }), '', { keepConn: true }));
      await client.waitForClose();
      expect(client.records.map(({ version }) => version)).toEqual([1, 1, 0]);
      expect(client.records.some(({ type }) => type === END_REQUEST)).toBe(false);
    });
  });

  test('is closed for lighttpd only when it must have read what came before', async () => {
    await withServer(broken, async ({ connect }) => {
      const client = await connect();

      await client.write(request(pairsOf({ SERVER_SOFTWARE: 'lighttpd/1.4.69' })));
      await client.waitForRecord(({ type }) => type === STDOUT);

      const arrivedAt = performance.now();

      await client.waitForClose();
      expect(performance.now() - arrivedAt).toBeGreaterThan(50);
      expect(client.records.some(({ type }) => type === END_REQUEST)).toBe(false);
    });
  });

  test('lets the other requests on the connection end, then closes it', async () => {
    const gate = new Gate();
    const application: Application = async (environ, startResponse) => {
      if (environ.PATH_INFO === '/broken') {
        return broken(environ, startResponse);
      }
      await gate.passed;
      return hello(environ, startResponse);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      await client.write(request(pairsOf(), '', { id: 1, keepConn: true }));
      await client.write(request(pairsOf({ PATH_INFO: '/broken' }), '', { id: 3, keepConn: true }));
      await client.waitForRecord(({ requestId }) => requestId === 3);
      gate.open();
      expect((await client.waitForEnd(1)).stdout.toString()).toContain('hello');
      await client.waitForClose();
      expect(responseOf(client.records, 3).ended).toBe(false);
    });
  });

  test('does not wait for the others for ever, even if more and more of them break', async () => {
    const application: Application = async (environ, startResponse) =>
      environ.PATH_INFO === '/broken' ? broken(environ, startResponse) : new Promise(() => undefined);

    holdTimers();
    await withServer(application, async ({ connect, server }) => {
      const client = await connect();
      const breakOne = async (id: number): Promise<void> => {
        await client.write(request(pairsOf({ PATH_INFO: '/broken' }), '', { id, keepConn: true }));
        await settled(() => client.receivedBytes);
      };

      await client.write(request(pairsOf(), '', { id: 1, keepConn: true }));
      for (let id = 3; id < 20 && !client.readEnded; id += 2) {
        await breakOne(id);
        jest.advanceTimersByTime(20_000);
        await settled(() => server.activeRequests);
      }
      expect(client.readEnded).toBe(true);
      expect(server.activeRequests).toBe(0);
    });
  });
});

describe('a peer that breaks the protocol', () => {
  const BAD = Buffer.from('0001000100080000', 'hex');

  test.each([
    ['in one write', true],
    ['in two', false],
  ])('gets the answers to what came before it, %s, and then the end', async (_how, together) => {
    await withServer(hello, async ({ connect, log }) => {
      const client = await connect();
      const good = request(pairsOf(), '', { keepConn: true });

      if (together) {
        await client.write(Buffer.concat([good, BAD]));
      } else {
        await client.write(good);
        await client.waitForEnd(1);
        await client.write(BAD);
      }
      await client.waitForClose();
      expect(responseOf(client.records, 1).ended).toBe(true);
      expect(log.join('')).toContain('[ERR_FCGI_VERSION]');
    });
  });

  test('aborts its open requests, and harms no other connection', async () => {
    const patient = new Patient();
    const application: Application = (environ, startResponse) =>
      environ.PATH_INFO === '/' ? patient.application(environ, startResponse) : hello(environ, startResponse);

    await withServer(application, async ({ connect, server }) => {
      const [bad, good] = [await connect(), await connect()];

      await bad.write(request(pairsOf(), '', { keepConn: true }));
      await patient.began.passed;
      await bad.write(beginRequest(1));
      expect(await patient.aborted.passed).toMatchObject({ code: 'ERR_PEER_GONE' });
      expect((await good.request(pairsOf({ PATH_INFO: '/good' }))).ended).toBe(true);
      await bad.waitForClose();
      expect(server.activeRequests).toBe(0);
    });
  });

  test('an error of the application’s own listener is not taken for the peer’s', async () => {
    const application: Application = (environ, startResponse) => {
      environ['wsgi.input'].on('data', () => {
        startResponse('200 OK\n', []); // ERR_STATUS, a GatewayError like that of the protocol
      });
      return new Promise(() => undefined);
    };

    await withServer(application, async ({ server, log }) => {
      // Its data come from here, so that the error comes out here and not as an uncaught exception.
      const socket = new Socket();
      const driver = new ConnectionDriver(socket, server);

      socket.emit('data', Buffer.concat([beginRequest(1), params(1, pairsOf())]));
      await settled(() => server.activeRequests);
      expect(() => socket.emit('data', record(STDIN, 1, 'abc'))).toThrow(
        expect.objectContaining({ code: 'ERR_STATUS' }),
      );
      // Where the reading stopped is not known, so that the connection cannot go on.
      await settled(() => server.activeRequests);
      expect([socket.destroyed, server.activeRequests, log]).toEqual([true, 0, []]);
      driver.destroy();
    });
  });
});

describe('the end of a connection', () => {
  const SIZE = 8 * 1024 * 1024;

  const large: Application = (_environ, startResponse) => {
    startResponse('200 OK', []);
    return Buffer.alloc(SIZE, 'x');
  };

  test('waits for a reader who is slow: no time-out cuts an answer off', async () => {
    holdTimers();
    await withServer(large, async ({ connect }) => {
      const client = await connect();

      client.pause();
      await client.write(request(pairsOf()));
      await settled(() => client.receivedBytes);
      jest.advanceTimersByTime(LONG_MS);
      client.resume();
      expect((await client.waitForEnd(1)).stdout).toHaveLength(SIZE + 'Status: 200 OK\r\n\r\n'.length);
    });
  });

  test('does not wait for a peer who has everything and does not close', async () => {
    holdTimers();
    await withServer(hello, async ({ connect, server }) => {
      const client = await connect();

      await client.request(pairsOf());
      await settled(() => client.receivedBytes);
      jest.advanceTimersByTime(LONG_MS);
      // Without the connection there is nothing to wait for.
      await server.close({ graceMs: LONG_MS });
    });
  });
});

describe('a graceful stop', () => {
  function stop({ server }: RunningServer): { done: () => boolean; stopped: Promise<void> } {
    let isDone = false;
    const stopped = server.close({ graceMs: LONG_MS }).then(() => {
      isDone = true;
    });

    return { done: () => isDone, stopped };
  }

  test('waits for open requests and for what they do after the response', async () => {
    const [answer, task] = [new Gate(), new Gate()];
    const application: Application = async (environ, startResponse) => {
      environ['postern.after_response'](() => task.passed);
      await answer.passed;
      return hello(environ, startResponse);
    };

    await withServer(application, async (running) => {
      const client = await running.connect();
      const response = client.request(pairsOf(), '', { keepConn: true });

      await settled(() => running.server.activeRequests);

      const { done, stopped } = stop(running);

      await settled(() => 0);
      expect(done()).toBe(false);
      answer.open();
      expect((await response).ended).toBe(true);
      await client.waitForClose();
      await settled(() => 0);
      expect(done()).toBe(false);
      task.open();
      await stopped;
    });
  });

  test('closes idle connections at once, and takes no new ones', async () => {
    await withServer(hello, async (running) => {
      const client = await running.connect();

      await client.request(pairsOf(), '', { keepConn: true });

      const { stopped } = stop(running);

      await client.waitForClose();
      await stopped;
      await expect(running.connect()).rejects.toMatchObject({ code: 'ENOENT' });
    });
  });

  test('cuts what is still open when its time is over, even an application that never ends', async () => {
    const application: Application = async () => new Promise(() => undefined);

    await withServer(application, async ({ connect, server }) => {
      const client = await connect();

      await client.write(request(pairsOf()));
      await settled(() => server.activeRequests);
      await server.close({ graceMs: 0 });
      await client.waitForClose();
      expect(server.activeRequests).toBe(0);
    });
  });

  test('may be asked for twice', async () => {
    const gate = new Gate();
    const application: Application = async (environ, startResponse) => {
      environ['postern.after_response'](() => gate.passed);
      return Promise.resolve(hello(environ, startResponse));
    };

    await withServer(application, async (running) => {
      const client = await running.connect();

      await client.request(pairsOf());
      await client.waitForClose();

      const [first, second] = [stop(running), stop(running)];

      await settled(() => 0);
      expect([first.done(), second.done()]).toEqual([false, false]);
      gate.open();
      await Promise.all([first.stopped, second.stopped]);
    });
  });

  test('is not confused by requests that a cut left behind', async () => {
    const [late, task] = [new Gate(), new Gate()];
    const application: Application = async (environ, startResponse) => {
      if (environ.PATH_INFO === '/late') {
        await late.passed;
      } else {
        environ['postern.after_response'](() => task.passed);
      }
      return hello(environ, startResponse);
    };

    await withServer(application, async (running) => {
      const cut = await running.connect();

      await cut.write(request(pairsOf({ PATH_INFO: '/late' })));
      await settled(() => running.server.activeRequests);
      running.server.destroy();
      await cut.waitForClose();
      late.open();
      await settled(() => 0);

      const client = await running.connect();

      await client.request(pairsOf());
      await client.waitForClose();

      const { done, stopped } = stop(running);

      await settled(() => 0);
      expect(done()).toBe(false);
      task.open();
      await stopped;
    });
  });
});
