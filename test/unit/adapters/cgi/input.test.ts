import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { withTemporaryFolder } from '../../../support/temporary-folder';
import { READABLE_KINDS, requestEnvironment, runCgi, split, startCgi, writeScript } from './cgi-process';

const MIB = 1024 * 1024;
const HEAD = 'Status: 200 OK\r\n\r\n';

/** Answers with the body it got, or with what went wrong. */
const ECHO = `serve(async (environ, start) => {
  const chunks = [];
  try {
    for await (const chunk of environ['wsgi.input']) chunks.push(chunk);
  } catch (error) {
    start('200 OK', []);
    return 'error ' + error.code;
  }
  start('200 OK', []);
  return [Buffer.concat(chunks)];
});`;

function post(length: string): Record<string, string> {
  return { REQUEST_METHOD: 'POST', CONTENT_LENGTH: length };
}

describe.each(READABLE_KINDS)('with standard output on a %s', (stdout) => {
  test('a body of a known length is read, and its end is not waited for', async () => {
    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script: ECHO, stdout, environment: post('10') });

      // The web server keeps its end open, as Python's http.server does.
      cgi.stdin.write('0123456789');
      expect((await buffer(cgi.stdout)).toString()).toBe(`${HEAD}0123456789`);
      expect(await cgi.exited).toBe(0);
      cgi.stdin.destroy();
    });
  });

  test('a web server that delivers a whole body before it reads is not waited for in turn', async () => {
    const script = `serve((environ, start) => {
      start('200 OK', []);
      return (async function* () {
        yield Buffer.alloc(${String(MIB)}, 'a');
        for await (const chunk of environ['wsgi.input']) yield chunk;
      })();
    });`;

    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script, stdout, environment: post(String(2 * MIB)) });
      const body = Buffer.alloc(2 * MIB, 'b');

      // As mod_cgi and fcgiwrap: nothing is read until all is written.
      await new Promise((written) => cgi.stdin.write(body, written));

      const response = await buffer(cgi.stdout);

      expect(response.equals(Buffer.concat([Buffer.from(HEAD), Buffer.alloc(MIB, 'a'), body]))).toBe(true);
      expect(await cgi.exited).toBe(0);
    });
  });

  test('a body that the application does not want is taken from the web server all the same', async () => {
    const script = `serve((environ, start) => { start('200 OK', []); return Buffer.alloc(${String(MIB)}, 'a'); });`;

    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script, stdout, environment: post(String(2 * MIB)) });

      await new Promise((written, failed) =>
        cgi.stdin.write(Buffer.alloc(2 * MIB), (error) => (error == null ? written(null) : failed(error))),
      );
      expect((await buffer(cgi.stdout)).length).toBe(HEAD.length + MIB);
      expect(await cgi.exited).toBe(0);
    });
  });
});

test('a body that stops short is an error, not an end', async () => {
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script: ECHO, environment: post('10') }, '012345678'),
  );

  expect(result).toEqual({ stdout: `${HEAD}error ERR_BODY_TRUNCATED`, stderr: '', exit: 0 });
});

test('the error of a short body, not caught, is answered with 400', async () => {
  const script = `serve(async (environ, start) => {
    for await (const chunk of environ['wsgi.input']);
    start('200 OK', []);
  });`;
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script, environment: post('10') }, '012345678'),
  );

  expect(split(result.stdout).head[0]).toBe('Status: 400 Bad Request');
  expect(result.stderr).toContain('ERR_BODY_TRUNCATED');
  expect(result.exit).toBe(0);
});

test('what follows the body is left for the next reader of a pipe', async () => {
  await withTemporaryFolder(async (folder) => {
    const script = writeScript(folder, ECHO);
    const shell = `printf '0123456789REST' | { "$1" "$2"; cat; }`;
    const { stdout } = await promisify(execFile)('sh', ['-c', shell, 'sh', process.execPath, script], {
      env: requestEnvironment(post('10')),
    });

    expect(stdout).toBe(`${HEAD}0123456789REST`);
  });
});

test('a file as standard input is read up to the length', async () => {
  await withTemporaryFolder(async (folder) => {
    const script = writeScript(folder, ECHO);

    writeFileSync(join(folder, 'body'), '0123456789REST');

    const { stdout } = await promisify(execFile)(
      'sh',
      ['-c', '{ "$1" "$2"; cat; } < "$3"', 'sh', process.execPath, script, join(folder, 'body')],
      { env: requestEnvironment(post('10')) },
    );

    expect(stdout).toBe(`${HEAD}0123456789REST`);
  });
});

test('20 MiB are read unchanged', async () => {
  const body = Buffer.alloc(20 * MIB);

  for (let i = 0; i < body.length; i += 4) {
    body.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
  }

  const script = `serve(async (environ, start) => {
    const hash = require('crypto').createHash('sha256');
    for await (const chunk of environ['wsgi.input']) hash.update(chunk);
    start('200 OK', []);
    return hash.digest('hex');
  });`;
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script, environment: post(String(body.length)) }, body.toString('latin1')),
  );

  expect(result.stdout).toBe(HEAD + createHash('sha256').update(body).digest('hex'));
});

test.each(['', '-1', '0'])(
  'CONTENT_LENGTH=%j is no body, and standard input is not looked at',
  async (length) => {
    await withTemporaryFolder(async (folder) => {
      const cgi = await startCgi(folder, { script: ECHO, environment: post(length) });

      expect((await buffer(cgi.stdout)).toString()).toBe(HEAD);
      expect(await cgi.exited).toBe(0);
      cgi.stdin.destroy();
    });
  },
);

test('on Apache a chunked upload is read to the end of standard input', async () => {
  const environment = {
    REQUEST_METHOD: 'POST',
    HTTP_TRANSFER_ENCODING: 'chunked',
    SERVER_SOFTWARE: 'Apache/2.4.71 (Debian)',
  };
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script: ECHO, environment }, 'decoded by Apache'),
  );

  expect(result).toEqual({ stdout: `${HEAD}decoded by Apache`, stderr: '', exit: 0 });
});

test('elsewhere a chunked upload is answered with 411, and nothing is read', async () => {
  const environment = { REQUEST_METHOD: 'POST', HTTP_TRANSFER_ENCODING: 'chunked' };

  await withTemporaryFolder(async (folder) => {
    const cgi = await startCgi(folder, { script: ECHO, environment });

    cgi.stdin.write('5\r\n01234\r\n');
    expect(split((await buffer(cgi.stdout)).toString()).head[0]).toBe('Status: 411 Length Required');
    expect(await cgi.exited).toBe(0);
    cgi.stdin.destroy();
  });
});

test('a length and chunked is a length: nginx passes both to fcgiwrap', async () => {
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script: ECHO, environment: { ...post('3'), HTTP_TRANSFER_ENCODING: 'chunked' } }, 'abc'),
  );

  expect(result.stdout).toBe(`${HEAD}abc`);
});

test('a body larger than maxBodyBytes is answered with 413 and taken away', async () => {
  const script = `serve((environ, start) => { console.error('called'); start('200 OK', []); }, { maxBodyBytes: 100 });`;

  await withTemporaryFolder(async (folder) => {
    const cgi = await startCgi(folder, { script, stdout: 'one socket', environment: post(String(MIB)) });

    await new Promise((written, failed) =>
      cgi.stdin.write(Buffer.alloc(MIB), (error) => (error == null ? written(null) : failed(error))),
    );
    expect(split((await buffer(cgi.stdout)).toString()).head[0]).toBe('Status: 413 Content Too Large');
    expect(cgi.stderr()).toContain('ERR_BODY_TOO_LARGE');
    expect(cgi.stderr()).not.toContain('called');
    expect(await cgi.exited).toBe(0);
  });
});

test('a broken CONTENT_LENGTH is answered with 400', async () => {
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script: ECHO, environment: post('12abc') }),
  );

  expect(split(result.stdout).head[0]).toBe('Status: 400 Bad Request');
  expect(result.exit).toBe(0);
});

test('standard input that is closed is an empty one', async () => {
  await withTemporaryFolder(async (folder) => {
    const script = writeScript(folder, ECHO);
    const { stdout } = await promisify(execFile)(
      'sh',
      ['-c', '"$1" "$2" <&-', 'sh', process.execPath, script],
      {
        env: requestEnvironment(post('3')),
      },
    );

    expect(stdout).toBe(`${HEAD}error ERR_BODY_TRUNCATED`);
  });
});

test('a listener that nobody answers does not stop an application that gives up reading', async () => {
  const script = `serve((environ, start) => {
    environ['wsgi.input'].once('data', () => environ['wsgi.input'].pause());
    start('200 OK', []);
    return 'early';
  });`;

  await withTemporaryFolder(async (folder) => {
    const cgi = await startCgi(folder, { script, environment: post('100000') });

    cgi.stdin.end(Buffer.alloc(100000));
    expect((await buffer(cgi.stdout)).toString()).toBe(`${HEAD}early`);
    expect(await cgi.exited).toBe(0);
  });
});

test('the descriptors that were given are all that is used', async () => {
  await withTemporaryFolder(async (folder) => {
    // Standard error closed: Node opens /dev/null in its place, and so do we.
    const script = writeScript(
      folder,
      `serve((environ, start) => { console.log('lost'); start('200 OK', []); return 'x'; });`,
    );
    const file = openSync(join(folder, 'out'), 'w');

    closeSync(file);

    const { stdout } = await promisify(execFile)(
      'sh',
      ['-c', '"$1" "$2" 2>&- | cat', 'sh', process.execPath, script],
      { env: requestEnvironment() },
    );

    expect(stdout).toBe(`${HEAD}x`);
  });
});

test('reading goes on after the response was blocked', async () => {
  const script = `serve((environ, start) => {
    start('200 OK', []);
    return environ['wsgi.input'];
  });`;

  await withTemporaryFolder(async (folder) => {
    const cgi = await startCgi(folder, { script, environment: post(String(8 * MIB)) });
    const written = new Promise((done) => cgi.stdin.write(Buffer.alloc(8 * MIB, 'c'), done));

    await once(cgi.stdout, 'readable');

    const response = await buffer(cgi.stdout);

    await written;
    expect(response.length).toBe(HEAD.length + 8 * MIB);
    expect(await cgi.exited).toBe(0);
  });
});

test('a body in a file, as lighttpd has it, is read on after the response was blocked', async () => {
  const script = `serve((environ, start) => {
    start('200 OK', []);
    return environ['wsgi.input'];
  });`;

  await withTemporaryFolder(async (folder) => {
    const path = writeScript(folder, script);
    const file = join(folder, 'body');

    writeFileSync(file, Buffer.alloc(8 * MIB, 'd'));

    // The pipe is full long before somebody reads.
    const { stdout } = await promisify(execFile)(
      'sh',
      ['-c', '"$1" "$2" < "$3" | { sleep 0.3; wc -c; }', 'sh', process.execPath, path, file],
      { env: requestEnvironment(post(String(8 * MIB))) },
    );

    expect(Number(stdout)).toBe(HEAD.length + 8 * MIB);
  });
});
