import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { withTemporaryFolder } from '../../../support/temporary-folder';
import { READABLE_KINDS, runCgi, split, startCgi } from './cgi-process';

const MIB = 1024 * 1024;

function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes of which no part looks like another. */
function pattern(length: number): Buffer {
  const words = new Uint32Array(length / 4);

  for (let i = 0; i < words.length; i++) {
    words[i] = Math.imul(i, 2654435761);
  }
  return Buffer.from(words.buffer);
}

/** The same for a script; ts-jest leaves plain JavaScript of it. */
const PATTERN = pattern.toString();

/** For tests that move tens of megabytes on a loaded machine. */
const LONG_MS = 60_000;

describe.each([...READABLE_KINDS, 'file'] as const)('with standard output on a %s', (stdout) => {
  test('the response is Status first, the headers as given, and the body', async () => {
    const script = `serve((environ, start) => {
      start('201 Made', [['Content-Type', 'text/plain'], ['X-Latin', '\\xe9'], ['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2']]);
      return ['one ', Buffer.from('two')];
    });`;
    const result = await withTemporaryFolder((folder) => runCgi(folder, { script, stdout }));

    expect(result).toEqual({
      stdout:
        'Status: 201 Made\r\nContent-Type: text/plain\r\nX-Latin: \xe9\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\none two',
      stderr: '',
      exit: 0,
    });
  });

  test('whatever else is printed goes to standard error', async () => {
    const script = `
      const early = process.stdout;
      const fs = require('fs');
      const { execSync, spawnSync, spawn } = require('child_process');
      serve(async (environ, start) => {
        console.log('by console.log');
        process.stdout.write('by process.stdout\\n');
        early.write('by a process.stdout from before\\n');
        fs.writeSync(1, 'by fs.writeSync\\n');
        fs.writeFileSync(1, 'by fs.writeFileSync\\n');
        await new Promise((done) => fs.write(1, 'by fs.write\\n', done));
        execSync('echo by execSync', { stdio: 'inherit' });
        spawnSync('echo', ['by spawnSync'], { stdio: ['ignore', 1, 2] });
        await new Promise((done) => spawn('echo', ['by spawn'], { stdio: 'inherit' }).on('close', done));
        await new Promise((done) => spawn('echo', ['by spawn with a stream'], { stdio: ['ignore', early, 2] }).on('close', done));
        start('200 OK', []);
        return 'response';
      });`;
    const result = await withTemporaryFolder((folder) => runCgi(folder, { script, stdout }));

    expect(result.stdout).toBe('Status: 200 OK\r\n\r\nresponse');
    expect(result.stderr.trim().split('\n').sort()).toEqual([
      'by a process.stdout from before',
      'by console.log',
      'by execSync',
      'by fs.write',
      'by fs.writeFileSync',
      'by fs.writeSync',
      'by process.stdout',
      'by spawn',
      'by spawn with a stream',
      'by spawnSync',
    ]);
    expect(result.exit).toBe(0);
  });

  test('what an ES module prints goes to standard error', async () => {
    const script = `
      import { writeSync } from 'node:fs';
      serve((environ, start) => {
        writeSync(1, 'by an import\\n');
        start('200 OK', []);
        return 'response';
      });`;
    const result = await withTemporaryFolder((folder) =>
      runCgi(folder, { script, stdout, extension: 'mjs' }),
    );

    expect(result).toEqual({ stdout: 'Status: 200 OK\r\n\r\nresponse', stderr: 'by an import\n', exit: 0 });
  });
});

describe.each(READABLE_KINDS)('with a slow reader on a %s', (stdout) => {
  test(
    '50 MiB in one piece arrive whole before the process ends',
    async () => {
      const script = `${PATTERN}
      serve((environ, start) => { start('200 OK', []); return pattern(${String(50 * MIB)}); });`;

      await withTemporaryFolder(async (folder) => {
        const cgi = await startCgi(folder, { script, stdout });
        const hash = createHash('sha256');
        let received = 0;

        for await (const chunk of cgi.stdout) {
          hash.update(chunk as Buffer);
          received += (chunk as Buffer).length;
          // Slow enough that the writer always waits for us.
          await nextTurn();
        }

        const head = 'Status: 200 OK\r\n\r\n';

        expect(received).toBe(head.length + 50 * MIB);
        expect(hash.digest('hex')).toBe(sha256(Buffer.concat([Buffer.from(head), pattern(50 * MIB)])));
        expect(await cgi.exited).toBe(0);
      });
    },
    LONG_MS,
  );

  test('5 MiB written before process.exit() still go out, and the process waits for that', async () => {
    const script = `${PATTERN}
      serve((environ, start) => {
        const write = start('200 OK', []);
        for (let i = 0; i < 5; i++) write(pattern(${String(MIB)}));
        setTimeout(() => process.exit(7), 20);
        return new Promise(() => {});
      });`;

    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script, stdout });
      const { head, body } = split((await buffer(cgi.stdout)).toString('latin1'));

      expect(head).toEqual(['Status: 200 OK']);
      expect(sha256(Buffer.from(body, 'latin1'))).toBe(
        sha256(Buffer.concat(Array.from({ length: 5 }, () => pattern(MIB)))),
      );
      expect(await cgi.exited).toBe(7);
      expect(cgi.stderr()).toContain('ERR_NO_RESPONSE');
    });
  });

  test(
    'the application is not asked for more than the reader takes',
    async () => {
      const script = `
      const { writeFileSync } = require('fs');
      serve((environ, start) => {
        start('200 OK', []);
        return (function* () {
          for (let i = 0; i < 20; i++) {
            console.error('chunk ' + i);
            yield Buffer.alloc(${String(MIB)});
          }
        })();
      });`;

      await withTemporaryFolder(async (folder) => {
        const cgi = await startCgi(folder, { script, stdout });

        await once(cgi.stdout, 'readable');
        // The first chunk fills every buffer in between; the second waits for us.
        expect(cgi.stderr()).not.toContain('chunk 2\n');
        expect((await buffer(cgi.stdout)).length).toBe(20 * MIB + 'Status: 200 OK\r\n\r\n'.length);
        expect(await cgi.exited).toBe(0);
      });
    },
    LONG_MS,
  );

  test('a client that leaves ends the process quietly, and the body is closed once', async () => {
    const script = `
      serve((environ, start) => {
        start('200 OK', []);
        const body = (async function* () {
          try { for (;;) yield Buffer.alloc(100000); } finally { console.error('returned'); }
        })();
        body.close = () => console.error('closed');
        return body;
      });`;

    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script, stdout });

      cgi.stdout.on('error', () => undefined);
      await once(cgi.stdout, 'readable');
      cgi.stdin.destroy();
      cgi.stdout.destroy();
      expect(await cgi.exited).toBe(141);
      await nextTurn();
      // return() of an async generator comes a tick later.
      expect(cgi.stderr()).toBe('closed\nreturned\n');
    });
  });

  test('the response ends before the work of postern.after_response', async () => {
    const script = `
      const { existsSync } = require('fs');
      serve((environ, start) => {
        environ['postern.after_response'](async () => {
          while (!existsSync(process.argv[2])) await new Promise((done) => setTimeout(done, 5));
          console.error('worked');
        });
        start('200 OK', []);
        return 'response';
      });`;

    await withTemporaryFolder(async (folder) => {
      const seen = join(folder, 'seen');
      const cgi = await startCgi(folder, { script, stdout, args: [seen] });
      const response = await buffer(cgi.stdout);

      expect(existsSync(seen)).toBe(false);
      writeFileSync(seen, '');
      expect(response.toString()).toBe('Status: 200 OK\r\n\r\nresponse');
      expect(await cgi.exited).toBe(0);
      expect(cgi.stderr()).toBe('worked\n');
    });
  });
});

test('HEAD has no body, and keeps its Content-Length', async () => {
  const script = `serve((environ, start) => { start('200 OK', [['Content-Length', '8']]); return 'response'; });`;
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script, environment: { REQUEST_METHOD: 'HEAD' } }),
  );

  expect(result).toEqual({ stdout: 'Status: 200 OK\r\nContent-Length: 8\r\n\r\n', stderr: '', exit: 0 });
});

test.each([
  { how: 'SCRIPT_FILENAME', environment: { SCRIPT_FILENAME: '/srv/cgi-bin/nph-app.cgi' }, isNph: true },
  { how: 'SCRIPT_NAME alone', environment: { SCRIPT_NAME: '/cgi-bin/nph-app.cgi' }, isNph: true },
  {
    how: 'a folder of that name',
    environment: { SCRIPT_FILENAME: '/srv/nph-folder/app.cgi' },
    isNph: false,
  },
])('a script is nph- by $how: $isNph', async ({ environment, isNph }) => {
  const script = `serve((environ, start) => { start('202 Taken', [['X-A', 'b']]); return 'response'; });`;
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script, environment }));

  expect(result.stdout).toBe(
    isNph
      ? 'HTTP/1.1 202 Taken\r\nX-A: b\r\nConnection: close\r\n\r\nresponse'
      : 'Status: 202 Taken\r\nX-A: b\r\n\r\nresponse',
  );
});

test('the head leaves alone, in one piece, when write() is called with nothing', async () => {
  const script = `
    const { existsSync } = require('fs');
    serve(async (environ, start) => {
      start('200 OK', [['X-A', 'b']])('');
      while (!existsSync(process.argv[2])) await new Promise((done) => setTimeout(done, 5));
      return 'body';
    });`;

  await withTemporaryFolder(async (folder) => {
    const seen = join(folder, 'seen');
    const cgi = await startCgi(folder, { script, args: [seen] });

    await once(cgi.stdout, 'readable');
    expect(String(cgi.stdout.read())).toBe('Status: 200 OK\r\nX-A: b\r\n\r\n');
    writeFileSync(seen, '');
    expect((await buffer(cgi.stdout)).toString()).toBe('body');
  });
});

test('under lighttpd a promised length that does not leave with the head closes the connection of the client', async () => {
  const script = `serve((environ, start) => {
    start('200 OK', [['Content-Length', '4']]);
    return environ.PATH_INFO === '/whole' ? 'four' : ['fo', 'ur'];
  });`;
  const environment = { SERVER_SOFTWARE: 'lighttpd/1.4.69' };

  const outputWith = async (variables: Readonly<Record<string, string>>): Promise<string> =>
    (await withTemporaryFolder((folder) => runCgi(folder, { script, environment: variables }))).stdout;

  expect(await outputWith({ ...environment, PATH_INFO: '/whole' })).toBe(
    'Status: 200 OK\r\nContent-Length: 4\r\n\r\nfour',
  );
  expect(await outputWith(environment)).toBe(
    'Status: 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfour',
  );
  expect(await outputWith({ ...environment, REQUEST_METHOD: 'HEAD' })).toBe(
    'Status: 200 OK\r\nContent-Length: 4\r\n\r\n',
  );
  expect(await outputWith({})).toBe('Status: 200 OK\r\nContent-Length: 4\r\n\r\nfour');
});
