/** Scripts that listen by themselves, as their frameworks' documentation writes them, behind real web servers. */
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { request } from '../support/http-client';
import { withTemporaryFolder } from '../support/temporary-folder';
import { withScript } from '../unit/adapters/server/script-process';
import { installed } from './install-servers';
import { frontEnds, type FrontEnd, type RunningFrontEnd } from './servers/front-end';

jest.setTimeout(60_000);

const ROOT = join(__dirname, '../..');

const HONO = `
import { serve } from '@hono/node-server';
import { getConnInfo } from '@hono/node-server/conninfo';
import { Hono } from 'hono';
import { streamText } from 'hono/streaming';

const app = new Hono();

app.get('/hello/:name', (c) => c.text('hello ' + c.req.param('name')));
app.post('/upload', async (c) => c.json({ length: (await c.req.arrayBuffer()).byteLength }));
app.get('/address', (c) => c.text(getConnInfo(c).remote.address ?? ''));
app.get('/stream', (c) =>
  streamText(c, async (stream) => {
    for (const line of ['one', 'two', 'three']) await stream.writeln(line);
  }),
);

serve({ fetch: app.fetch, port: 3000 }, (info) => {
  console.log('Listening on http://localhost:' + info.port);
});
`;

const EXPRESS = `
const express = require('express');
const app = express();

app.use(express.json());
app.get('/', (req, res) => {
  res.cookie('seen', 'yes').send('Hello World!');
});
app.post('/echo', (req, res) => {
  res.status(201).json({ body: req.body, base: req.baseUrl });
});
app.get('/fails', () => {
  throw new Error('as wanted');
});

app.listen(3000, () => {
  console.log('Example app listening on port 3000');
});
`;

function named(names: readonly string[]): FrontEnd[] {
  return names.map((name) => {
    const found = frontEnds.find((frontEnd) => frontEnd.name === name);

    if (found === undefined) {
      throw new Error(`no front end ${name}`);
    }
    return found;
  });
}

for (const frontEnd of named(['nginx', 'nginx keep-conn', 'caddy'])) {
  const describeIt = installed(frontEnd.server) ? describe : describe.skip;

  describeIt(`Hono with serve(), a FastCGI daemon behind ${frontEnd.name}`, () => {
    test('answers', async () => {
      await withScript({ name: 'app.mjs', script: HONO }, async (script) => {
        await script.printed(/^Listening on http:\/\/localhost:3000$/m);

        const server = await frontEnd.start(join(script.folder, 'server'), {
          kind: 'socket',
          socketPath: join(script.folder, 's'),
        });

        try {
          await askHono(server);
        } finally {
          await server.stop();
        }
      });
    });
  });
}

async function askHono({ origin }: RunningFrontEnd): Promise<void> {
  expect(await request(origin, { target: '/hello/a%2Fb' })).toMatchObject({ status: 200, text: 'hello a/b' });
  expect(
    await request(origin, { target: '/upload', method: 'POST', body: Buffer.alloc(200_000) }),
  ).toMatchObject({ status: 200, text: '{"length":200000}' });
  expect(await request(origin, { target: '/address' })).toMatchObject({ text: '127.0.0.1' });
  expect(await request(origin, { target: '/stream' })).toMatchObject({
    text: 'one\ntwo\nthree\n',
    complete: true,
  });
  expect(await request(origin, { target: '/nowhere' })).toMatchObject({ status: 404 });
}

/** Every way in which a web server starts a program; how it was started, the program finds out. */
for (const frontEnd of named([
  'apache mod_cgid',
  'apache mod_cgi mounted',
  'apache mod_fcgid',
  'lighttpd bin-path mounted',
])) {
  const describeIt = installed(frontEnd.server) ? describe : describe.skip;

  describeIt(`Express with listen(3000), started by ${frontEnd.name}`, () => {
    test('answers', async () => {
      await withTemporaryFolder(async (folder) => {
        const scriptPath = await installScript(folder);
        const server = await frontEnd.start(join(folder, 'server'), { kind: 'script', scriptPath });

        try {
          await askExpress(frontEnd, server);
        } finally {
          await server.stop();
        }
      });
    });
  });
}

async function askExpress({ mount, protocol }: FrontEnd, server: RunningFrontEnd): Promise<void> {
  const { origin } = server;
  const hello = await request(origin, { target: `${mount}/` });

  expect(hello).toMatchObject({ status: 200, text: 'Hello World!' });
  expect(hello.header('set-cookie')).toBe('seen=yes; Path=/');
  expect(
    await request(origin, {
      target: `${mount}/echo`,
      method: 'POST',
      headers: [['Content-Type', 'application/json']],
      body: '{"a":[1,2]}',
    }),
  ).toMatchObject({ status: 201, text: JSON.stringify({ body: { a: [1, 2] }, base: mount }) });
  expect(await request(origin, { target: `${mount}/fails` })).toMatchObject({ status: 500 });
  if (protocol === 'cgi') {
    // What a script prints is not for the client. As a FastCGI program it has the output it was born with.
    expect(await server.errorLog()).toContain('Example app listening on port 3000');
  }
}

/** The script, its framework, the built package, and the one line that starts it; to be read by any user. */
async function installScript(folder: string): Promise<string> {
  const packageFolder = join(folder, 'node_modules/postern');
  const scriptPath = join(folder, 'start');

  await mkdir(packageFolder, { recursive: true });
  await cp(join(ROOT, 'dist'), join(packageFolder, 'dist'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(packageFolder, 'package.json'));
  await copyPackage('express', folder, new Set());
  await writeFile(join(folder, 'app.js'), EXPRESS);
  await writeFile(
    scriptPath,
    `#!/bin/sh\nexec node ${join(packageFolder, 'dist/postern.js')} server ${join(folder, 'app.js')}\n`,
  );
  await chmod(scriptPath, 0o755);
  return scriptPath;
}

/** With all that it depends on: a copy, because the web server's user need not be able to enter the checkout. */
async function copyPackage(name: string, folder: string, done: Set<string>): Promise<void> {
  if (done.has(name)) {
    return;
  }
  done.add(name);

  const source = join(ROOT, 'node_modules', name);
  const { dependencies = {} } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };

  await cp(source, join(folder, 'node_modules', name), { recursive: true });
  for (const dependency of Object.keys(dependencies)) {
    await copyPackage(dependency, folder, done);
  }
}
