/**
 * The file of a Unix socket: born with its mode, taken over from a dead process, never from a live one, and nothing
 * that is not a socket is ever removed.
 */
import { chownSync, lstatSync, unlinkSync, type Stats } from 'node:fs';
import { connect, type Server } from 'node:net';
import { GatewayError } from '../../src/errors';

export interface SocketFileOptions {
  /** Permission bits; default 0o660: owner and group, as PHP-FPM's listen.mode. */
  readonly mode: number;
  /** Numbers as in chown; undefined: the process's own. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

export const DEFAULT_SOCKET_MODE = 0o660;

/** How long a connection to a socket file that exists may take; a live peer's kernel answers at once. */
const PROBE_TIMEOUT_MS = 2000;

/** @throws {GatewayError} `ERR_SOCKET_IN_USE`, `ERR_SOCKET_PATH`, `ERR_LISTEN` */
export async function listenOnUnixSocket(
  server: Server,
  path: string,
  backlog: number,
  options: SocketFileOptions,
): Promise<void> {
  await removeStaleSocket(path);

  await listening(server, path, () => {
    // bind() happens inside listen(), so the umask decides the mode and there is no moment at which it is wider.
    const umask = process.umask(0o777 & ~options.mode);

    try {
      server.listen({ path, backlog });
    } finally {
      process.umask(umask);
    }
  });
  if (options.owner !== undefined) {
    changeOwner(server, path, options.owner);
  }
}

/** Resolves when `listen` has worked; the error says where it was. */
export function listening(server: Server, where: string, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      server.removeListener('listening', onListening);
      reject(listenError(error, where));
    };
    const onListening = (): void => {
      server.removeListener('error', onError);
      resolve();
    };

    server.once('error', onError);
    server.once('listening', onListening);
    listen();
  });
}

function listenError(error: NodeJS.ErrnoException, where: string): GatewayError {
  const code = error.code === 'EADDRINUSE' ? 'ERR_SOCKET_IN_USE' : 'ERR_LISTEN';
  const reason = error.code === 'EADDRINUSE' ? 'somebody already listens there' : error.message;

  return new GatewayError(code, `cannot listen on ${where}: ${reason}`, { cause: error });
}

function changeOwner(server: Server, path: string, { uid, gid }: { uid: number; gid: number }): void {
  try {
    chownSync(path, uid, gid);
  } catch (error) {
    server.close();
    throw new GatewayError('ERR_SOCKET_PATH', `cannot give ${path} to ${String(uid)}:${String(gid)}`, {
      cause: error,
    });
  }
}

async function removeStaleSocket(path: string): Promise<void> {
  const before = fileAt(path);

  if (before === undefined) {
    return;
  }
  if (!before.isSocket()) {
    throw new GatewayError(
      'ERR_SOCKET_PATH',
      `${path} exists and is ${kindOf(before)}, not a socket; it is left alone`,
    );
  }
  await assertNobodyListens(path);

  const after = fileAt(path);

  // Another process may have taken over in the meantime: then it is no longer the dead one's, even if the file system
  // has used the number of its inode again.
  if (after?.ino === before.ino && after.ctimeMs === before.ctimeMs) {
    unlinkSync(path);
  }
}

function fileAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new GatewayError('ERR_SOCKET_PATH', `cannot look at ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function kindOf(file: Stats): string {
  if (file.isSymbolicLink()) {
    return 'a symbolic link';
  }
  if (file.isDirectory()) {
    return 'a directory';
  }
  return file.isFile() ? 'a regular file' : 'something else';
}

function assertNobodyListens(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = connect({ path });
    const settle = (error?: GatewayError): void => {
      probe.destroy();
      if (error === undefined) {
        resolve();
      } else {
        reject(error);
      }
    };

    probe.setTimeout(PROBE_TIMEOUT_MS, () => settle(inUse(path)));
    probe.once('connect', () => settle(inUse(path)));
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') {
        settle();
      } else if (error.code === 'EAGAIN') {
        // Its backlog is full: it is alive, and busy.
        settle(inUse(path));
      } else {
        settle(
          new GatewayError('ERR_SOCKET_PATH', `cannot tell who owns ${path}: ${error.message}`, {
            cause: error,
          }),
        );
      }
    });
  });
}

function inUse(path: string): GatewayError {
  return new GatewayError('ERR_SOCKET_IN_USE', `a live process listens on ${path}`);
}
