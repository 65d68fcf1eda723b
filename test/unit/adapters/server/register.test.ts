import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { cgi, endOf, pairsOf, REGISTER, textOf, withScript, type Start } from './script-process';

jest.setTimeout(30_000);

const HELLO = `
console.log(JSON.stringify([require.main === module, process.argv.slice(2)]));
require('http').createServer((req, res) => res.end('hello ' + req.url)).listen(3000, () => console.log('up'));
`;

const args: Start['args'] = (path) => ['--require', REGISTER, path, 'word'];

test('is a FastCGI daemon on POSTERN_SOCKET, with options from the environment', async () => {
  // Relative: the process works in the folder of its script.
  const environment = {
    POSTERN_SOCKET: 's, other',
    POSTERN_MOUNT: '/app',
    POSTERN_MAX_BODY: '1K',
    POSTERN_DEVELOPMENT: '0',
  };

  await withScript({ script: HELLO, args, environment }, async (running) => {
    await running.printed(/^\[true,\["word"\]\]$/m);

    const variables = { PATH_INFO: '/app/x', REQUEST_URI: '/app/x' };

    expect(await running.request(variables)).toMatch(/hello \/x$/);

    const client = await running.connect(join(running.folder, 'other'));

    expect(textOf(await client.request(pairsOf({ ...variables, CONTENT_LENGTH: '2000' })))).toContain(
      'Status: 413',
    );
    running.kill('SIGTERM');
    expect((await running.ended).exit).toBe(0);
  });
});

test('is a CGI script with CGI variables in the environment', async () => {
  expect(await cgi({ script: HELLO, args })).toEqual({
    exit: 0,
    stdout: 'Status: 200 OK\r\nContent-Length: 11\r\n\r\nhello /path',
    stderr: '[true,[]]\nup\n',
  });
});

test('works with --import, for ES modules', async () => {
  const script = `import { createServer } from 'http'; createServer((req, res) => res.end('hello')).listen(3000);`;
  const importing: Start['args'] = (path) => ['--import', REGISTER, path];

  expect((await cgi({ name: 'app.mjs', script, args: importing })).stdout).toMatch(/hello$/);
});

test('explains itself when there is nothing to serve, as soon as the script listens', async () => {
  expect(await endOf({ script: HELLO, args })).toMatchObject({
    exit: 2,
    stdout: '[true,["word"]]\n',
    stderr: expect.stringMatching(/^postern: nothing to serve\./),
  });
});

test('leaves a script alone that does not listen', async () => {
  const environment = { POSTERN_SOCKET: 's' };

  expect(await endOf({ script: `console.log('done')`, args, environment })).toEqual({
    exit: 0,
    stdout: 'done\n',
    stderr: '',
  });
});

test('tells a wrong value in one line', async () => {
  expect(await endOf({ script: HELLO, args, environment: { POSTERN_MAX_BODY: 'much' } })).toEqual({
    exit: 2,
    stdout: '',
    stderr: 'postern: --max-body takes a number of bytes, such as 1048576, 512K or 10M\n',
  });
});
