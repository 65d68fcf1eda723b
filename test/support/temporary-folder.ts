import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Short on purpose: the path of a Unix socket inside must stay below 104 bytes (sun_path, BSD; 108 on Linux). */
const PREFIX = 'postern-';

/** Gives `use` a new folder and removes it afterwards, whatever happens. */
export async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), PREFIX));
  // mkdtemp lets nobody else in, but a web server started by root serves as somebody else.
  await chmod(folder, 0o755);

  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
