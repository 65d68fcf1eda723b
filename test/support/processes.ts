import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Every other process that has to do with a folder: names it on its command line, works in it, or holds a file
 * in it open. One line each, for an assertion that says what was left behind. Linux only; empty elsewhere.
 */
export async function processesUsing(folder: string): Promise<readonly string[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const lines = await Promise.all(pids.map((pid) => describeUse(pid, folder)));
  return lines.filter((line) => line !== undefined);
}

async function describeUse(pid: string, folder: string): Promise<string | undefined> {
  const root = join('/proc', pid);
  // A process may end while it is looked at; what cannot be read any more is not in use.
  const command = await readFile(join(root, 'cmdline'), 'latin1').catch(() => '');
  const descriptors = await readdir(join(root, 'fd')).catch(() => []);
  const links = ['cwd', 'exe', ...descriptors.map((descriptor) => join('fd', descriptor))];
  const targets = await Promise.all(links.map((link) => readlink(join(root, link)).catch(() => '')));
  const used = [command.replaceAll('\0', ' '), ...targets].find((text) => text.includes(folder));
  return used === undefined ? undefined : `${pid} (${command.replaceAll('\0', ' ').trim()}): ${used}`;
}
