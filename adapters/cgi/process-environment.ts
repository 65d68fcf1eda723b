/** The meta-variables (RFC 3875 §4.1) as bytes, one latin-1 code point each; Node's `process.env` has them as UTF-8. */
import { closeSync, openSync, readSync } from 'node:fs';

export type Variable = readonly [name: string, value: string];

/** Every variable that the process was started with, as the script has changed them since. */
export function readEnvironment(): Variable[] {
  return mergeEnvironment(readInitialEnvironment(), process.env);
}

/**
 * @param initial what the process was started with, `NAME=value` each; repeated names stay repeated, because
 *   fcgiwrap and lighttpd 1.4.69 pass a repeated header so and `process.env` shows only the first.
 * @param current wins over `initial` where it says something else.
 */
export function mergeEnvironment(initial: readonly string[], current: NodeJS.ProcessEnv): Variable[] {
  const variables: Variable[] = [];
  const isUnchanged = new Map<string, boolean>();

  for (const entry of initial) {
    const split = entry.indexOf('=', 1);

    if (split === -1) {
      continue;
    }

    const name = entry.slice(0, split);
    const value = entry.slice(split + 1);
    let unchanged = isUnchanged.get(name);

    if (unchanged === undefined) {
      // The first of several is the one that getenv(3) finds.
      unchanged = current[asUtf8(name)] === asUtf8(value);
      isUnchanged.set(name, unchanged);
    }
    if (unchanged) {
      variables.push([name, value]);
    }
  }
  for (const [key, value] of Object.entries(current)) {
    const name = asBytes(key);

    if (isUnchanged.get(name) !== true && value !== undefined) {
      variables.push([name, asBytes(value)]);
    }
  }
  return variables;
}

function readInitialEnvironment(): string[] {
  if (process.platform !== 'linux') {
    return [];
  }
  try {
    return readLatin1('/proc/self/environ').split('\0');
  } catch {
    // No /proc, or a process that changed its user: only what Node has decoded is left.
    return [];
  }
}

/** Larger than the environment of any request that a server's limits let through; a larger one is read in parts. */
const BLOCK_BYTES = 65536;

/** `readFileSync` takes as long as half of the gateway's own modules when it is first called (Node 20). */
function readLatin1(path: string): string {
  const file = openSync(path, 'r');
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  let text = '';

  try {
    for (let length = -1; length !== 0;) {
      length = readSync(file, block);
      text += block.toString('latin1', 0, length);
    }
  } finally {
    closeSync(file);
  }
  return text;
}

const NOT_ASCII = /[^\x00-\x7f]/;

/** What Node makes of these bytes in `process.env`. */
function asUtf8(bytes: string): string {
  return NOT_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

function asBytes(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}
