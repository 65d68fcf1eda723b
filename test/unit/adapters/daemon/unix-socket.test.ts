import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { DEFAULT_SOCKET_MODE, listenOnUnixSocket } from '../../../../adapters/daemon/index';
import { RawClient } from '../../../support/raw-client';
import { withTemporaryFolder } from '../../../support/temporary-folder';

const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => close(server)));
});

async function listen(path: string, mode = DEFAULT_SOCKET_MODE): Promise<Server> {
  const server = createServer();

  servers.push(server);
  await listenOnUnixSocket(server, path, 16, { mode });
  return server;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o777;
}

/** The file of a socket whose process is dead. */
function leaveStaleSocket(path: string): void {
  // The process ends without closing, so that nobody removes the file.
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;

  spawnSync(process.execPath, ['-e', script]);
  expect(lstatSync(path).isSocket()).toBe(true);
}

describe('the mode of the file', () => {
  for (const umask of [0o000, 0o022, 0o077, 0o777]) {
    test.each([0o660, 0o600, 0o666])(
      `is %d from birth with umask ${umask.toString(8)}, and the umask stays`,
      async (mode) => {
        await withTemporaryFolder(async (folder) => {
          const path = join(folder, 's');
          const before = process.umask(umask);

          try {
            await listen(path, mode);
            expect(modeOf(path)).toBe(mode);
            expect(process.umask(umask)).toBe(umask);
          } finally {
            process.umask(before);
          }
        });
      },
    );
  }

  test('is right at the first moment, and files made meanwhile are as the umask says', async () => {
    await withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');
      const before = process.umask(0o022);

      try {
        const listening = listen(path);

        // The file is there as soon as the check for a stale one is over; nobody has waited for it to be announced.
        while (!existsSync(path)) {
          await Promise.resolve();
        }
        expect(modeOf(path)).toBe(0o660);
        mkdirSync(join(folder, 'd'));
        expect(modeOf(join(folder, 'd'))).toBe(0o755);
        await listening;
      } finally {
        process.umask(before);
      }
    });
  });
});

describe('a file that is there already', () => {
  test('is taken over when it is a socket that nobody listens on', async () => {
    await withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');

      leaveStaleSocket(path);
      await listen(path);
      await (await RawClient.connect(path)).destroy();
    });
  });

  test('is left alone when somebody listens on it', async () => {
    await withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');

      await listen(path);

      const { ino } = lstatSync(path);

      await expect(listen(path)).rejects.toMatchObject({
        code: 'ERR_SOCKET_IN_USE',
        message: `a live process listens on ${path}`,
      });
      expect(lstatSync(path).ino).toBe(ino);
      await (await RawClient.connect(path)).destroy();
    });
  });

  test('is left alone when it became live while it was looked at', async () => {
    await withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');

      leaveStaleSocket(path);

      const late = listen(path);

      // A faster one takes it over, perhaps with the same inode number.
      unlinkSync(path);

      const faster = createServer();

      servers.push(faster);
      faster.listen(path);
      await expect(late).rejects.toMatchObject({ code: 'ERR_SOCKET_IN_USE' });
      await (await RawClient.connect(path)).destroy();
    });
  });

  test('is left alone when it is a regular file', async () => {
    await withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');

      writeFileSync(path, 'precious');
      await expect(listen(path)).rejects.toMatchObject({
        code: 'ERR_SOCKET_PATH',
        message: `${path} exists and is a regular file, not a socket; it is left alone`,
      });
      expect(readFileSync(path, 'utf8')).toBe('precious');
    });
  });

  test('is left alone when it is a directory', async () => {
    await withTemporaryFolder(async (folder) => {
      await expect(listen(folder)).rejects.toMatchObject({
        code: 'ERR_SOCKET_PATH',
        message: `${folder} exists and is a directory, not a socket; it is left alone`,
      });
      expect(lstatSync(folder).isDirectory()).toBe(true);
    });
  });

  test.each(['a stale socket', 'a regular file', 'nothing'])(
    'is left alone when it is a symbolic link to %s',
    async (what) => {
      await withTemporaryFolder(async (folder) => {
        const [path, target] = [join(folder, 's'), join(folder, 'target')];

        if (what === 'a stale socket') {
          leaveStaleSocket(target);
        } else if (what === 'a regular file') {
          writeFileSync(target, 'precious');
        }
        symlinkSync(target, path);
        await expect(listen(path)).rejects.toMatchObject({
          code: 'ERR_SOCKET_PATH',
          message: `${path} exists and is a symbolic link, not a socket; it is left alone`,
        });
        expect(lstatSync(path).isSymbolicLink()).toBe(true);
        expect(existsSync(target)).toBe(what !== 'nothing');
      });
    },
  );
});

test('the file is removed on close', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 's');

    await close(await listen(path));
    expect(existsSync(path)).toBe(false);
  });
});

test('a folder that does not exist is a clear error', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'none', 's');

    await expect(listen(path)).rejects.toMatchObject({ name: 'GatewayError', code: 'ERR_LISTEN' });
    await expect(listen(path)).rejects.toThrow(path);
  });
});

test('a file that was moved away by somebody else is no trouble on close', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 's');
    const server = await listen(path);

    renameSync(path, join(folder, 'moved'));
    await close(server);
    expect(existsSync(path)).toBe(false);
  });
});
