/** Everything that can be typed wrong, and every file that is no application: one line, and an exit status. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { withTemporaryFolder } from '../../../support/temporary-folder';

// A process for each test, and some of them compile TypeScript.
jest.setTimeout(30_000);

const ROOT = join(__dirname, '../../../..');
const MAIN = join(ROOT, 'dist/postern.js');

const APPLICATION = `module.exports = (environ, start) => { start('200 OK', []); return 'response'; };`;

interface Result {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Start {
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Shell words, such as a redirection. */
  readonly shell?: string;
}

/** Runs `postern` with these arguments in a folder of its own. */
function postern(
  args: readonly string[],
  { files = {}, environment = {}, shell = '' }: Start = {},
): Promise<Result> {
  return withTemporaryFolder(async (folder) => {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    for (const [name, content] of Object.entries({ 'app.js': APPLICATION, ...files })) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }

    const { status, stdout, stderr } = spawnSync(
      '/bin/sh',
      ['-c', `exec "$0" "$@" ${shell === '' ? '</dev/null' : shell}`, process.execPath, MAIN, ...args],
      { cwd: folder, encoding: 'utf8', env: { PATH: process.env['PATH'], ...environment }, timeout: 20_000 },
    );

    return Promise.resolve({ exit: status, stdout, stderr: stderr.replaceAll(folder, '.') });
  });
}

const CGI = { REQUEST_METHOD: 'GET', SERVER_PROTOCOL: 'HTTP/1.1', PATH_INFO: '/' };

describe('postern', () => {
  test.each([['help'], ['--help'], ['-h']])('%s prints how it is used', async (word) => {
    const { exit, stdout, stderr } = await postern([word]);

    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    for (const command of ['run', 'cgi', 'fastcgi', 'server', 'dev']) {
      expect(stdout).toContain(`  postern ${command} `);
    }
    // A terminal is 80 to 120 columns wide.
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  test.each([['--version'], ['-v']])('%s prints its version', async (word) => {
    expect(await postern([word])).toEqual({
      exit: 0,
      stdout: expect.stringMatching(/^postern \d+\.\d+\.\d+\S*\n$/),
      stderr: '',
    });
  });
});

describe('tells what is wrong in one line, exit status 2:', () => {
  test.each([
    { args: '', says: 'no command given; see postern --help' },
    { args: 'walk app.js', says: 'no such command: walk; see postern --help' },
    { args: 'constructor app.js', says: 'no such command: constructor; see postern --help' },
    { args: '--socket x', says: 'no such command: --socket; see postern --help' },

    { args: 'run', says: /^which application\?/ },
    { args: 'run --walk app.js', says: /^Unknown option '--walk'/ },
    { args: 'run app.js other.js', says: /^one application, please; what is other\.js\?/ },
    { args: 'run --max-body much app.js', says: /^--max-body takes a number of bytes/ },
    { args: 'run --as perl app.js', says: '--as takes gateway, node or fetch, not perl' },
    { args: 'run app.js --mount', says: /^Option '--mount <value>' argument missing/ },

    { args: 'cgi', says: /^which application\?/ },
    { args: 'cgi --walk app.js', says: /^Unknown option '--walk'/ },
    {
      args: 'cgi --max-body -1 app.js',
      says: /^Option '--max-body' argument is ambiguous/,
    },

    { args: 'fastcgi', says: /^postern fastcgi <file>/ },
    { args: 'fastcgi app.js', says: /^postern fastcgi <file>/ },
    { args: 'fastcgi --socket s', says: /^postern fastcgi <file>/ },
    { args: 'fastcgi app.js --socket', says: /^Option '--socket <value>' argument missing/ },
    { args: 'fastcgi app.js other.js --socket s', says: /^postern fastcgi <file>/ },
    { args: 'fastcgi app.js --socket s --walk', says: /^Unknown option '--walk'/ },
    {
      args: 'fastcgi app.js --socket s --development=yes',
      says: /^Option '--development' does not take an argument/,
    },
    { args: 'fastcgi app.js --socket s --backlog many', says: '--backlog takes a whole number from 1' },
    { args: 'fastcgi app.js --socket s --backlog 0', says: '--backlog takes a whole number from 1' },
    {
      args: 'fastcgi app.js --socket s --max-concurrent 1.5',
      says: '--max-concurrent takes a whole number from 1',
    },
    { args: 'fastcgi app.js --socket s --max-params x', says: /^--max-params takes a number of bytes/ },
    {
      args: 'fastcgi app.js --socket s --graceful-timeout soon',
      says: '--graceful-timeout takes a number of seconds',
    },
    { args: 'fastcgi app.js --socket s --socket-mode rw', says: /^--socket-mode takes permissions in octal/ },
    {
      args: 'fastcgi app.js --socket s --socket-mode 999',
      says: /^--socket-mode takes permissions in octal/,
    },
    { args: 'fastcgi app.js --socket s --socket-owner nobody-at-all', says: 'no such user: nobody-at-all' },
    { args: 'fastcgi app.js --socket s --socket-owner :nobody-at-all', says: 'no such group: nobody-at-all' },
    {
      args: 'fastcgi app.js --socket s --workers 2',
      says: 'this version runs one process: --workers 0 or 1',
    },
    { args: 'fastcgi app.js --socket s --as perl', says: '--as takes gateway, node or fetch, not perl' },
    { args: 'fastcgi app.js --socket 127.0.0.1:99999', says: 'no such port: 127.0.0.1:99999' },
    { args: 'fastcgi app.js --socket 0.0.0.0:0', says: /^listening on 0\.0\.0\.0:0 needs --allowed-clients/ },
    {
      args: 'fastcgi app.js --socket 127.0.0.1:0 --allowed-clients home',
      says: 'not an address or network: home',
    },

    { args: 'dev', says: /^postern dev <file>/ },
    { args: 'dev app.js other.js', says: /^postern dev <file>/ },
    { args: 'dev app.js --port many', says: '--port takes a whole number from 0' },
    { args: 'dev app.js --port 99999', says: '--port takes a number up to 65535' },
    { args: 'dev app.js --via pigeon', says: /^--via takes .*, not pigeon/ },
    { args: 'dev app.js --as perl', says: '--as takes gateway, node or fetch, not perl' },
    { args: 'dev app.js --walk', says: /^Unknown option '--walk'/ },

    { args: 'server', says: /^which script\?/ },
    { args: 'server --walk app.js', says: /^Unknown option '--walk'/ },
    { args: 'server app.js --socket', says: /^Option '--socket <value>' argument missing/ },
    { args: 'server app.js --max-body much', says: /^--max-body takes a number of bytes/ },
    { args: 'server app.js --workers 2', says: 'this version runs one process: --workers 0 or 1' },
  ])('postern $args', async ({ args, says }) => {
    const result = await postern(args.split(' ').filter((word) => word !== ''));

    expectOneLine(result, 2);
    expect(result.stderr.slice('postern: '.length, -1)).toEqual(
      typeof says === 'string' ? says : expect.stringMatching(says),
    );
  });
});

describe('tells what is wrong with the application in one line, exit status 1:', () => {
  const cases: {
    readonly it: string;
    readonly name?: string;
    readonly code?: string;
    readonly as?: string;
    readonly exportName?: string;
    readonly files?: Readonly<Record<string, string>>;
    readonly says: string | RegExp;
  }[] = [
    { it: 'is not there', name: 'nowhere.js', says: 'no such file: nowhere.js' },
    {
      it: 'is a file that is not there, with an export',
      name: 'nowhere.js:app',
      says: 'no such file: nowhere.js',
    },
    { it: 'is a folder', name: '.', files: {}, says: /^cannot load \.: Error: Cannot find module/ },
    {
      it: 'throws',
      code: `throw new TypeError('as wanted');`,
      says: 'cannot load ./broken.js: TypeError: as wanted (./broken.js:1:7)',
    },
    {
      it: 'throws several lines',
      code: `throw new TypeError('as\\nwanted');`,
      says: /^cannot load \.\/broken\.js: TypeError: as \(/,
    },
    { it: 'throws a string', code: `throw 'as wanted';`, says: 'cannot load ./broken.js: as wanted' },
    { it: 'throws null', code: `throw null;`, says: 'cannot load ./broken.js: null' },
    {
      it: 'throws as an ES module',
      name: 'broken.mjs',
      code: `throw new TypeError('as wanted');`,
      says: /^cannot load \.\/broken\.mjs: TypeError: as wanted \(\S*broken\.mjs:1:7\)$/,
    },
    {
      it: 'is no JavaScript',
      code: `this is not`,
      says: /^cannot load \.\/broken\.js: SyntaxError: .* \(\.\/broken\.js:1\)$/,
    },
    {
      it: 'is no JavaScript as an ES module',
      name: 'broken.mjs',
      code: `this is not`,
      says: /^cannot load \.\/broken\.mjs: SyntaxError: /,
    },
    { it: 'is no TypeScript', name: 'broken.ts', code: `this is not`, says: /^cannot load \.\/broken\.ts: / },
    {
      it: 'misses a module',
      code: `require('nowhere')`,
      says: /^cannot load \.\/broken\.js: Error: Cannot find module 'nowhere'/,
    },
    {
      it: 'misses an imported module',
      name: 'broken.mjs',
      code: `import 'nowhere'`,
      says: /^cannot load \.\/broken\.mjs: Error: Cannot find package 'nowhere'/,
    },
    {
      it: 'has no such export',
      exportName: 'nowhere',
      code: APPLICATION,
      says: './broken.js has no export nowhere',
    },
    {
      it: 'has no such export as an ES module',
      name: 'broken.mjs',
      exportName: 'nowhere',
      code: `export const app = 1;`,
      says: './broken.mjs has no export nowhere',
    },
    {
      it: 'exports nothing',
      code: ``,
      says: './broken.js exports nothing; a script that listens by itself runs with: postern server <script>',
    },
    {
      it: 'listens by itself',
      code: `require('http').createServer().listen(0);`,
      says: './broken.js exports nothing; a script that listens by itself runs with: postern server <script>',
    },
    {
      it: 'exports a number',
      code: `module.exports = 5;`,
      says: './broken.js is a number, not an application',
    },
    { it: 'exports null', code: `module.exports = null;`, says: './broken.js is null, not an application' },
    {
      it: 'exports a string by that name',
      code: `exports.app = 'text';`,
      says: 'the export app of ./broken.js is a string, not an application',
    },
    {
      it: 'exports other things',
      code: `exports.other = () => 1;`,
      says: /^\.\/broken\.js is not an application: neither a function app\(environ, startResponse\), nor/,
    },
    {
      it: 'exports an object by that name',
      code: `exports.handler = {};`,
      says: /^the export handler of \.\/broken\.js exports nothing|is not an application/,
    },
    {
      it: 'exports a class',
      name: 'broken.mjs',
      code: `export default class App {}`,
      says: 'the export default of ./broken.mjs is a class, not an application',
    },
    {
      it: 'exports a function of one argument',
      code: `module.exports = (request) => 1;`,
      says: /^\.\/broken\.js takes one argument: say --as fetch/,
    },
    {
      it: 'exports a function of three arguments',
      code: `module.exports = (req, res, next) => 1;`,
      says: /^\.\/broken\.js takes 3 arguments: say --as node/,
    },
    {
      it: 'is an object, as a gateway application',
      as: 'gateway',
      code: `exports.app = {};`,
      says: 'the export app of ./broken.js is not a function app(environ, startResponse)',
    },
    {
      it: 'is an object, as a Node application',
      as: 'node',
      code: `exports.app = {};`,
      says: 'the export app of ./broken.js is neither a (req, res) function nor an Express, Koa or Fastify application',
    },
    {
      it: 'is an object, as a fetch handler',
      as: 'fetch',
      code: `exports.app = {};`,
      says: 'the export app of ./broken.js is neither a function fetch(request) nor an object that has one',
    },
    {
      it: 'is a promise that is rejected',
      code: `module.exports = Promise.reject(new Error('as wanted'));`,
      says: /as wanted/,
    },
    {
      it: 'is the promise of a number',
      code: `exports.app = Promise.resolve(5);`,
      says: 'the export app of ./broken.js is a number, not an application',
    },
  ];

  test.each(cases)('$it', async ({ name = 'broken.js', code, as, exportName, files, says }) => {
    const args = [
      'fastcgi',
      exportName === undefined ? name : `${name}:${exportName}`,
      '--socket',
      's',
      ...(as === undefined ? [] : ['--as', as]),
    ];
    const result = await postern(args, { files: files ?? (code === undefined ? {} : { [name]: code }) });

    expectOneLine(result, 1);
    expect(result.stderr.slice('postern: '.length, -1)).toEqual(
      typeof says === 'string' ? says : expect.stringMatching(says),
    );
  });

  test.each(['run', 'dev', 'server'])('postern %s, too', async (command) => {
    const result = await postern([command, 'nowhere.js']);

    expectOneLine(result, 1);
    expect(result.stderr).toBe('postern: no such file: nowhere.js\n');
  });

  test('a socket that cannot be had', async () => {
    const result = await postern(['fastcgi', 'app.js', '--socket', 'app.js']);

    expectOneLine(result, 1);
    expect(result.stderr).toMatch(/app\.js exists and is a regular file, not a socket; it is left alone/);
  });
});

function expectOneLine({ exit, stdout, stderr }: Result, wanted: number): void {
  expect({ exit, stdout }).toEqual({ exit: wanted, stdout: '' });
  expect(stderr).toMatch(/^postern: [^\n]+\n$/);
}

describe('postern run', () => {
  test.each([
    { how: 'with nothing as standard input', shell: '</dev/null' },
    { how: 'with standard input closed', shell: '<&-' },
    { how: 'with a pipe', shell: '<<-EOF\n\nEOF\n' },
  ])('explains itself $how, exit status 2', async ({ shell }) => {
    expect(await postern(['run', 'app.js'], { shell })).toEqual({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(/^postern: nothing to serve\./),
    });
  });

  test('answers a CGI request with standard input closed', async () => {
    expect(await postern(['run', 'app.js'], { shell: '<&-', environment: CGI })).toEqual({
      exit: 0,
      stdout: 'Status: 200 OK\r\n\r\nresponse',
      stderr: '',
    });
  });
});

describe('with CGI variables', () => {
  test.each(['run', 'cgi'])('postern %s ignores the words of the query', async (command) => {
    const result = await postern([command, 'app.js', '--walk', '-s', 'other.js'], { environment: CGI });

    expect(result).toEqual({ exit: 0, stdout: 'Status: 200 OK\r\n\r\nresponse', stderr: '' });
  });

  test.each(['run', 'cgi'])('postern %s takes options before the application', async (command) => {
    const files = { 'node.js': `module.exports = (req, res) => res.end(req.url);` };
    const result = await postern([command, '--as', 'node', '--mount', '/app', 'node.js', '--walk'], {
      files,
      environment: { ...CGI, PATH_INFO: '/app/x', REQUEST_URI: '/app/x' },
    });

    expect(result).toMatchObject({ exit: 0, stdout: expect.stringMatching(/\r\n\r\n\/x$/), stderr: '' });
  });

  test.each([
    {
      it: 'an application that cannot be loaded',
      name: 'broken.js',
      says: 'cannot load ./broken.js: Error: as wanted',
    },
    { it: 'a file that is not there', name: 'nowhere.js', says: 'no such file: nowhere.js' },
    {
      it: 'a file that is no application',
      name: 'five.js',
      says: './five.js is a number, not an application',
    },
  ])('$it is a 500, and the log says why', async ({ name, says }) => {
    const files = { 'broken.js': `throw new Error('as wanted')`, 'five.js': `module.exports = 5` };
    const result = await postern(['cgi', name], { files, environment: CGI });

    expect(result).toMatchObject({ exit: 1, stdout: expect.stringMatching(/^Status: 500 /) });
    expect(result.stderr).toContain(says);
  });
});

test('TypeScript without ts-node beside it says so where Node does not run it', async () => {
  const features = process.features as { readonly typescript?: unknown };
  const isRunByNode = features.typescript !== undefined && features.typescript !== false;
  const files = { 'app.ts': `export const app = (environ: object): string => 'x';`, node_modules: '' };
  const result = await withTemporaryFolder((folder) => {
    writeFileSync(join(folder, 'app.ts'), files['app.ts']);

    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'fastcgi', 'app.ts', '--socket', 's'], {
      cwd: folder,
      encoding: 'utf8',
    });

    return Promise.resolve({ status, stderr });
  });

  expect(result.status).toBe(1);
  expect(result.stderr).toMatch(isRunByNode ? /takes one argument/ : /ts-node is not installed beside it/);
});
