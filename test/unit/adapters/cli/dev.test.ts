import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, jest, test } from '@jest/globals';
import { startDevFront, type DevFront, type DevOptions } from '../../../../adapters/cli/dev';
import type { Application } from '../../../../src/gateway/types';
import { withTemporaryFolder } from '../../../support/temporary-folder';

// Processes that compile TypeScript first.
jest.setTimeout(60_000);

const DEV_MODULE = resolve(__dirname, '../../../../adapters/cli/dev.ts');

const application: Application = (environ, startResponse) => {
  if (environ.PATH_INFO === '/fail') {
    throw new Error('as wanted');
  }
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return `${environ.SCRIPT_NAME}|${environ.PATH_INFO}|${String(environ['fastcgi.role'])}`;
};

async function withDevFront(
  options: Partial<DevOptions>,
  use: (front: DevFront) => Promise<void>,
): Promise<void> {
  const front = await startDevFront({
    name: 'app.js',
    load: () => application,
    port: 0,
    errorLog: () => undefined,
    ...options,
  });

  try {
    await use(front);
  } finally {
    front.abort();
    await front.close();
  }
}

async function textOf(url: string): Promise<string> {
  return (await fetch(url)).text();
}

describe('the development front', () => {
  for (const { via, role } of [
    { via: 'direct', role: 'undefined' },
    { via: 'fastcgi', role: 'RESPONDER' },
  ] as const) {
    test(`calls the application: ${via}`, async () => {
      await withDevFront({ via }, async ({ url }) => {
        expect(await textOf(`${url}x`)).toBe(`|/x|${role}`);
      });
    });

    test(`is mounted, and says so in its URL: ${via}`, async () => {
      await withDevFront({ via, mount: '/app' }, async ({ url }) => {
        expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/app$/);
        expect(await textOf(`${url}/x`)).toBe(`/app|/x|${role}`);
      });
    });

    test(`shows errors: ${via}`, async () => {
      await withDevFront({ via }, async ({ url }) => {
        const response = await fetch(`${url}fail`);

        expect(response.status).toBe(500);
        expect(await response.text()).toContain('as wanted');
      });
    });
  }

  for (const via of ['direct', 'fastcgi'] as const) {
    test(`leaves nothing behind when its port is in use: ${via}`, async () => {
      await withTemporaryFolder(async (folder) => {
        const temporaryFolder = process.env['TMPDIR'];
        const busy = createServer().listen(0, '127.0.0.1');

        await once(busy, 'listening');
        process.env['TMPDIR'] = folder;

        const address = busy.address();
        const port = typeof address === 'object' ? address?.port : 0;

        try {
          await expect(
            startDevFront({ name: 'app.js', load: () => application, via, port }),
          ).rejects.toMatchObject({
            code: 'ERR_SOCKET_IN_USE',
            message: `port ${String(port)} on 127.0.0.1 is in use`,
          });
          expect(readdirSync(folder)).toEqual([]);
        } finally {
          if (temporaryFolder === undefined) {
            delete process.env['TMPDIR'];
          } else {
            process.env['TMPDIR'] = temporaryFolder;
          }
          busy.close();
        }
      });
    });
  }
});

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** `dev` in a process of its own: what the command does with its options, and how it ends. */
async function withDevProcess(
  options: Partial<Omit<DevOptions, 'load'>>,
  use: (child: Child, url: string, folder: string) => Promise<void>,
): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const app = join(folder, 'app.js');
    const launcher = join(folder, 'launcher.js');
    const given = { name: app, port: 0, ...options };

    await writeFile(app, `module.exports = ${APP};`);
    await writeFile(
      launcher,
      `require(${JSON.stringify(DEV_MODULE)}).dev({
        ...${JSON.stringify(given)},
        load: () => require(${JSON.stringify(app)}),
      });`,
    );

    const child = spawn(process.execPath, ['-r', 'ts-node/register/transpile-only', launcher], {
      // ts-node 10 takes TypeScript 6's hint about rootDir (TS5011) for an error.
      env: { ...process.env, TMPDIR: folder, TS_NODE_IGNORE_DIAGNOSTICS: '5011' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });

    child.stderr.resume();
    try {
      await use(child, await readUrl(child), folder);
    } finally {
      child.kill('SIGKILL');
    }
  });
}

const APP = `(environ, startResponse) => {
  if (environ.PATH_INFO === '/fail') throw new Error('as wanted');
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return environ.PATH_INFO + '|' + environ['wsgi.run_once'];
}`;

/** The one line on standard output. */
async function readUrl(child: Child): Promise<string> {
  let text = '';

  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes('\n')) {
      break;
    }
  }

  const url = /^Listening on (http:\/\/127\.0\.0\.1:\d+\/) \(via (?:direct|fastcgi|cgi)\)\n$/.exec(text)?.[1];

  if (url === undefined) {
    throw new Error(`not the banner: ${JSON.stringify(text)}`);
  }
  return url;
}

describe('the development process', () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`ends well on ${signal}, and its folder with it`, async () => {
      await withDevProcess({ via: 'fastcgi' }, async (child, url, folder) => {
        const isThere = (): boolean => readdirSync(folder).some((name) => name.startsWith('postern-dev-'));

        expect(await textOf(`${url}x`)).toBe('/x|false');
        expect(isThere()).toBe(true);
        child.kill(signal);
        await once(child, 'exit');
        expect(child.exitCode).toBe(0);
        expect(isThere()).toBe(false);
      });
    });
  }

  test('via cgi runs a process for each request, which shows its errors', async () => {
    await withDevProcess({ via: 'cgi' }, async (_child, url, folder) => {
      expect(existsSync(join(folder, 'app.js'))).toBe(true);
      expect(await textOf(`${url}x`)).toBe('/x|true');
      expect(await textOf(`${url}fail`)).toContain('as wanted');
    });
  });
});
