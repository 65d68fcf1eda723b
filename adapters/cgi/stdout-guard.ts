/**
 * File descriptor 1 is the response. Whatever else is printed there, by the application, a library or a child, would
 * become part of it, so it is sent to standard error instead.
 *
 * On Linux a pipe is opened a second time and number 1 is given to standard error: nothing gets around that. A socket
 * (Apache's mod_cgid) cannot be opened again, nor can the pipe of another user (suexec): there the response stays on
 * number 1 and Node's own ways of writing to it lead elsewhere. What is left open then: worker threads and native
 * code that write to number 1 themselves, and children that were started before.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { netModule } from '../exchange/builtin';

const STDOUT = 1;
const STDERR = 2;

/** Standard output, taken over for the response. */
export interface ResponseDescriptor {
  readonly fd: number;
  /** A write that would have to wait fails with EAGAIN. */
  readonly isNonBlocking: boolean;
  /** A pipe or a socket; a file or a terminal is always ready. */
  readonly isPollable: boolean;
  /** Its stream, for when it has to be waited for. `write` of this instance may lead to standard error. */
  readonly openSocket: () => Socket;
  /** Ends the response for its reader while the process lives on. */
  readonly close: () => void;
}

/** Takes standard output away from everybody else. */
export function takeStdout(): ResponseDescriptor {
  const stats = fstatSync(STDOUT);
  const isPipe = stats.isFIFO();

  return (isPipe ? reopenPipe() : undefined) ?? guardInPlace(isPipe, stats.isSocket());
}

function reopenPipe(): ResponseDescriptor | undefined {
  const files: number[] = [];

  try {
    // Non-blocking, or opening it would wait for a reader that has left.
    files.push(openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK));
    files.push(openSync('/proc/self/fd/2', 'a'));
  } catch {
    // No /proc, another user's pipe, or standard error is a socket.
    files.forEach(closeSync);
    return undefined;
  }

  const [fd, errors] = files as [number, number];

  closeSync(STDOUT);
  if (openSync('/proc/self/fd/2', 'a') !== STDOUT) {
    // Another thread opened a file in between, and the number is that file's now.
    redirectConsole();
    redirectChildren();
  }
  closeSync(errors);

  let socket: Socket | undefined;

  return {
    fd,
    isNonBlocking: true,
    isPollable: true,
    openSocket: () => (socket = new (netModule().Socket)({ fd, readable: false, writable: true })),
    close: () => {
      if (socket === undefined) {
        closeSync(fd);
      } else {
        socket.destroy();
      }
    },
  };
}

function guardInPlace(isPipe: boolean, isSocket: boolean): ResponseDescriptor {
  const openSocket = redirectConsole();

  redirectFileSystem();
  redirectChildren();
  return {
    fd: STDOUT,
    isNonBlocking: false,
    isPollable: isPipe || isSocket,
    openSocket,
    close: () => {
      if (isSocket) {
        // A half-close: with mod_cgid descriptor 0 is the same socket, so that closing would end nothing.
        openSocket().end();
      } else if (isPipe) {
        closeSync(STDOUT);
        openSync('/dev/null', 'w');
      }
    },
  };
}

/** @returns what `process.stdout` was; the stream is made only then. */
function redirectConsole(): () => Socket {
  // Node defines it as an accessor of the process itself.
  const property = Object.getOwnPropertyDescriptor(process, 'stdout');
  const openStdout = (): Socket => property?.get?.call(process) as Socket;
  const redirected = { get: () => process.stderr, configurable: true };

  Object.defineProperty(process, 'stdout', { ...redirected, enumerable: true });
  // The console keeps the stream that it has found once.
  Object.defineProperty(console, '_stdout', redirected);
  if (mayHaveOpenedStdout()) {
    // A logger holds it from before, such as `morgan('dev')`.
    openStdout().write = writeToStderr;
  }
  return openStdout;
}

/** Only these modules make a `process.stdout`; asking for it would load them. */
function mayHaveOpenedStdout(): boolean {
  return ['net', 'tty', 'internal/fs/sync_write_stream'].some(isLoaded);
}

/** Whether a module of Node, internal ones included, has been loaded. */
function isLoaded(name: string): boolean {
  // A property that @types/node does not know.
  const { moduleLoadList } = process as unknown as { moduleLoadList: readonly string[] };

  return moduleLoadList.includes(`NativeModule ${name}`);
}

const writeToStderr = ((...args: Parameters<Socket['write']>) =>
  process.stderr.write(...args)) as Socket['write'];

type FileFunction = (file: unknown, ...rest: unknown[]) => unknown;

/** `fs.write(1, …)` and its like, as pino and other loggers call them. */
function redirectFileSystem(): void {
  // The functions differ, but each takes the descriptor first and the rest goes through as it is.
  const functions = process.getBuiltinModule('node:fs') as unknown as Record<string, FileFunction>;

  for (const name of [
    'write',
    'writeSync',
    'writev',
    'writevSync',
    'writeFile',
    'writeFileSync',
    'appendFile',
    'appendFileSync',
  ]) {
    const original = functions[name] as FileFunction;
    const redirected: FileFunction = (file, ...rest) => original(file === STDOUT ? STDERR : file, ...rest);

    // With what util.promisify wants to know of it.
    functions[name] = Object.defineProperties(redirected, Object.getOwnPropertyDescriptors(original));
  }
  // For `import { writeSync }`; as long as nobody has imported anything, this would load the loader for it.
  if (isLoaded('internal/modules/esm/loader')) {
    process.getBuiltinModule('node:module').syncBuiltinESMExports();
  }
}

/** One entry of a child's `stdio` as Node passes it to its bindings. */
interface ChildStdio {
  readonly type?: string;
  readonly fd?: number;
  readonly handle?: { readonly fd?: number };
}

interface SpawnBinding {
  spawn: (this: unknown, ...args: unknown[]) => unknown;
}

interface SpawnBindings {
  (name: 'process_wrap'): { readonly Process: { readonly prototype: SpawnBinding } };
  (name: 'spawn_sync'): SpawnBinding;
}

/** Children that inherit descriptor 1. Below `child_process`, which is thus neither loaded nor copied too early. */
function redirectChildren(): void {
  // Deprecated in the documentation only, up to Node 26; @types/node does not have it.
  const { binding } = process as unknown as { binding: SpawnBindings };

  try {
    redirectSpawn(binding('process_wrap').Process.prototype);
    redirectSpawn(binding('spawn_sync'));
  } catch {
    // Under Node's permission model nobody has bindings, nor children.
    return;
  }
}

function redirectSpawn(binding: SpawnBinding): void {
  const original = binding.spawn;

  binding.spawn = function (...args) {
    return original.apply(this, args.map(redirectArgument));
  };
}

/** `stdio` is a property of the first argument, in Node 24 and later an argument for spawn. */
function redirectArgument(argument: unknown): unknown {
  if (Array.isArray(argument)) {
    return argument.map(redirectChildStdio);
  }
  if (typeof argument === 'object' && argument !== null && 'stdio' in argument) {
    return { ...argument, stdio: redirectArgument(argument.stdio) };
  }
  return argument;
}

/** @param entry of `stdio`, or a string of some other list. */
function redirectChildStdio(entry: ChildStdio | string): unknown {
  return typeof entry === 'object' && (entry.fd === STDOUT || entry.handle?.fd === STDOUT)
    ? { type: 'fd', fd: STDERR }
    : entry;
}
