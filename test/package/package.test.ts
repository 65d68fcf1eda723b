/** The packed tarball, installed elsewhere, used as a reader of the README would use it. */
import { expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { installed } from '../e2e/install-servers';
import { frontEnds, type FrontEnd } from '../e2e/servers/front-end';
import { request } from '../support/http-client';
import { withTemporaryFolder } from '../support/temporary-folder';

const ROOT = resolve(__dirname, '../..');

const APPLICATION = `
module.exports = function app(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain'], ['X-App', 'five-lines']]);
  return [environ.REQUEST_METHOD, ' ', environ.PATH_INFO, ' ', String(environ['wsgi.run_once']), '\\n'];
};
`;

const SCRIPTS = {
  CommonJS: {
    file: 'main.js',
    text: `#!/usr/bin/env node
const { run } = require('postern/run');
const app = require('./app.js');

run(app);
`,
  },
  ESM: {
    file: 'main.mjs',
    text: `#!/usr/bin/env node
import { run } from 'postern/run';
import app from './app.js';

run(app);
`,
  },
} as const;

const ENTRIES = ['postern', 'postern/run', 'postern/cgi', 'postern/fastcgi', 'postern/http'];

/** A project somewhere else that has the packed package installed. */
async function withInstalledPackage<T>(use: (folder: string) => Promise<T>): Promise<T> {
  return withTemporaryFolder(async (folder) => {
    // The test command has built dist already; packing must not race with a second build.
    execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {
      cwd: ROOT,
      stdio: 'pipe',
    });

    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? 'no tarball';

    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', join(folder, tarball)], {
      cwd: folder,
      stdio: 'pipe',
    });
    writeFileSync(join(folder, 'app.js'), APPLICATION);
    for (const { file, text } of Object.values(SCRIPTS)) {
      writeFileSync(join(folder, file), text);
      chmodSync(join(folder, file), 0o755);
    }
    return use(folder);
  });
}

function node(folder: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });

  if (status !== 0) {
    throw new Error(stderr);
  }
  return stdout;
}

test('the package has no run-time dependency, and holds no test and no source map of anybody’s folder', async () => {
  await withInstalledPackage((folder) => {
    expect(readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
      'postern',
    ]);
    expect(existsSync(join(folder, 'node_modules/postern/test'))).toBe(false);
    return Promise.resolve();
  });
}, 60_000);

test('CommonJS and ES modules import the same names and the same classes', async () => {
  await withInstalledPackage((folder) => {
    for (const entry of ENTRIES) {
      const required = node(folder, '-p', `Object.keys(require('${entry}')).sort().join()`).trim();
      const imported = node(
        folder,
        '--input-type=module',
        '-e',
        `import * as all from '${entry}'; console.log(Object.keys(all).filter((name) => !['default', 'module.exports', '__esModule'].includes(name)).sort().join());`,
      ).trim();

      expect(required).not.toBe('');
      expect(imported).toBe(required);
    }
    expect(
      node(
        folder,
        '--input-type=module',
        '-e',
        `import { createRequire } from 'node:module'; import { PeerError } from 'postern';
         console.log(createRequire(import.meta.url)('postern').PeerError === PeerError);`,
      ),
    ).toBe('true\n');
    return Promise.resolve();
  });
}, 60_000);

test('the types check from CommonJS and from ES modules, and refuse what is wrong', async () => {
  await withInstalledPackage((folder) => {
    cpSync(join(ROOT, 'test/types'), join(folder, 'types'), { recursive: true });
    mkdirSync(join(folder, 'node_modules/@types'));
    symlinkSync(join(ROOT, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
    symlinkSync(join(ROOT, 'node_modules/undici-types'), join(folder, 'node_modules/undici-types'));
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { module: 'node20', target: 'es2023', strict: true, noEmit: true, types: ['node'] },
        include: ['types'],
      }),
    );

    const { status, stdout } = spawnSync(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );

    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    return Promise.resolve();
  });
}, 60_000);

test('the installed command says its version, and what it does not know in one line', async () => {
  await withInstalledPackage((folder) => {
    const postern = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(join(folder, 'node_modules/.bin/postern'), args, { cwd: folder, encoding: 'utf8' });

    expect(postern('--version').stdout).toMatch(/^postern \d+\.\d+\.\d+\n$/);
    expect(postern('--help').stdout).toContain('postern fastcgi <app>');
    expect(postern('fly')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^postern: no such command: fly.*\n$/),
    });
    expect(postern('fastcgi', 'missing.js', '--socket', 'x.sock')).toMatchObject({
      status: 1,
      stderr: 'postern: no such file: missing.js\n',
    });
    return Promise.resolve();
  });
}, 60_000);

/** Where the README says that the five-line script runs. */
const SCRIPT_FRONT_ENDS = [
  'apache mod_cgid mounted',
  'apache mod_cgi mounted',
  'lighttpd mod_cgi mounted',
  'apache mod_fcgid mounted',
  'lighttpd bin-path mounted',
];

for (const frontEnd of frontEnds.filter(({ name }) => SCRIPT_FRONT_ENDS.includes(name))) {
  for (const [style, { file }] of Object.entries(SCRIPTS)) {
    const testOrLeftOut = installed(frontEnd.server) ? test : test.skip;

    testOrLeftOut(
      `the five-line ${style} script answers under ${frontEnd.name}`,
      async () => {
        await withInstalledPackage((folder) => answersUnder(frontEnd, folder, file));
      },
      60_000,
    );
  }
}

async function answersUnder(frontEnd: FrontEnd, folder: string, file: string): Promise<void> {
  // Node goes by the name of the file that the link leads to: an ES module cannot be called .cgi itself.
  const script = join(folder, frontEnd.protocol === 'cgi' ? 'app.cgi' : 'app.fcgi');
  symlinkSync(file, script);
  mkdirSync(join(folder, 'server'));

  const running = await frontEnd.start(join(folder, 'server'), { kind: 'script', scriptPath: script });

  try {
    const response = await request(running.origin, { target: '/app/some/path' });

    expect(response).toMatchObject({
      status: 200,
      text: `GET /some/path ${String(frontEnd.protocol === 'cgi')}\n`,
    });
    expect(response.header('X-App')).toBe('five-lines');
  } finally {
    await running.stop();
  }
}
