import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import { withTemporaryFolder } from '../../../support/temporary-folder';
import { READABLE_KINDS, runCgi, split, startCgi } from './cgi-process';

const ERROR_HEAD = [
  'Status: 500 Internal Server Error',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Length: 26',
  'Cache-Control: no-store',
];
const ERROR_BODY = '500 Internal Server Error\n';

describe('before the head a failure is a complete 500', () => {
  test.each([
    ['thrown', 0, `serve(() => { throw new Error('reason'); });`],
    ['rejected', 0, `serve(async () => { throw new Error('reason'); });`],
    [
      'thrown by the body',
      0,
      `serve((e, start) => { start('200 OK', []); return (function* () { throw new Error('reason'); })(); });`,
    ],
    [
      'an uncaught exception',
      1,
      `serve(() => new Promise(() => setTimeout(() => { throw new Error('reason'); }, 1)));`,
    ],
    [
      'an unhandled rejection',
      1,
      `serve(() => new Promise(() => { Promise.reject(new Error('reason')); setInterval(() => {}, 1000); }));`,
    ],
    ['a promise that nobody will fulfil', 1, `serve(() => new Promise(() => {}));`],
    ['process.exit(0)', 1, `serve(() => process.exit(0));`],
    ['process.exit(3)', 3, `serve(async () => { process.exit(3); });`],
    [
      'process.exit() after startResponse',
      1,
      `serve((e, start) => { start('200 OK', []); process.exit(); });`,
    ],
  ])('%s: exit status %i', async (_, exit, script) => {
    const result = await withTemporaryFolder((folder) => runCgi(folder, { script }));

    expect(split(result.stdout)).toEqual({ head: ERROR_HEAD, body: ERROR_BODY });
    expect(result.stderr).toMatch(/^postern: GET \/cgi-bin\/app\.cgi\/path: .*(?:reason|ERR_NO_RESPONSE)/);
    expect(result.exit).toBe(exit);
  });
});

describe.each(READABLE_KINDS)('after the head, on a %s, a failure is a non-zero exit status', (stdout) => {
  test.each([
    ['thrown by the body', 1, `yield 'begun'; throw new Error('reason');`],
    [
      'an uncaught exception',
      1,
      `yield 'begun'; setTimeout(() => { throw new Error('reason'); }, 1); await new Promise(() => {});`,
    ],
    ['a promise that nobody will fulfil', 1, `yield 'begun'; await new Promise(() => {});`],
    ['process.exit(0)', 1, `yield 'begun'; process.exit(0);`],
    ['process.exit(3)', 3, `yield 'begun'; process.exit(3);`],
  ])('%s: exit status %i', async (_, exit, body) => {
    const script = `serve((environ, start) => { start('200 OK', []); return (async function* () { ${body} })(); });`;
    const result = await withTemporaryFolder((folder) => runCgi(folder, { script, stdout }));

    expect(result.stdout).toBe('Status: 200 OK\r\n\r\nbegun');
    expect(result.stderr).toMatch(/reason|ERR_NO_RESPONSE/);
    expect(result.exit).toBe(exit);
  });
});

test('an application that catches exceptions itself is left alone', async () => {
  const script = `
    process.on('uncaughtException', () => console.error('caught'));
    serve((environ, start) => new Promise((resolve) => {
      setTimeout(() => { throw new Error('reason'); }, 1);
      setTimeout(() => { start('200 OK', []); resolve('response'); }, 20);
    }));`;
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script }));

  expect(result).toEqual({ stdout: 'Status: 200 OK\r\n\r\nresponse', stderr: 'caught\n', exit: 0 });
});

test('an exception after the response is logged, and seen in the exit status only', async () => {
  const script = `serve((environ, start) => { start('200 OK', []); return 'response'; }); throw new Error('reason');`;
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script }));

  expect(result.stdout).toBe('Status: 200 OK\r\n\r\nresponse');
  expect(result.stderr).toContain('reason');
  expect(result.exit).toBe(1);
});

test('timers, servers and children that were left open do not keep the process', async () => {
  const script = `
    setInterval(() => {}, 1000);
    require('net').createServer().listen(0);
    require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore' }).unref();
    serve((environ, start) => { start('200 OK', []); return 'response'; });`;
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script }));

  expect(result).toEqual({ stdout: 'Status: 200 OK\r\n\r\nresponse', stderr: '', exit: 0 });
});

test('what follows serve() in the script is still run', async () => {
  const script = `
    serve((environ, start) => { start('200 OK', []); return 'response'; });
    console.error('the end of the script');`;
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script }));

  expect(result).toEqual({
    stdout: 'Status: 200 OK\r\n\r\nresponse',
    stderr: 'the end of the script\n',
    exit: 0,
  });
});

test('a process.exitCode of the application is kept', async () => {
  const script = `serve((environ, start) => { process.exitCode = 9; start('200 OK', []); return 'response'; });`;

  expect((await withTemporaryFolder((folder) => runCgi(folder, { script }))).exit).toBe(9);
});

test('process.exit() waits for a reader that takes its time', async () => {
  const script = `
    serve((environ, start) => {
      start('200 OK', [])(Buffer.alloc(5000000));
      process.exit();
    });`;

  await withTemporaryFolder(async (folder) => {
    const cgi = await startCgi(folder, { script });

    await once(cgi.stdout, 'readable');
    expect((await buffer(cgi.stdout)).length).toBe('Status: 200 OK\r\n\r\n'.length + 5000000);
    expect(await cgi.exited).toBe(1);
  });
});

describe('SIGTERM', () => {
  test.each([...READABLE_KINDS])(
    'on a %s ends the process quietly, once everything is closed',
    async (stdout) => {
      const script = `
      serve((environ, start) => {
        start('200 OK', []);
        const signal = environ['postern.signal'];
        setInterval(() => {}, 1000);
        signal.addEventListener('abort', () => console.error('aborted: ' + signal.reason.code));
        const body = (async function* () {
          yield 'begun';
          await new Promise((done) => signal.addEventListener('abort', done));
          throw new Error('not told to anybody');
        })();
        body.close = async () => { await new Promise((done) => setTimeout(done, 5)); console.error('closed'); };
        return body;
      });`;

      await withTemporaryFolder(async (folder) => {
        const cgi = await startCgi(folder, { script, stdout });

        await once(cgi.stdout, 'readable');

        const response = buffer(cgi.stdout);

        cgi.process.kill('SIGTERM');
        expect(await cgi.exited).toBe(143);
        expect(cgi.stderr()).toBe('aborted: ERR_PEER_GONE\nclosed\n');
        expect((await response).toString()).toBe('Status: 200 OK\r\n\r\nbegun');
      });
    },
  );

  test('is not put off for ever by cleaning up that never ends', async () => {
    const script = `
      serve((environ, start) => {
        start('200 OK', []);
        setInterval(() => {}, 1000);
        return { async *[Symbol.asyncIterator]() { yield 'begun'; await new Promise(() => {}); }, close: () => new Promise(() => {}) };
      });`;

    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script });

      await once(cgi.stdout, 'readable');
      cgi.process.kill('SIGTERM');
      expect(await cgi.exited).toBe(143);
      expect(cgi.stderr()).toBe('');
      cgi.stdout.destroy();
    });
  });

  test('does not wait for a reader that does not read', async () => {
    const script = `serve((environ, start) => { start('200 OK', []); return Buffer.alloc(5000000); });`;

    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script });

      await once(cgi.stdout, 'readable');
      cgi.process.kill('SIGTERM');
      expect(await cgi.exited).toBe(143);
      expect(cgi.stderr()).toBe('');
      cgi.stdout.destroy();
    });
  });

  test('after the response lets the work of postern.after_response finish: mod_cgi and lighttpd send it then', async () => {
    const script = `
      serve((environ, start) => {
        environ['postern.after_response'](() => new Promise((done) => {
          setInterval(() => {}, 1000);
          process.once('SIGTERM', () => setTimeout(() => { console.error('worked'); done(); }, 5));
        }));
        start('200 OK', []);
        return 'response';
      });`;

    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script });

      expect((await buffer(cgi.stdout)).toString()).toBe('Status: 200 OK\r\n\r\nresponse');
      cgi.process.kill('SIGTERM');
      expect(await cgi.exited).toBe(0);
      expect(cgi.stderr()).toBe('worked\n');
    });
  });
});
