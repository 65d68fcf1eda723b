/** `postern dev`: a web server on this machine in front of the application, with the protocol of choice in between. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Application } from '../../src/gateway/types';
import { cgiApplication } from '../cgi/index';
import type { GatewayOptions } from '../exchange/gateway-options';
import { Client, createServer, fastCgiApplication } from '../fastcgi/index';
import { serve, type HttpOptions, type HttpServer } from '../http/index';
import type { Style } from './load-application';

export type Via = 'direct' | 'fastcgi' | 'cgi';

export interface DevOptions extends Omit<GatewayOptions, 'development'> {
  /** As on the command line: `path[:export]`. */
  readonly name: string;
  /** Loads it; not called where another process does (`cgi`, `watch`). */
  readonly load: () => Application | Promise<Application>;
  /** What kind of application it is, for the processes that load it. Default: found out. */
  readonly style?: Style | undefined;
  /** Default 8080; 0 takes any free one. */
  readonly port?: number | undefined;
  /**
   * `fastcgi`: through records on a Unix socket. `cgi`: a new process for each request. Default `direct`: called as
   * it is.
   */
  readonly via?: Via | undefined;
  /** Start again when a file of the application changes. Default false. */
  readonly watch?: boolean | undefined;
}

export interface DevFront {
  /** Where the application is, mount point and all. */
  readonly url: string;
  /** Waits for open requests, then removes every trace. */
  close(): Promise<void>;
  /** Ends the waiting. */
  abort(): void;
}

/** An event stream that a browser holds open must not keep a developer waiting. */
const STOP_TIMEOUT_MS = 1000;

/** This very program, compiled or not. */
const MAIN = join(__dirname, `main${extname(__filename)}`);

/**
 * Serves until SIGINT or SIGTERM, then ends the process.
 *
 * @throws {GatewayError} `ERR_SOCKET_IN_USE`, `ERR_LISTEN`, and what `load` throws.
 */
export async function dev(options: DevOptions): Promise<void> {
  // A CGI process loads the application as it is now.
  if (options.watch === true && options.via !== 'cgi') {
    await watch(options);
    return;
  }

  const front = await startDevFront(options);

  process.stdout.write(banner(front.url, options.via ?? 'direct'));
  await untilSignal();
  await stop(front);
  // Timers and sockets of the application do not keep a server alive that was told to stop.
  process.exit();
}

/** @throws {GatewayError} as `dev` */
export async function startDevFront(options: DevOptions): Promise<DevFront> {
  const front = { port: options.port, errorLog: options.errorLog, development: true };

  switch (options.via ?? 'direct') {
    case 'direct':
      return frontOf(await serve(await options.load(), { ...gatewayOptions(options), ...front }), options);
    case 'cgi':
      return frontOf(await serve(cgiApplication(cgiCommand(options)), front), options);
    case 'fastcgi':
      return startFastCgi(options, front);
  }
}

async function startFastCgi(options: DevOptions, front: HttpOptions): Promise<DevFront> {
  const application = await options.load();
  const folder = await mkdtemp(join(tmpdir(), 'postern-dev-'));
  const path = join(folder, 'app.sock');
  const server = createServer(application, gatewayOptions(options));
  const client = new Client({ path });
  const cleanUp = async (): Promise<void> => {
    client.close();
    await server.close({ graceMs: STOP_TIMEOUT_MS });
    await rm(folder, { recursive: true, force: true });
  };

  try {
    await server.listen(path);
    return frontOf(await serve(fastCgiApplication(client), front), options, cleanUp);
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** For whoever calls the application itself; what stands before it only passes requests on. */
function gatewayOptions({ mount, maxBodyBytes, errorLog }: DevOptions): GatewayOptions {
  return { mount, maxBodyBytes, errorLog, development: true };
}

function frontOf(server: HttpServer, { mount = '' }: DevOptions, cleanUp?: () => Promise<void>): DevFront {
  return {
    url: new URL(mount, server.url).href,
    close: async () => {
      await server.close();
      await cleanUp?.();
    },
    abort: () => server.abort(),
  };
}

function cgiCommand({ name, style, mount, maxBodyBytes }: DevOptions): Parameters<typeof cgiApplication>[0] {
  return {
    command: process.execPath,
    // Options before the application: after it a web server writes the words of a query.
    args: [
      ...nodeFlags(),
      MAIN,
      'cgi',
      '--development',
      ...optionOf('as', style),
      ...optionOf('mount', mount),
      ...optionOf('max-body', maxBodyBytes),
      name,
    ],
    // The developer's own, which has what the application wants; as far as it is not Node's way to watch a child.
    env: { ...process.env, WATCH_REPORT_DEPENDENCIES: undefined },
  };
}

/** Runs this command again under `node --watch`, which starts it anew whenever a loaded file changes. */
async function watch(options: DevOptions): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      '--watch',
      '--watch-preserve-output',
      ...nodeFlags(),
      MAIN,
      'dev',
      ...optionOf('port', options.port),
      ...optionOf('via', options.via),
      ...optionOf('as', options.style),
      ...optionOf('mount', options.mount),
      ...optionOf('max-body', options.maxBodyBytes),
      options.name,
    ],
    { stdio: 'inherit' },
  );
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };

  process.on('SIGINT', forward).on('SIGTERM', forward);
  await once(child, 'exit');
  process.exit(child.exitCode ?? 1);
}

/** How this process was started, for another one of its kind; two cannot listen for the same debugger. */
function nodeFlags(): string[] {
  return process.execArgv.filter((flag) => !/^--(?:watch|inspect)/.test(flag));
}

function optionOf(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [`--${name}`, String(value)];
}

function banner(url: string, via: Via): string {
  const isPlain = !process.stdout.isTTY || (process.env['NO_COLOR'] ?? '') !== '';

  return `Listening on ${isPlain ? url : `\x1b[36m${url}\x1b[39m`} (via ${via})\n`;
}

/** After the first one the next will end the process the hard way, unless somebody listens again. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      resolve();
    };

    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  });
}

async function stop(front: DevFront): Promise<void> {
  const abort = (): void => front.abort();
  const timer = setTimeout(abort, STOP_TIMEOUT_MS);

  // Impatience is understood, but the socket's folder must still go.
  process.on('SIGINT', abort).on('SIGTERM', abort);
  await front.close();
  clearTimeout(timer);
}
