/** Starts a CGI script as a web server does, with each kind of standard output that servers give to scripts. */
import { execFileSync, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

export const DIST = join(__dirname, '../../../../dist');

/**
 * `pipe`: Apache's mod_cgi, lighttpd, fcgiwrap. `pipe in place`: one that cannot be opened again, as with suexec.
 * `socket`: Node's own child_process. `one socket`: Apache's mod_cgid, where it is standard input, too. `file`: a test's.
 */
export type StdoutKind = 'pipe' | 'pipe in place' | 'socket' | 'one socket' | 'file';

export const READABLE_KINDS = ['pipe', 'pipe in place', 'socket', 'one socket'] as const;

export interface CgiStart {
  /** The body of a script that knows `serve` and `environ`-building `app`s; see `writeScript`. */
  readonly script: string;
  readonly stdout?: StdoutKind;
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly extension?: 'cjs' | 'mjs';
}

export interface CgiProcess {
  readonly process: ChildProcess;
  /** What the web server reads. Nothing is read before it is asked for. */
  readonly stdout: Socket;
  /** Where the web server writes the body. */
  readonly stdin: Socket;
  stderr(): string;
  /** The exit status, or the name of the signal. */
  readonly exited: Promise<number | string>;
}

export const VARIABLES = {
  GATEWAY_INTERFACE: 'CGI/1.1',
  REQUEST_METHOD: 'GET',
  SCRIPT_NAME: '/cgi-bin/app.cgi',
  PATH_INFO: '/path',
  QUERY_STRING: 'a=b',
  SERVER_NAME: 'app.example.test',
  SERVER_PORT: '80',
  SERVER_PROTOCOL: 'HTTP/1.1',
  SERVER_SOFTWARE: 'test/1',
};

/** The variables of a request, on the few that Node and a shell need. */
export function requestEnvironment(variables: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', ...VARIABLES, ...variables };
}

/** @returns the path of a script that begins with `serve` and `run` at hand. */
export function writeScript(folder: string, script: string, extension: 'cjs' | 'mjs' = 'cjs'): string {
  const path = join(folder, `app.${extension}`);
  const importLine =
    extension === 'cjs'
      ? `const { serve } = require(${JSON.stringify(join(DIST, 'adapters/cgi'))});`
      : `import { serve } from ${JSON.stringify(join(DIST, 'adapters/cgi/index.js'))};`;

  writeFileSync(path, `${importLine}\n${script}\n`);
  return path;
}

export async function startCgi(folder: string, start: CgiStart): Promise<CgiProcess> {
  const path = writeScript(folder, start.script, start.extension);
  const stderrPath = join(folder, 'stderr');
  const stderrFile = openSync(stderrPath, 'a');
  const kind = start.stdout ?? 'pipe';
  const ends = await openStdout(folder, kind);
  const stdio: StdioOptions = [
    ends.childStdin,
    ends.childStdout,
    // A socket as standard error cannot be opened again either, so that nothing is.
    kind === 'pipe in place' ? 'pipe' : stderrFile,
  ];
  const child = spawn(process.execPath, [path, ...(start.args ?? [])], {
    stdio,
    env: requestEnvironment(start.environment),
  });
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);

  ends.closeChildEnd();
  closeSync(stderrFile);
  child.stderr?.on('data', (chunk: Buffer) => writeFileSync(stderrPath, chunk, { flag: 'a' }));

  // With 'socket' both are sockets of child_process, with 'pipe' standard input still is.
  const stdin = ends.stdin ?? (child.stdin as unknown as Socket);
  const stdout = ends.stdout ?? (child.stdout as unknown as Socket);

  // A script may end without having read its body.
  stdin.on('error', () => undefined);
  return { process: child, stdout, stdin, stderr: () => readFileSync(stderrPath, 'latin1'), exited };
}

interface Ends {
  readonly childStdin: 'pipe' | Socket;
  readonly childStdout: 'pipe' | number | Socket;
  readonly stdin: Socket | undefined;
  readonly stdout: Socket | undefined;
  readonly closeChildEnd: () => void;
}

async function openStdout(folder: string, kind: StdoutKind): Promise<Ends> {
  switch (kind) {
    case 'pipe':
    case 'pipe in place': {
      const { reader, writer } = openPipe(join(folder, 'stdout'));
      const stdout = new Socket({ fd: reader, readable: true, writable: false });

      stdout.pause();
      return {
        childStdin: 'pipe',
        childStdout: writer,
        stdin: undefined,
        stdout,
        closeChildEnd: () => closeSync(writer),
      };
    }
    case 'socket':
      return {
        childStdin: 'pipe',
        childStdout: 'pipe',
        stdin: undefined,
        stdout: undefined,
        closeChildEnd: () => undefined,
      };
    case 'one socket': {
      const [server, script] = await socketPair(join(folder, 'socket'));

      return {
        childStdin: script,
        childStdout: script,
        stdin: server,
        stdout: server,
        closeChildEnd: () => script.destroy(),
      };
    }
    case 'file': {
      const file = openSync(join(folder, 'stdout'), 'w');

      return {
        childStdin: 'pipe',
        childStdout: file,
        stdin: undefined,
        stdout: undefined,
        closeChildEnd: () => closeSync(file),
      };
    }
  }
}

/** A real pipe, which child_process does not give: its own are sockets. */
export function openPipe(path: string): { reader: number; writer: number } {
  execFileSync('mkfifo', [path]);

  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);

  return { reader, writer: openSync(path, constants.O_WRONLY) };
}

async function socketPair(path: string): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });

  server.listen(path);
  await once(server, 'listening');

  const script = connect(path);
  const [accepted] = (await once(server, 'connection')) as [Socket];

  server.close();
  return [accepted, script];
}

export interface CgiResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number | string;
}

/** Sends the body, reads the whole response and waits for the end; bytes as latin-1. */
export async function runCgi(folder: string, start: CgiStart, body = ''): Promise<CgiResult> {
  const cgi = await startCgi(folder, start);

  cgi.stdin.end(Buffer.from(body, 'latin1'));

  const stdout = start.stdout === 'file' ? undefined : await buffer(cgi.stdout);
  const exit = await cgi.exited;

  return {
    stdout: (stdout ?? readFileSync(join(folder, 'stdout'))).toString('latin1'),
    stderr: cgi.stderr(),
    exit,
  };
}

/** Head and body of a response; @throws when there is no blank line. */
export function split(response: string): { head: string[]; body: string } {
  const end = response.indexOf('\r\n\r\n');

  if (end === -1) {
    throw new Error(`no head in ${JSON.stringify(response)}`);
  }
  return { head: response.slice(0, end).split('\r\n'), body: response.slice(end + 4) };
}
