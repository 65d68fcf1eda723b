import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { cgiApplication, type CgiApplicationOptions } from '../../../../adapters/cgi/cgi-application';
import { serve } from '../../../../adapters/http';
import type { Application } from '../../../../src/gateway/types';
import {
  request,
  startRequest,
  type HttpOrigin,
  type HttpRequest,
  type HttpResponse,
} from '../../../support/http-client';
import { withTemporaryFolder } from '../../../support/temporary-folder';

interface Front {
  readonly origin: HttpOrigin;
  readonly log: string[];
  /** Stops the front, gracefully. */
  readonly close: () => Promise<void>;
}

async function withFront<T>(application: Application, use: (front: Front) => Promise<T>): Promise<T> {
  const log: string[] = [];
  const server = await serve(application, { port: 0, errorLog: (text) => log.push(text) });
  const origin = { host: '127.0.0.1', port: server.address.port };

  try {
    return await use({ origin, log, close: () => server.close() });
  } finally {
    server.abort();
    await server.close();
  }
}

/** A CGI script in the shell's language. */
function shell(script: string, options: Partial<CgiApplicationOptions> = {}): Application {
  return cgiApplication({ command: '/bin/sh', args: ['-c', script], ...options });
}

function node(script: string): Application {
  return cgiApplication({ command: process.execPath, args: ['-e', script] });
}

function ask(application: Application, options: HttpRequest = {}): Promise<HttpResponse> {
  return withFront(application, ({ origin }) => request(origin, options));
}

const HEAD = "printf 'Status: 200 OK\\nContent-Type: text/plain\\n\\n'";

describe('the request', () => {
  test('is in the environment, bytes and all', async () => {
    const response = await ask(shell(`${HEAD}; env -0 | grep -z -E '^(PATH_INFO|QUERY_STRING|HTTP_X)='`), {
      target: '/caf%C3%A9/%E9%0A?q=%20',
      headers: [['X', '\xff']],
    });

    expect(response.body.toString('latin1').split('\0').sort()).toEqual([
      '',
      'HTTP_X=\xff',
      'PATH_INFO=/caf\xc3\xa9/\xe9\n',
      'QUERY_STRING=q=%20',
    ]);
  });

  test('has its body on standard input', async () => {
    const body = Buffer.alloc(1_000_000, 'abcdefg');
    const response = await ask(shell(`${HEAD}; echo $CONTENT_LENGTH; head -c $CONTENT_LENGTH`), {
      method: 'POST',
      body,
    });

    expect(response.text).toBe(`1000000\n${body.toString()}`);
  });

  test('in the chunked coding has a length, too', async () => {
    const response = await ask(shell(`${HEAD}; echo $CONTENT_LENGTH; cat`), {
      method: 'POST',
      body: ['ab', 'cde'].map((text) => Buffer.from(text)),
      chunked: true,
    });

    expect(response.text).toBe('5\nabcde');
  });

  test('in the chunked coding is 413 when it is too large to be kept', async () => {
    const response = await ask(shell('exit 1', { maxUnknownBodyBytes: 4 }), {
      method: 'POST',
      body: 'abcde',
      chunked: true,
    });

    expect(response.status).toBe(413);
  });

  test('without a body has no length and an empty standard input', async () => {
    expect((await ask(shell(`${HEAD}; echo "[$CONTENT_LENGTH]"; cat`))).text).toBe('[]\n');
  });

  test('need not be read', async () => {
    expect(
      await ask(shell(`${HEAD}; echo early`), { method: 'POST', body: Buffer.alloc(1_000_000) }),
    ).toMatchObject({ status: 200, text: 'early\n', complete: true });
  });

  test('body may go in while the response comes out', async () => {
    const body = Buffer.alloc(5_000_000, 'x');

    expect((await ask(shell(`${HEAD}; cat`), { method: 'POST', body })).body.equals(body)).toBe(true);
  });
});

describe('the response', () => {
  test('has the status and the headers of the script', async () => {
    const response = await ask(
      shell("printf 'Status: 299 Fine\\r\\nSet-Cookie: a\\r\\nSet-Cookie: b\\r\\n\\r\\nbody'"),
    );

    expect(response).toMatchObject({ status: 299, reason: 'Fine', text: 'body', complete: true });
    expect(response.headerValues('set-cookie')).toEqual(['a', 'b']);
  });

  test('is streamed', async () => {
    await withTemporaryFolder(async (folder) => {
      const go = join(folder, 'go');
      const script = `mkfifo ${go}; ${HEAD}; printf one; read line < ${go}; printf $line`;

      await withFront(shell(script), async ({ origin }) => {
        const exchange = startRequest(origin);

        await exchange.bodyReached(3);
        // Opening a FIFO waits for its other end.
        await writeFile(go, 'two\n');
        expect((await exchange.response).text).toBe('onetwo');
      });
    });
  });

  test('to HEAD has no body', async () => {
    expect(await ask(shell(`${HEAD}; echo body`), { method: 'HEAD' })).toMatchObject({
      status: 200,
      text: '',
      complete: true,
    });
  });

  test('stops the script while nobody reads it', async () => {
    await withFront(shell(`${HEAD}; cat /dev/zero`), async ({ origin }) => {
      const exchange = startRequest(origin);

      await exchange.bodyReached(10_000_000);
      exchange.abort();
    });
  });

  test('is 502 when there is no such program', async () => {
    const application = cgiApplication({ command: '/no/such/program' });

    await withFront(application, async ({ origin, log }) => {
      expect(await request(origin)).toMatchObject({ status: 502, complete: true });
      expect(log.join('')).toContain('cannot run /no/such/program');
    });
  });

  test('is 502 when the script ends without a head', async () => {
    await withFront(shell('printf "X: 1"; exit 3'), async ({ origin, log }) => {
      expect(await request(origin)).toMatchObject({ status: 502, complete: true });
      expect(log.join('')).toContain('the CGI script ended with exit status 3 before its response head');
    });
  });

  test('is 502 when the head is none', async () => {
    expect((await ask(shell('echo hello; echo; echo'))).status).toBe(502);
  });

  for (const { how, script } of [
    { how: 'fails', script: 'exit 1' },
    { how: 'is killed', script: 'kill -9 $$' },
  ]) {
    test(`looks truncated when the script ${how} after its head`, async () => {
      expect(await ask(shell(`${HEAD}; printf body; ${script}`))).toMatchObject({
        status: 200,
        text: 'body',
        complete: false,
      });
    });
  }
});

test('standard error goes to the error log', async () => {
  await withFront(shell(`${HEAD}; echo oops >&2; echo ok`), async ({ origin, log }) => {
    expect((await request(origin)).text).toBe('ok\n');
    while (log.length === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(log).toEqual(['oops\n']);
  });
});

describe('a client that leaves', () => {
  test('ends the script with SIGTERM', async () => {
    await withTemporaryFolder(async (folder) => {
      const note = join(folder, 'note');
      const script = `
        process.on('SIGTERM', () => {
          require('node:fs').writeFileSync(${JSON.stringify(note)}, 'terminated');
          process.exit();
        });
        console.log('X: 1\\n\\nbody');
        setInterval(() => undefined, 1000);
      `;

      await withFront(node(script), async ({ origin, close, log }) => {
        const exchange = startRequest(origin);

        await exchange.bodyReached(4);
        exchange.abort();
        await close();
        expect(await readFile(note, 'utf8')).toBe('terminated');
        expect(log).toEqual([]);
      });
    });
  });

  test('ends the script with SIGKILL when it does not want to', async () => {
    const script = `trap '' TERM; ${HEAD}; printf body; while :; do sleep 0.1; done`;

    await withFront(shell(script, { killTimeoutMs: 50 }), async ({ origin, close }) => {
      const exchange = startRequest(origin);

      await exchange.bodyReached(4);
      exchange.abort();
      await close();
    });
  });

  test('ends a script that has not answered yet', async () => {
    await withTemporaryFolder(async (folder) => {
      const go = join(folder, 'go');

      await withFront(
        shell(`mkfifo ${go}; echo begun >&2; exec cat ${go}`),
        async ({ origin, close, log }) => {
          const exchange = startRequest(origin);

          while (log.length === 0) {
            await new Promise((resolve) => setImmediate(resolve));
          }
          exchange.abort();
          await close();
          expect(log).toEqual(['begun\n']);
        },
      );
    });
  });
});
