import { chown, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { userInfo } from 'node:os';
import { binaryOf, type ServerName } from '../install-servers';
import { makeCertificate, type Certificate } from './certificate';
import { freePorts } from './free-ports';
import { ServerProcess } from './server-process';
import { fillIn } from './template';

/** What stands behind the server: a socket that somebody listens on, or an executable file with a #! line. */
export type Backend =
  | { readonly kind: 'socket'; readonly socketPath: string }
  | { readonly kind: 'script'; readonly scriptPath: string };

export interface Origin {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

export interface RunningFrontEnd {
  readonly origin: Origin;
  /** The same site with TLS; the certificate is signed by nobody. */
  readonly tlsOrigin: Origin;
  /** All that the server has logged or printed so far. */
  errorLog(): Promise<string>;
  /** Resolves when the server and all the processes it started are gone. May be called again. */
  stop(): Promise<void>;
}

export interface Site {
  readonly server: ServerName;
  /** The file that a user would write, with `@NAME@`s for what differs from run to run. */
  readonly configFile: string;
  /** Apache: names for its -D. */
  readonly defines?: readonly string[];
}

/** Another process may take a port in the moment between finding and using it. */
const MAX_ATTEMPTS = 3;
const PORT_TAKEN = /address (already )?in use|cannot bind|can't bind/i;

/** Whom the server's workers run as. */
interface Identity {
  readonly uid: number;
  readonly gid: number;
}

interface Surroundings {
  readonly folder: string;
  readonly identity: Identity;
  readonly certificate: Certificate;
  readonly backend: Backend;
}

/** The file next to a site's that loads modules and names folders, as the distribution's own file would. */
const mainFiles: Readonly<Record<ServerName, string>> = {
  nginx: 'main.conf',
  apache: 'main.conf',
  lighttpd: 'main.conf',
  caddy: 'Caddyfile',
  haproxy: 'main.cfg',
};

/**
 * Starts a web server for one site and waits until it accepts connections.
 *
 * The folder must be empty or new, and belongs to this one front end: configuration, logs, sockets, temporary
 * bodies and the certificate go there, and nothing goes anywhere else. Its remover is whoever made it.
 *
 * @throws {Error} with the server's own log when it does not come up.
 */
export async function launch(site: Site, folder: string, backend: Backend): Promise<RunningFrontEnd> {
  const identity = isRoot() && site.server === 'apache' ? wwwData() : ourselves();
  await prepareFolder(folder, identity, backend);
  const certificate = await makeCertificate(join(folder, 'tls'));
  const surroundings = { folder, identity, certificate, backend };

  for (let attempt = 1; ; attempt++) {
    const ports = await freePorts(2);
    const [port = 0, tlsPort = 0] = ports;
    const server = await spawnServer(site, surroundings, port, tlsPort);

    if (await server.accepts(ports)) {
      return {
        origin: { host: '127.0.0.1', port, tls: false },
        tlsOrigin: { host: '127.0.0.1', port: tlsPort, tls: true },
        errorLog: () => readLogs(folder),
        stop: () => server.stop(),
      };
    }

    await server.stop();
    const log = await readLogs(folder);
    if (attempt === MAX_ATTEMPTS || !PORT_TAKEN.test(log)) {
      throw new Error(`${site.server} with ${site.configFile} does not accept connections; its log:\n${log}`);
    }
  }
}

async function prepareFolder(folder: string, identity: Identity, backend: Backend): Promise<void> {
  for (const name of ['conf', 'log', 'run', 'tls', 'tmp', 'www', 'www/cgi-bin']) {
    await mkdir(join(folder, name), { recursive: true });
  }

  if (backend.kind === 'script') {
    // Configurations that serve a whole folder of scripts know this one by this name.
    await symlink(backend.scriptPath, join(folder, 'www/cgi-bin/app.cgi'));
  }

  if (identity.uid === ourselves().uid) {
    return;
  }
  for (const name of ['run', 'tmp']) {
    await chown(join(folder, name), identity.uid, identity.gid);
  }
  if (backend.kind === 'socket' && existsSync(backend.socketPath)) {
    await chown(backend.socketPath, identity.uid, identity.gid);
  }
}

async function spawnServer(
  site: Site,
  surroundings: Surroundings,
  port: number,
  tlsPort: number,
): Promise<ServerProcess> {
  const { folder, identity, certificate, backend } = surroundings;
  const mainTemplate = join(dirname(site.configFile), mainFiles[site.server]);
  const mainFile = join(folder, 'conf', `main${extname(mainTemplate)}`);
  const siteFile = join(folder, 'conf', `site${extname(site.configFile)}`);

  const values = {
    PORT: String(port),
    TLS_PORT: String(tlsPort),
    FOLDER: folder,
    SITE: siteFile,
    // Apache's way to write numbers in place of names.
    USER: `#${String(identity.uid)}`,
    GROUP: `#${String(identity.gid)}`,
    CERTIFICATE: certificate.certificateFile,
    KEY: certificate.keyFile,
    CERTIFICATE_AND_KEY: certificate.bothFile,
    ...(backend.kind === 'socket' ? { SOCKET: backend.socketPath } : { SCRIPT: backend.scriptPath }),
  };
  await writeFile(mainFile, fillIn(await readFile(mainTemplate, 'utf8'), values));
  await writeFile(siteFile, fillIn(await readFile(site.configFile, 'utf8'), values));

  return new ServerProcess({
    file: binaryOf(site.server),
    args: argumentsFor(site, mainFile, siteFile),
    // Nothing else is inherited: a test must not depend on what the developer's shell exports.
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    cwd: folder,
    outputFile: join(folder, 'log', 'output.log'),
  });
}

/** In the foreground always, so that the process we start is the server and not a parent that leaves. */
function argumentsFor(site: Site, mainFile: string, siteFile: string): readonly string[] {
  switch (site.server) {
    case 'nginx':
      // Workers stay who we are; without this they become nobody as soon as we are root.
      return ['-c', mainFile, '-e', 'stderr', '-g', isRoot() ? 'daemon off; user root;' : 'daemon off;'];
    case 'apache':
      return ['-f', mainFile, '-DFOREGROUND', ...(site.defines ?? []).flatMap((name) => ['-D', name])];
    case 'lighttpd':
      return ['-D', '-f', mainFile];
    case 'caddy':
      return ['run', '--config', mainFile, '--adapter', 'caddyfile'];
    case 'haproxy':
      return ['-db', '-f', mainFile, '-f', siteFile];
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function ourselves(): Identity {
  const { uid, gid } = userInfo();
  return { uid, gid };
}

/** Apache refuses to serve as root ("BIG_SECURITY_HOLE"), so its workers are the user that Debian made for them. */
function wwwData(): Identity {
  const [, uid, gid] = /^www-data:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  if (uid === undefined || gid === undefined) {
    throw new Error('Apache started by root needs the user www-data, which is not in /etc/passwd');
  }
  return { uid: Number(uid), gid: Number(gid) };
}

async function readLogs(folder: string): Promise<string> {
  const names = (await readdir(join(folder, 'log'))).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, 'log', name), 'utf8')));
  return texts.join('');
}
