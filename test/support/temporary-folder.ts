import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Short on purpose: the path of a Unix socket inside must stay below 104 bytes (sun_path, BSD; 108 on Linux). */
const PREFIX = 'postern-';

export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** For those who cannot say in one function what they need it for; `remove` is theirs to call. */
export async function openTemporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), PREFIX));
  // mkdtemp lets nobody else in, but a web server started by root serves as somebody else.
  await chmod(path, 0o755);

  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Gives `use` a new folder and removes it afterwards, whatever happens. */
export async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await openTemporaryFolder();

  try {
    return await use(folder.path);
  } finally {
    await folder.remove();
  }
}
