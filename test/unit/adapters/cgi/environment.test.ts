import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { mergeEnvironment } from '../../../../adapters/cgi/process-environment';
import { withTemporaryFolder } from '../../../support/temporary-folder';
import { requestEnvironment, runCgi, split, writeScript } from './cgi-process';

/** Answers with some keys of the environ, as JSON of latin-1 strings. */
function show(...keys: string[]): string {
  return `serve((environ, start) => {
    start('200 OK', []);
    return JSON.stringify(${JSON.stringify(keys)}.map((key) => environ[key]));
  });`;
}

/** @param assignments shell assignments, for bytes that Node cannot give to a child. */
async function shown(assignments: string, script: string): Promise<unknown> {
  return withTemporaryFolder(async (folder) => {
    const path = writeScript(folder, script);
    const { stdout } = await promisify(execFile)(
      'sh',
      ['-c', `${assignments}; "$1" "$2" | cat`, 'sh', process.execPath, path],
      { env: requestEnvironment() },
    );

    return JSON.parse(split(stdout).body) as unknown;
  });
}

test('bytes that are not UTF-8 arrive as they are', async () => {
  const values = await shown(
    `export PATH_INFO=$(printf '/caf\\351/\\303\\251/\\377') HTTP_X_MIXED=$(printf '\\200\\342\\202')`,
    show('PATH_INFO', 'HTTP_X_MIXED'),
  );

  expect(values).toEqual(['/caf\xe9/\xc3\xa9/\xff', '\x80\xe2\x82']);
});

test('what the script has changed in process.env since its start wins, as UTF-8', async () => {
  const values = await shown(
    `export CHANGED=before KEPT=$(printf '\\351') DELETED=x`,
    `process.env.CHANGED = 'n\\u00e4chst'; process.env.ADDED = '\\u20ac'; delete process.env.DELETED;
     ${show('CHANGED', 'KEPT', 'ADDED', 'DELETED')}`,
  );

  expect(values).toEqual(['n\xc3\xa4chst', '\xe9', '\xe2\x82\xac', null]);
});

test('the whole environment of the process is there, whoever set it', async () => {
  const values = await shown(
    'export OWN=1',
    show('OWN', 'GATEWAY_INTERFACE', 'wsgi.run_once', 'wsgi.multiprocess'),
  );

  expect(values).toEqual(['1', 'CGI/1.1', true, true]);
});

test('a header that was sent twice is joined, other names have the last value', async () => {
  // A name with an equals sign is the only way to give a child of Node the same name twice.
  const environment = {
    HTTP_X_TWICE: 'one',
    'HTTP_X_TWICE=two': '',
    HTTP_COOKIE: 'a=1',
    'HTTP_COOKIE=b': '2',
    OTHER: 'one',
    'OTHER=two': '',
  };
  const script = show('HTTP_X_TWICE', 'HTTP_COOKIE', 'OTHER');
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script, environment }));

  expect(JSON.parse(split(result.stdout).body)).toEqual(['one, two=', 'a=1; b=2', 'two=']);
});

test('HTTP_PROXY reaches neither the environ nor process.env nor a child', async () => {
  const script = `serve((environ, start) => {
    start('200 OK', []);
    return JSON.stringify([
      'HTTP_PROXY' in environ,
      'HTTP_PROXY' in process.env,
      require('child_process').execSync('echo "$HTTP_PROXY"').toString(),
    ]);
  });`;
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script, environment: { HTTP_PROXY: 'http://evil.test' } }),
  );

  expect(JSON.parse(split(result.stdout).body)).toEqual([false, false, '\n']);
});

test('the words of a query in argv are not looked at (RFC 3875 §4.4)', async () => {
  const script = show('QUERY_STRING');
  const result = await withTemporaryFolder((folder) =>
    runCgi(folder, { script, args: ['--help', '-e', 'x', ''], environment: { QUERY_STRING: '--help+-e+x' } }),
  );

  expect(result).toEqual({ stdout: 'Status: 200 OK\r\n\r\n["--help+-e+x"]', stderr: '', exit: 0 });
});

test('the mount point can be given', async () => {
  const script = show('SCRIPT_NAME', 'PATH_INFO').replace(/\);$/, `, { mount: '/cgi-bin/' });`);
  const result = await withTemporaryFolder((folder) => runCgi(folder, { script }));

  expect(JSON.parse(split(result.stdout).body)).toEqual(['/cgi-bin', '/app.cgi/path']);
});

test('a NUL-free name without a value, and an entry without a name, are no variables', () => {
  expect(mergeEnvironment(['A=1', 'NOTHING', '=::=x', '', 'EMPTY='], { A: '1', EMPTY: '' })).toEqual([
    ['A', '1'],
    ['EMPTY', ''],
  ]);
});

test('repeated names keep their order', () => {
  expect(mergeEnvironment(['A=1', 'B=x', 'A=2'], { A: '1', B: 'x' })).toEqual([
    ['A', '1'],
    ['B', 'x'],
    ['A', '2'],
  ]);
});

test('a repeated name that was changed has the new value only', () => {
  expect(mergeEnvironment(['A=1', 'A=2'], { A: '3' })).toEqual([['A', '3']]);
});

test('names of objects are plain data', () => {
  expect(
    mergeEnvironment(
      ['__proto__=1', 'constructor=2'],
      JSON.parse('{"__proto__":"1","constructor":"2"}') as NodeJS.ProcessEnv,
    ),
  ).toEqual([
    ['__proto__', '1'],
    ['constructor', '2'],
  ]);
});

test('without /proc the variables are those of process.env', () => {
  expect(mergeEnvironment([], { A: 'é' })).toEqual([['A', '\xc3\xa9']]);
});
