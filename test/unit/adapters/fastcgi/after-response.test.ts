import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { RawClient } from '../../../support/raw-client';
import { withTemporaryFolder } from '../../../support/temporary-folder';

/** Computes until the client says that it has its answer, or for five seconds, and then tells which it was. */
const APPLICATION = `
const { existsSync, writeFileSync } = require('node:fs');
module.exports = (environ, startResponse) => {
  environ['postern.after_response'](() => {
    const end = Date.now() + 5000;
    while (Date.now() < end && !existsSync('answered')) {}
    writeFileSync('told', existsSync('answered') ? 'after the response' : 'before it');
  });
  startResponse('200 OK', []);
  return 'done';
};
`;

test('a task after the response computes only when the client has its answer', async () => {
  await withTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'app.js'), APPLICATION);

    const daemon = spawn(
      process.execPath,
      [resolve('dist/postern.js'), 'fastcgi', 'app.js', '--socket', 'app.sock'],
      {
        cwd: folder,
        stdio: 'ignore',
      },
    );

    try {
      await until(() => existsSync(join(folder, 'app.sock')));

      const client = await RawClient.connect(join(folder, 'app.sock'));
      const response = await client.request([['REQUEST_METHOD', 'GET']], '', { timeoutMs: 10_000 });

      writeFileSync(join(folder, 'answered'), '');
      expect(response.stdout.toString()).toMatch(/done$/);
      await until(() => existsSync(join(folder, 'told')));
      expect(readFileSync(join(folder, 'told'), 'utf8')).toBe('after the response');
      await client.destroy();
    } finally {
      daemon.kill('SIGKILL');
    }
  });
}, 20_000);

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !condition(); tries++) {
    await sleep(25);
  }
}
