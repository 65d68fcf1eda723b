import { execFile } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

export type ServerName = 'nginx' | 'apache' | 'lighttpd' | 'caddy' | 'haproxy';
export type ToolName = ServerName | 'openssl';

export interface Installation {
  readonly binary: string;
  readonly debianPackages: readonly string[];
  /** Modules that come in a package of their own, so that the binary alone proves nothing. */
  readonly modules: readonly string[];
}

export const servers: Readonly<Record<ToolName, Installation>> = {
  nginx: { binary: 'nginx', debianPackages: ['nginx'], modules: [] },
  apache: {
    binary: 'apache2',
    debianPackages: ['apache2', 'libapache2-mod-fcgid'],
    modules: ['/usr/lib/apache2/modules/mod_fcgid.so'],
  },
  lighttpd: {
    binary: 'lighttpd',
    debianPackages: ['lighttpd', 'lighttpd-mod-openssl'],
    modules: ['/usr/lib/lighttpd/mod_openssl.so'],
  },
  caddy: { binary: 'caddy', debianPackages: ['caddy'], modules: [] },
  haproxy: { binary: 'haproxy', debianPackages: ['haproxy'], modules: [] },
  // No front end, but every one of them needs a certificate.
  openssl: { binary: 'openssl', debianPackages: ['openssl'], modules: [] },
};

// Object.keys forgets the key type; the table above is written out in full, so it has no other keys.
const toolNames = Object.keys(servers) as ToolName[];

// Debian keeps web servers in sbin, which is not on the PATH of an ordinary user.
const searchPath = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

// Debian policy-rc.d: 101 forbids package scripts to start the service that was just installed.
const POLICY_FILE = '/usr/sbin/policy-rc.d';
const POLICY_NO_START = '#!/bin/sh\nexit 101\n';

/** Whether tests that need this server can run here. Every server also needs openssl for its certificate. */
export function installed(server: ToolName): boolean {
  return isPresent(server) && isPresent('openssl');
}

/** The full path of a server's program. @throws {Error} when it is not installed. */
export function binaryOf(server: ToolName): string {
  const path = findBinary(servers[server].binary);
  if (path === undefined) {
    throw new Error(`${servers[server].binary} is not installed`);
  }
  return path;
}

/**
 * Brings in the servers that the end-to-end tests run: by itself as root on Debian; elsewhere it says what is
 * left out and how to get it.
 * @throws {Error} under CI=true when a server is missing, so that a green run always ran everything.
 */
export async function installServers(): Promise<void> {
  if (toolNames.every(isPresent)) {
    return;
  }

  if (isRootOnDebian()) {
    await installPackages(missingPackages());
  }

  const missing = toolNames.filter((name) => !isPresent(name));
  if (missing.length === 0) {
    return;
  }

  const message =
    `LEFT OUT: the real-server tests of ${missing.join(', ')}, not installed here. ` +
    `To run them: sudo apt-get install --no-install-recommends ${missingPackages().join(' ')}`;
  if (process.env['CI'] === 'true') {
    throw new Error(message);
  }
  process.stderr.write(`\n*** ${message}\n\n`);
}

function isPresent(name: ToolName): boolean {
  const { binary, modules } = servers[name];
  return findBinary(binary) !== undefined && modules.every((module) => existsSync(module));
}

function findBinary(binary: string): string | undefined {
  return searchPath.map((folder) => join(folder, binary)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isRootOnDebian(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && isExecutable('/usr/bin/apt-get');
}

function missingPackages(): readonly string[] {
  return toolNames.filter((name) => !isPresent(name)).flatMap((name) => servers[name].debianPackages);
}

async function installPackages(packages: readonly string[]): Promise<void> {
  process.stderr.write(`installing ${packages.join(' ')} for the end-to-end tests\n`);

  const restorePolicy = forbidServiceStart();
  try {
    await aptGet('update');
    await aptGet('install', '-y', '--no-install-recommends', ...packages);
  } catch (error) {
    // What is missing afterwards is named by the caller; this says why.
    process.stderr.write(`${String(error)}\n`);
  } finally {
    restorePolicy();
  }
}

async function aptGet(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('/usr/bin/apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** Returns the function that puts back what was there before. */
function forbidServiceStart(): () => void {
  if (!existsSync(POLICY_FILE)) {
    writePolicy(POLICY_NO_START, 0o755);
    return () => rmSync(POLICY_FILE);
  }

  const before = readFileSync(POLICY_FILE);
  const { mode } = statSync(POLICY_FILE);
  writePolicy(POLICY_NO_START, 0o755);
  return () => writePolicy(before, mode);
}

function writePolicy(content: string | Buffer, mode: number): void {
  writeFileSync(POLICY_FILE, content);
  chmodSync(POLICY_FILE, mode);
}
