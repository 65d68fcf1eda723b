import { describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { chmod, cp, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';
import { request, type HttpOrigin } from '../../support/http-client';
import { processesUsing } from '../../support/processes';
import { startResponder } from '../../support/raw-fastcgi-responder';
import { withTemporaryFolder } from '../../support/temporary-folder';
import { installed } from '../install-servers';
import { frontEnds, type Backend, type FrontEnd } from './front-end';
import { launch } from './launch';

// A server's start, its stop, and a Node program in between, on a loaded machine.
const TIMEOUT_MS = 30_000;

// Answers as the raw FastCGI responder does: with the variables it was given.
const CGI_SCRIPT = '#!/bin/sh\nprintf "Status: 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n"\nenv\n';

/** Node 20 runs no TypeScript, and web servers start one executable file. */
async function fastCgiScript(): Promise<string> {
  const source = await readFile(join(__dirname, '../../support/raw-fastcgi-responder.ts'), 'utf8');
  const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };
  return `#!/usr/bin/env node\n${transpileModule(source, { compilerOptions }).outputText}`;
}

/** Puts the stand-in for an application into the folder; `stop` ends what the test itself has started. */
async function standIn(
  frontEnd: FrontEnd,
  folder: string,
): Promise<{ readonly backend: Backend; readonly stop: () => Promise<void> }> {
  if (frontEnd.starts === 'script') {
    const scriptPath = join(folder, 'stand-in');
    await writeFile(scriptPath, frontEnd.protocol === 'cgi' ? CGI_SCRIPT : await fastCgiScript());
    await chmod(scriptPath, 0o755);
    return { backend: { kind: 'script', scriptPath }, stop: () => Promise.resolve() };
  }

  const socketPath = join(folder, 'stand-in.sock');
  const responder = await startResponder(socketPath);
  const stop = async (): Promise<void> => {
    responder.close();
    await once(responder, 'close');
  };
  return { backend: { kind: 'socket', socketPath }, stop };
}

/** The variables of one request, as the stand-in saw them. */
async function variables(origin: HttpOrigin, target: string): Promise<ReadonlyMap<string, string>> {
  const response = await request(origin, { target });
  expect(response).toMatchObject({ status: 200, complete: true, surplus: Buffer.alloc(0) });

  const lines = response.text.split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

for (const frontEnd of frontEnds) {
  const describeIt = installed(frontEnd.server) ? describe : describe.skip;

  describeIt(frontEnd.name, () => {
    test(
      'answers below its mount point, over TLS too, and leaves nothing behind',
      () =>
        withTemporaryFolder(async (folder) => {
          const { backend, stop } = await standIn(frontEnd, folder);
          const target = `${frontEnd.mount}/some/path?query`;

          try {
            const running = await frontEnd.start(join(folder, 'server'), backend);
            try {
              const plain = await variables(running.origin, target);
              expect(plain.get('REQUEST_URI')).toBe(target);
              expect(plain.get('QUERY_STRING')).toBe('query');
              expect(plain.get('HTTPS') ?? '').not.toBe('on');
              expect(`${plain.get('SCRIPT_NAME') ?? ''}${plain.get('PATH_INFO') ?? ''}`).toBe(
                `${frontEnd.mount}/some/path`,
              );
              // ProxyPass has no notion of a mount point: the whole path is SCRIPT_NAME.
              if (frontEnd.mount !== '' && frontEnd.name !== 'apache ProxyPass mounted') {
                expect(plain.get('SCRIPT_NAME')).toBe(frontEnd.mount);
              }

              // Linux; it also shows that the search at the end would find somebody.
              expect(await processesUsing(folder)).not.toEqual([]);

              const secure = await variables(running.tlsOrigin, target);
              expect(secure.get('HTTPS')).toBe('on');
            } finally {
              await running.stop();
            }
            await expect(request(running.origin)).rejects.toThrow('ECONNREFUSED');
          } finally {
            await stop();
          }
          expect(await processesUsing(folder)).toEqual([]);
        }),
      TIMEOUT_MS,
    );
  });
}

describe('a configuration with a mistake in it', () => {
  const firstOfEach = frontEnds.filter(
    ({ server }, index) => frontEnds.findIndex((each) => each.server === server) === index,
  );

  for (const { server, configFile } of firstOfEach) {
    const testIt = installed(server) ? test : test.skip;

    testIt(
      `is reported in the words of ${server}, and leaves nothing behind`,
      () =>
        withTemporaryFolder(async (folder) => {
          const copies = join(folder, 'copies');
          await cp(dirname(configFile), copies, { recursive: true });
          const mistaken = join(copies, basename(configFile));
          await writeFile(mistaken, 'misspelt on;\n');

          const backend: Backend = { kind: 'socket', socketPath: join(folder, 'nobody.sock') };
          const start = launch({ server, configFile: mistaken }, join(folder, 'server'), backend);

          await expect(start).rejects.toThrow(
            /does not accept connections; its log:[^]*server\/conf\/site\./,
          );
          expect(await processesUsing(folder)).toEqual([]);
        }),
      TIMEOUT_MS,
    );
  }
});
