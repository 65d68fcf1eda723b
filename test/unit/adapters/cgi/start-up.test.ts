import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { withTemporaryFolder } from '../../../support/temporary-folder';
import { READABLE_KINDS, runCgi, writeScript } from './cgi-process';

const LIST = `process.on('exit', () => require('fs').writeSync(2, process.moduleLoadList.join('\\n')));`;

/** Modules of Node that a process loads. */
function natives(stderr: string): string[] {
  return stderr.split('\n').filter((name) => name.startsWith('NativeModule '));
}

/** For ES modules that import functions of fs by name; from Node 24 on every process might have some. */
const SMALL = /^NativeModule (?:module|internal\/source_map\/source_map)$/;

test.each(READABLE_KINDS)('a request on a %s loads no module that a bare script does not', async (stdout) => {
  const script = `${LIST} serve((environ, start) => { start('200 OK', []); return ['one ', 'two']; });`;

  await withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'bare.cjs'), LIST);

    const bare = natives(
      spawnSync(process.execPath, [join(folder, 'bare.cjs')], { encoding: 'utf8' }).stderr,
    );
    const cgi = natives((await runCgi(folder, { script, stdout })).stderr);

    expect(bare.length).toBeGreaterThan(10);
    expect(cgi.filter((name) => !bare.includes(name) && !SMALL.test(name))).toEqual([]);
  });
});

test('postern/run loads of the gateway only what answers a CGI request', async () => {
  await withTemporaryFolder(async (folder) => {
    const script = `
      process.on('exit', () => require('fs').writeSync(2, Object.keys(require.cache).join('\\n')));
      require(__filename.replace(/app.cjs$/, 'run'))((environ, start) => { start('200 OK', []); return 'response'; });`;

    writeScript(folder, '');
    writeFileSync(
      join(folder, 'run.js'),
      `module.exports = require(${JSON.stringify(join(__dirname, '../../../../dist/adapters/run'))}).run;`,
    );

    const { stderr } = await runCgi(folder, { script });
    const own = stderr.split('\n').filter((file) => /[/\\](?:src|adapters)[/\\]/.test(file));

    expect(
      own.filter((file) =>
        /fastcgi|http|cli|request-input|request-body|script-|cgi-response/.test(
          file.slice(file.lastIndexOf('dist')),
        ),
      ),
    ).toEqual([]);
    expect(own.length).toBeLessThan(20);
  });
});

test('a synchronous application is answered before serve() returns', async () => {
  const script = `
    serve((environ, start) => { start('200 OK', []); return 'response'; });
    process.kill(process.pid, 'SIGKILL');`;
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script }));

  expect(result).toEqual({ stdout: 'Status: 200 OK\r\n\r\nresponse', stderr: '', exit: 'SIGKILL' });
});
