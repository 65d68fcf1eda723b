import { Socket } from 'node:net';
import { describe, expect, jest, test } from '@jest/globals';
import type { Application, Environ } from '../../../../src/index';
import {
  beginRequest,
  data,
  KEEP_CONN,
  params,
  record,
  RecordType,
  request,
  responseOf,
  Role,
  stdin,
} from '../../../support/records';
import { Gate, pairsOf, withServer } from './running-server';

const { STDOUT, STDERR, STDIN, PARAMS, END_REQUEST } = RecordType;

const CHANNELS = ['unix', 'tcp'] as const;

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return 'hello\n';
};

/** Answers with what it read. */
const echo: Application = async (environ, startResponse) => {
  const chunks: Buffer[] = [];

  for await (const chunk of environ['wsgi.input']) {
    chunks.push(chunk as Buffer); // bytes: nobody sets an encoding
  }
  startResponse('200 OK', []);
  return Buffer.concat(chunks);
};

function headOf(stdout: Buffer): string {
  return stdout.toString('latin1').split('\r\n\r\n')[0] ?? '';
}

function bodyOf(stdout: Buffer): string {
  return stdout.subarray(stdout.indexOf('\r\n\r\n') + 4).toString('latin1');
}

describe('a small response', () => {
  const answers: [string, Application][] = [
    ['a string', hello],
    [
      'a string, from a promise',
      async (environ, startResponse) => Promise.resolve(hello(environ, startResponse)),
    ],
    [
      'a generator',
      function* (_environ, startResponse) {
        startResponse('200 OK', []);
        yield 'hel';
        yield 'lo\n';
      },
    ],
    [
      'an asynchronous generator',
      async function* (_environ, startResponse) {
        startResponse('200 OK', []);
        yield 'hel';
        yield await Promise.resolve('lo\n');
      },
    ],
    [
      'write()',
      (_environ, startResponse) => {
        const write = startResponse('200 OK', []);
        write('hel');
        write('lo\n');
        return null;
      },
    ],
  ];

  test.each(answers)('is one write: %s', async (_what, application) => {
    await withServer(application, async ({ connect }) => {
      const client = await connect();
      const write = jest.spyOn(Socket.prototype, 'write');

      try {
        const response = await client.request(pairsOf(), '', { keepConn: true });
        const writes = write.mock.contexts.filter((socket) => socket !== client.socket);

        expect(bodyOf(response.stdout)).toBe('hello\n');
        expect(writes).toHaveLength(1);
      } finally {
        write.mockRestore();
      }
    });
  });

  test('§3.3: head and body are a STDOUT record each, for nginx’s sake; then comes the end of the stream, then END_REQUEST', async () => {
    await withServer(hello, async ({ connect }) => {
      const client = await connect();

      await client.request(pairsOf());
      expect(
        client.records.map(({ type, content, padding }) => [type, content.toString('latin1'), padding]),
      ).toEqual([
        [STDOUT, 'Content-Type: text/plain\r\nStatus: 200 OK\r\n\r\n', 0],
        [STDOUT, 'hello\n', 0],
        [STDOUT, '', 0],
        [END_REQUEST, '\0'.repeat(8), 0],
      ]);
    });
  });
});

describe('§3.5 KEEP_CONN', () => {
  test.each(CHANNELS)('not set: the connection is closed after the answer (%s)', async (channel) => {
    await withServer(hello, async ({ connect }) => {
      const client = await connect(channel);

      await client.request(pairsOf());
      await expect(client.waitForClose()).resolves.toEqual({ errorCode: undefined });
    });
  });

  test.each(CHANNELS)('set: the next request is answered on the same connection (%s)', async (channel) => {
    await withServer(echo, async ({ connect }) => {
      const client = await connect(channel);

      for (const text of ['one', 'two', 'three']) {
        const response = await client.request(pairsOf(), text, { keepConn: true });
        expect(bodyOf(response.stdout)).toBe(text);
      }
      expect(client.readEnded).toBe(false);
    });
  });

  test('set on some: the connection is closed when all that is open is answered', async () => {
    const gate = new Gate();
    const application: Application = async (environ, startResponse) => {
      if (environ.PATH_INFO === '/slow') {
        await gate.passed;
      }
      return hello(environ, startResponse);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();
      const slow = client.request(pairsOf({ PATH_INFO: '/slow' }), '', { id: 1, keepConn: true });

      await client.request(pairsOf(), '', { id: 2, keepConn: false });
      expect(client.readEnded).toBe(false);
      gate.open();
      expect((await slow).ended).toBe(true);
      await client.waitForClose();
    });
  });

  test('not set on the first of two requests in one write: both are answered, then it is closed', async () => {
    await withServer(hello, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([request(pairsOf(), '', { id: 1 }), request(pairsOf(), '', { id: 2 })]),
      );
      await client.waitForClose();
      expect(responseOf(client.records, 1).ended).toBe(true);
      expect(responseOf(client.records, 2).ended).toBe(true);
    });
  });
});

test('§3.3: slow and quick requests on one connection are answered as they are ready', async () => {
  const gates = new Map(['1', '3', '5', '7'].map((id) => [id, new Gate()]));
  const application: Application = async (environ, startResponse) => {
    await gates.get(environ.QUERY_STRING)?.passed;
    startResponse('200 OK', []);
    return environ.QUERY_STRING;
  };

  await withServer(application, async ({ connect }) => {
    const client = await connect();
    const answers = [1, 3, 5, 7].map((id) =>
      client.request(pairsOf({ QUERY_STRING: String(id) }), '', { id, keepConn: true }),
    );

    for (const id of [5, 1, 7, 3]) {
      gates.get(String(id))?.open();
      await client.waitForEnd(id);
    }
    expect((await Promise.all(answers)).map(({ stdout }) => bodyOf(stdout))).toEqual(['1', '3', '5', '7']);
    expect(
      client.records.filter(({ type }) => type === END_REQUEST).map(({ requestId }) => requestId),
    ).toEqual([5, 1, 7, 3]);
  });
});

describe('an answer before the body was read', () => {
  const refuse: Application = (_environ, startResponse) => {
    startResponse('413 Content Too Large', []);
    return 'x'.repeat(100_000);
  };

  test.each(CHANNELS)(
    'is not lost when the connection closes under an upload of 5 MiB (%s)',
    async (channel) => {
      await withServer(refuse, async ({ connect }) => {
        const client = await connect(channel);
        const body = Buffer.alloc(5 * 1024 * 1024);
        const response = await client.request(pairsOf({ CONTENT_LENGTH: String(body.length) }), body);

        expect(bodyOf(response.stdout)).toHaveLength(100_000);
        await client.waitForClose();
      });
    },
  );

  test('drops the rest, and the next request with the same id is itself (Apache 2.4.71, enablereuse)', async () => {
    const application: Application = (environ, startResponse) =>
      environ.PATH_INFO === '/early' ? refuse(environ, startResponse) : echo(environ, startResponse);

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([
          beginRequest(1, Role.RESPONDER, KEEP_CONN),
          params(1, pairsOf({ PATH_INFO: '/early', CONTENT_LENGTH: '30000' })),
          record(STDIN, 1, 'a'.repeat(10_000)),
        ]),
      );
      await client.waitForEnd(1);
      await client.write(
        Buffer.concat([record(STDIN, 1, 'b'.repeat(10_000)), record(STDIN, 1, 'c'.repeat(9))]),
      );

      const next = await client.request(pairsOf({ CONTENT_LENGTH: '4' }), 'next', { keepConn: true });

      expect(bodyOf(next.stdout)).toBe('next');
    });
  });
});

describe('a request body', () => {
  test('ends at CONTENT_LENGTH, without the empty STDIN record (HAProxy 2.6.12)', async () => {
    await withServer(echo, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([
          beginRequest(1),
          params(1, pairsOf({ CONTENT_LENGTH: '3' })),
          record(STDIN, 1, 'abcdef'),
        ]),
      );
      expect(bodyOf((await client.waitForEnd(1)).stdout)).toBe('abc');
    });
  });

  test('of CONTENT_LENGTH 0 is empty at once', async () => {
    await withServer(echo, async ({ connect }) => {
      const client = await connect();

      await client.write(Buffer.concat([beginRequest(1), params(1, pairsOf({ CONTENT_LENGTH: '0' }))]));
      expect(bodyOf((await client.waitForEnd(1)).stdout)).toBe('');
    });
  });

  test.each(['', '-1'])(
    'ends at the empty STDIN record when CONTENT_LENGTH is %j',
    async (CONTENT_LENGTH) => {
      await withServer(echo, async ({ connect }) => {
        const client = await connect();

        expect(bodyOf((await client.request(pairsOf({ CONTENT_LENGTH }), 'hello')).stdout)).toBe('hello');
      });
    },
  );

  test('that stops short is an error to the application: 400', async () => {
    await withServer(echo, async ({ connect }) => {
      const client = await connect();
      const response = await client.request(pairsOf({ CONTENT_LENGTH: '9' }), 'hello');

      expect(headOf(response.stdout)).toContain('Status: 400 ');
    });
  });

  test('that came before the end of PARAMS is whole', async () => {
    await withServer(echo, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([
          beginRequest(1),
          params(1, pairsOf(), { end: false }),
          record(STDIN, 1, 'hel'),
          record(PARAMS, 1),
          stdin(1, 'lo'),
        ]),
      );
      expect(bodyOf((await client.waitForEnd(1)).stdout)).toBe('hello');
    });
  });

  test('that nobody wants is not kept: the connection goes on', async () => {
    await withServer(
      hello,
      async ({ connect }) => {
        const client = await connect();

        for (let round = 0; round < 3; round++) {
          const body = Buffer.alloc(200_000);
          const { ended } = await client.request(pairsOf({ CONTENT_LENGTH: '200000' }), body, {
            keepConn: true,
          });
          expect(ended).toBe(true);
        }
      },
      { maxBufferedBytes: 1000 },
    );
  });
});

describe('what cannot be taken is a real response, never a bare END_REQUEST', () => {
  const never: Application = () => {
    throw new Error('the application must not be called');
  };

  test('no PARAMS at all: 400', async () => {
    await withServer(never, async ({ connect }) => {
      const response = await (await connect()).request([]);

      expect(headOf(response.stdout)).toContain('Status: 400 Bad Request');
      expect(response.protocolStatus).toBe(0);
    });
  });

  test.each([
    ['CONTENT_LENGTH that is no number', pairsOf({ CONTENT_LENGTH: '12x' })],
    ['two lengths', [...pairsOf({ CONTENT_LENGTH: '1' }), ['CONTENT_LENGTH', '2'] as const]],
    ['a NUL in the path', pairsOf({ PATH_INFO: '/a\0b' })],
  ])('%s: 400', async (_what, pairs) => {
    await withServer(never, async ({ connect }) => {
      expect(headOf((await (await connect()).request(pairs)).stdout)).toContain('Status: 400 Bad Request');
    });
  });

  test('PARAMS that end inside a pair: 400', async () => {
    await withServer(never, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([beginRequest(1), record(PARAMS, 1, '\x05\x05ab'), record(PARAMS, 1)]),
      );
      expect(headOf((await client.waitForEnd(1)).stdout)).toContain('Status: 400 Bad Request');
    });
  });

  test.each([
    ['too many bytes', { maxParamsBytes: 100 }],
    ['too many', { maxParams: 3 }],
  ])('%s of parameters: 431, and the next request is answered', async (_what, options) => {
    await withServer(
      hello,
      async ({ connect }) => {
        const client = await connect();
        const response = await client.request(pairsOf({ HTTP_X: 'x'.repeat(100) }), 'body', {
          keepConn: true,
        });

        expect(headOf(response.stdout)).toContain('Status: 431 Request Header Fields Too Large');
        expect(
          headOf((await client.request([['REQUEST_METHOD', 'GET']], '', { keepConn: true })).stdout),
        ).toContain('200');
      },
      options,
    );
  });

  test('a body of more than maxBodyBytes: 413 before the application is called', async () => {
    await withServer(
      never,
      async ({ connect }) => {
        const response = await (await connect()).request(pairsOf({ CONTENT_LENGTH: '11' }), 'x'.repeat(11));

        expect(headOf(response.stdout)).toContain('Status: 413 Content Too Large');
      },
      { maxBodyBytes: 10 },
    );
  });

  test('a body of more than maxBodyBytes whose length nobody said: 413 while it is read', async () => {
    await withServer(
      echo,
      async ({ connect }) => {
        const response = await (await connect()).request(pairsOf(), 'x'.repeat(11));

        expect(headOf(response.stdout)).toContain('Status: 413 Content Too Large');
      },
      { maxBodyBytes: 10 },
    );
  });

  const waiting = (gate: Gate): Application => {
    return async (environ, startResponse) => {
      await gate.passed;
      return hello(environ, startResponse);
    };
  };

  test.each([
    ['on one connection', { maxConcurrentPerConnection: 2 }],
    ['in all', { maxConcurrent: 2 }],
  ])('more requests than allowed %s: 503; when one has ended there is room again', async (_what, options) => {
    const gate = new Gate();

    await withServer(
      waiting(gate),
      async ({ connect }) => {
        const client = await connect();
        const first = client.request(pairsOf(), '', { id: 1, keepConn: true });
        const second = client.request(pairsOf(), '', { id: 2, keepConn: true });
        const third = await client.request(pairsOf(), '', { id: 3, keepConn: true });

        expect(headOf(third.stdout)).toContain('Status: 503 Service Unavailable');
        gate.open();
        await Promise.all([first, second]);
        expect(headOf((await client.request(pairsOf(), '', { id: 4 })).stdout)).toContain('Status: 200');
      },
      options,
    );
  });

  test('an unknown role: 501, and UNKNOWN_ROLE in END_REQUEST (§5.5)', async () => {
    await withServer(never, async ({ connect }) => {
      const response = await (await connect()).request(pairsOf(), '', { role: 9 });

      expect(headOf(response.stdout)).toContain('Status: 501 Not Implemented');
      expect(response.protocolStatus).toBe(3);
    });
  });

  test('an error of the application: 500, told to the log only', async () => {
    await withServer(never, async ({ connect, log }) => {
      const response = await (await connect()).request(pairsOf());

      expect(headOf(response.stdout)).toContain('Status: 500 Internal Server Error');
      expect(response.stdout.toString()).not.toContain('must not be called');
      expect(log.join('')).toContain('the application must not be called');
    });
  });

  test('a refusal of a HEAD request has no body', async () => {
    await withServer(
      never,
      async ({ connect }) => {
        const response = await (
          await connect()
        ).request(pairsOf({ REQUEST_METHOD: 'HEAD', CONTENT_LENGTH: '9' }));

        expect(headOf(response.stdout)).toContain('Status: 413');
        expect(bodyOf(response.stdout)).toBe('');
      },
      { maxBodyBytes: 1 },
    );
  });
});

describe('§6 roles', () => {
  function telling(seen: Environ[]): Application {
    return async (environ, startResponse) => {
      seen.push(environ);
      return echo(environ, startResponse);
    };
  }

  test('§6.3: an Authorizer is called after PARAMS, without STDIN', async () => {
    const seen: Environ[] = [];

    await withServer(telling(seen), async ({ connect }) => {
      const client = await connect();

      await client.write(Buffer.concat([beginRequest(1, Role.AUTHORIZER), params(1, pairsOf())]));
      await client.waitForEnd(1);
      expect(seen[0]?.['fastcgi.role']).toBe('AUTHORIZER');
    });
  });

  test('§6.3: an Authorizer has no body, even if the front end says how long the request’s is', async () => {
    const seen: Environ[] = [];

    await withServer(
      telling(seen),
      async ({ connect }) => {
        const client = await connect();

        await client.write(
          Buffer.concat([
            beginRequest(1, Role.AUTHORIZER),
            params(1, pairsOf({ REQUEST_METHOD: 'POST', CONTENT_LENGTH: '5000' })),
          ]),
        );
        expect(headOf((await client.waitForEnd(1)).stdout)).toContain('Status: 200');
      },
      { maxBodyBytes: 10 },
    );
  });

  test('§6.3: an Authorizer’s Variable- headers are passed on', async () => {
    const application: Application = (_environ, startResponse) => {
      startResponse('200 OK', [['Variable-USER', 'jo']]);
      return null;
    };

    await withServer(application, async ({ connect }) => {
      const response = await (await connect()).request(pairsOf(), '', { role: Role.AUTHORIZER });

      expect(headOf(response.stdout)).toBe('Variable-USER: jo\r\nStatus: 200 OK');
    });
  });

  test('§6.4: a Filter has the body and the file', async () => {
    const application: Application = async (environ, startResponse) => {
      let text = '';

      for (const stream of [environ['wsgi.input'], environ['fastcgi.data']]) {
        for await (const chunk of stream ?? []) {
          text += String(chunk);
        }
        text += '|';
      }
      startResponse('200 OK', []);
      return text + String(environ['fastcgi.role']);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([
          beginRequest(1, Role.FILTER),
          params(1, pairsOf({ CONTENT_LENGTH: '4', FCGI_DATA_LENGTH: '8' })),
          stdin(1, 'body'),
          data(1, 'the file'),
        ]),
      );
      expect(bodyOf((await client.waitForEnd(1)).stdout)).toBe('body|the file|FILTER');
    });
  });

  test('§6.4: a file shorter than FCGI_DATA_LENGTH is an error', async () => {
    const application: Application = async (environ, startResponse) => {
      for await (const chunk of environ['fastcgi.data'] ?? []) {
        expect(chunk).toBeDefined();
      }
      return hello(environ, startResponse);
    };

    await withServer(application, async ({ connect }) => {
      const client = await connect();

      await client.write(
        Buffer.concat([
          beginRequest(1, Role.FILTER),
          params(1, pairsOf({ FCGI_DATA_LENGTH: '9' })),
          stdin(1),
          data(1, 'the file'),
        ]),
      );
      expect(headOf((await client.waitForEnd(1)).stdout)).toContain('Status: 400');
    });
  });

  test('a Responder has no fastcgi.data', async () => {
    const seen: Environ[] = [];

    await withServer(telling(seen), async ({ connect }) => {
      await (await connect()).request(pairsOf());
      expect(seen[0]).toMatchObject({ 'fastcgi.role': 'RESPONDER' });
      expect(Object.keys(seen[0] ?? {})).not.toContain('fastcgi.data');
    });
  });
});

describe('no body goes out', () => {
  function withStatus(status: string): Application {
    return (_environ, startResponse) => {
      startResponse(status, [['Content-Length', '5']]);
      return 'hello';
    };
  }

  test('for HEAD; Content-Length is kept', async () => {
    await withServer(withStatus('200 OK'), async ({ connect }) => {
      const { stdout } = await (await connect()).request(pairsOf({ REQUEST_METHOD: 'HEAD' }));

      expect(headOf(stdout)).toBe('Content-Length: 5\r\nStatus: 200 OK');
      expect(bodyOf(stdout)).toBe('');
    });
  });

  test.each(['204 No Content', '304 Not Modified'])('for %s', async (status) => {
    await withServer(withStatus(status), async ({ connect }) => {
      const { stdout, ended } = await (await connect()).request(pairsOf());

      expect(headOf(stdout)).toContain(`Status: ${status}`);
      expect(bodyOf(stdout)).toBe('');
      expect(ended).toBe(true);
    });
  });
});

describe('wsgi.errors', () => {
  const complaining: Application = (environ, startResponse) => {
    environ['wsgi.errors'].write('something is odd\n');
    return hello(environ, startResponse);
  };

  test('goes to the error log, and not to the front end', async () => {
    await withServer(complaining, async ({ connect, log }) => {
      const client = await connect();

      await client.request(pairsOf());
      expect(log).toEqual(['something is odd\n']);
      expect(client.records.filter(({ type }) => type === STDERR)).toEqual([]);
    });
  });

  test('goes to both by option; the STDERR stream is ended', async () => {
    await withServer(
      complaining,
      async ({ connect, log }) => {
        const response = await (await connect()).request(pairsOf());

        expect(log).toEqual(['something is odd\n']);
        expect(response.stderr.toString()).toBe('something is odd\n');
        expect(response.stderrEnded).toBe(true);
      },
      { stderrToFrontEnd: true },
    );
  });
});

test('environ can be copied, and what an application puts in its place stays', async () => {
  const application: Application = async (environ, startResponse) => {
    const copy = { ...environ };

    return echo(copy, startResponse);
  };

  await withServer(application, async ({ connect }) => {
    expect(bodyOf((await (await connect()).request(pairsOf(), 'hello')).stdout)).toBe('hello');
  });
});
