import { join } from 'node:path';
import type { ServerName } from '../install-servers';
import { launch, type Backend, type RunningFrontEnd } from './launch';

export type { Backend, Origin, RunningFrontEnd } from './launch';

/** One way in which a real web server reaches an application. */
export interface FrontEnd {
  readonly name: string;
  readonly server: ServerName;
  readonly protocol: 'fastcgi' | 'cgi';
  /** What `start` must be given: the path of a listening socket, or of an executable script. */
  readonly starts: Backend['kind'];
  /** Where the application is mounted, without a slash at the end: `''` is the root of the site. */
  readonly mount: string;
  /** The site's configuration, a file in the server's own syntax with `@NAME@`s in it. */
  readonly configFile: string;
  /**
   * Resolves once both of its ports accept connections. `folder` must be new, and is the caller's to remove.
   * Apache started by root serves as www-data: it is given the socket if that exists, and must be able to
   * read and enter the way to the script.
   */
  start(folder: string, backend: Backend): Promise<RunningFrontEnd>;
}

interface Description {
  readonly name: string;
  readonly mount: string;
  /** Relative to this folder; its first part is the server's name. */
  readonly config: `${ServerName}/${string}`;
  readonly defines?: readonly string[];
}

const fastCgiSockets: readonly Description[] = [
  { name: 'nginx', mount: '', config: 'nginx/fastcgi.conf' },
  { name: 'nginx keep-conn', mount: '', config: 'nginx/keep-conn.conf' },
  { name: 'nginx mounted', mount: '/app', config: 'nginx/mounted.conf' },
  { name: 'nginx unbuffered', mount: '', config: 'nginx/unbuffered.conf' },
  { name: 'apache ProxyPass', mount: '', config: 'apache/proxy-pass.conf' },
  { name: 'apache ProxyPass mounted', mount: '/app', config: 'apache/proxy-pass-mounted.conf' },
  { name: 'apache SetHandler mounted', mount: '/app', config: 'apache/set-handler.conf' },
  { name: 'lighttpd socket', mount: '', config: 'lighttpd/socket.conf' },
  { name: 'lighttpd socket mounted', mount: '/app', config: 'lighttpd/socket-mounted.conf' },
  { name: 'caddy', mount: '', config: 'caddy/fastcgi.caddy' },
  { name: 'caddy mounted', mount: '/app', config: 'caddy/mounted.caddy' },
  { name: 'haproxy', mount: '', config: 'haproxy/fastcgi.cfg' },
  { name: 'haproxy mpxs-conns', mount: '', config: 'haproxy/mpxs-conns.cfg' },
  { name: 'haproxy mpxs-conns mounted', mount: '/app', config: 'haproxy/mpxs-conns-mounted.cfg' },
];

const fastCgiScripts: readonly Description[] = [
  { name: 'apache mod_fcgid', mount: '', config: 'apache/fcgid-root.conf' },
  { name: 'apache mod_fcgid mounted', mount: '/app', config: 'apache/fcgid-mounted.conf' },
  { name: 'lighttpd bin-path', mount: '', config: 'lighttpd/bin-path-root.conf' },
  { name: 'lighttpd bin-path mounted', mount: '/app', config: 'lighttpd/bin-path.conf' },
];

// main.conf of Apache loads mod_cgi with the prefork MPM and mod_cgid with the event MPM.
const MOD_CGI = ['PREFORK'];

const cgiScripts: readonly Description[] = [
  { name: 'apache mod_cgid', mount: '', config: 'apache/cgi-root.conf' },
  { name: 'apache mod_cgid cgi-bin', mount: '/cgi-bin/app.cgi', config: 'apache/cgi-bin.conf' },
  { name: 'apache mod_cgid mounted', mount: '/app', config: 'apache/cgi-mounted.conf' },
  {
    name: 'apache mod_cgi cgi-bin',
    mount: '/cgi-bin/app.cgi',
    config: 'apache/cgi-bin.conf',
    defines: MOD_CGI,
  },
  { name: 'apache mod_cgi mounted', mount: '/app', config: 'apache/cgi-mounted.conf', defines: MOD_CGI },
  { name: 'lighttpd mod_cgi cgi-bin', mount: '/cgi-bin/app.cgi', config: 'lighttpd/cgi-bin.conf' },
  { name: 'lighttpd mod_cgi mounted', mount: '/app', config: 'lighttpd/cgi-mounted.conf' },
];

export const frontEnds: readonly FrontEnd[] = [
  ...fastCgiSockets.map((description) => frontEnd(description, 'fastcgi', 'socket')),
  ...fastCgiScripts.map((description) => frontEnd(description, 'fastcgi', 'script')),
  ...cgiScripts.map((description) => frontEnd(description, 'cgi', 'script')),
];

function frontEnd(
  description: Description,
  protocol: FrontEnd['protocol'],
  starts: Backend['kind'],
): FrontEnd {
  const { name, mount, config, defines = [] } = description;
  // The type of `config` says that it begins with a server's name.
  const server = config.slice(0, config.indexOf('/')) as ServerName;
  const configFile = join(__dirname, config);

  return {
    name,
    server,
    protocol,
    starts,
    mount,
    configFile,
    start: (folder, backend) => {
      if (backend.kind !== starts) {
        throw new Error(`the front end "${name}" needs a ${starts}, not a ${backend.kind}`);
      }
      return launch({ server, configFile, defines }, folder, backend);
    },
  };
}
