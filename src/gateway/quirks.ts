/**
 * What each web server gets wrong about the path and its own name, and how it is put right. One function a quirk,
 * each with the server and version it was measured on. Path variables are bytes as latin-1 code points.
 */
import { percentDecode } from './grammar';
import type { Environ } from './types';

export interface RepairOptions {
  /** CGI hosts know where the script's name ends; FastCGI front ends often do not. */
  readonly protocol: 'cgi' | 'fastcgi' | 'http';
  /** The mount point, such as `/app`, or `""` for the root; undefined: found out from what the server says. */
  readonly mount: string | undefined;
}

/** Puts SCRIPT_NAME, PATH_INFO, REQUEST_URI and QUERY_STRING right; all of them are there afterwards but REQUEST_URI. */
export function repairPaths(environ: Environ, options: RepairOptions): void {
  // The only place where they may be missing.
  const raw: Partial<Environ> = environ;

  takePathOfAbsoluteTarget(environ);
  if (options.mount !== undefined) {
    splitAtMountPoint(raw, options.mount);
  } else if (options.protocol === 'fastcgi') {
    takeScriptNameForPath(raw);
    splitApacheProxyPass(raw);
    takePathOfFrontController(raw);
  }
  raw.SCRIPT_NAME ??= '';
  raw.PATH_INFO ??= '';
  raw.QUERY_STRING ??= ''; // HAProxy 2.6.12 omits it
  restoreSlashes(environ);
  moveTrailingSlash(environ);
}

/** The variables PEP 3333 wants and some server does not send. */
export function repairServer(environ: Partial<Environ>): void {
  removePortFromServerName(environ);

  const host = environ.HTTP_HOST;

  environ.SERVER_NAME ??=
    host === undefined ? stringOr(environ['SERVER_ADDR'], 'localhost') : withoutPort(host);
  environ.SERVER_PORT ??= portOf(host ?? '') ?? (environ['wsgi.url_scheme'] === 'https' ? '443' : '80');
  environ.SERVER_PROTOCOL ??= 'HTTP/1.0';
  environ.REQUEST_METHOD ??= 'GET';
  environ['GATEWAY_INTERFACE'] ??= 'CGI/1.1'; // missing on h2o 2.2.5
}

/**
 * Apache 2.4.71 and h2o 2.2.5 pass `GET http://other.test:99/app?x HTTP/1.1` on as it is; nginx, Caddy and Go
 * reduce it to the path.
 */
export function takePathOfAbsoluteTarget(environ: Pick<Partial<Environ>, 'REQUEST_URI'>): void {
  const uri = environ.REQUEST_URI;

  if (uri === undefined || uri.startsWith('/')) {
    return;
  }

  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/.exec(uri)?.[0];

  if (authority !== undefined) {
    const path = uri.slice(authority.length);
    environ.REQUEST_URI = path.startsWith('/') ? path : `/${path}`;
  }
}

/** The mount point was given by the administrator: split there, whatever the server says. */
export function splitAtMountPoint(environ: Partial<Environ>, mount: string): void {
  const fromServer = (environ.SCRIPT_NAME ?? '') + (environ.PATH_INFO ?? '');

  // A front controller has its own name in SCRIPT_NAME (Apache's mod_rewrite, Caddy's php_fastcgi); a front end
  // that strips the mount point (Caddy's handle_path) leaves it in REQUEST_URI only.
  for (const path of [fromServer, decodedPath(environ.REQUEST_URI)]) {
    if (path !== undefined && isBelow(path, mount)) {
      environ.SCRIPT_NAME = mount;
      environ.PATH_INFO = path.slice(mount.length);
      return;
    }
  }
}

/**
 * nginx 1.22.1 with its fastcgi_params and HAProxy 2.6.12 without `path-info` send no PATH_INFO: the whole path is
 * in SCRIPT_NAME. (HAProxy *with* `path-info` sends none either for the bare mount point: give `--mount` there.)
 */
export function takeScriptNameForPath(environ: Partial<Environ>): void {
  if (
    environ.PATH_INFO === undefined &&
    /^(?:nginx\/|HAProxy )/.test(stringOr(environ['SERVER_SOFTWARE'], ''))
  ) {
    environ.PATH_INFO = environ.SCRIPT_NAME ?? '';
    environ.SCRIPT_NAME = '';
  }
}

/**
 * Apache 2.4.71, ProxyPass: the whole path is in SCRIPT_NAME, and SCRIPT_FILENAME is the part below the mount point,
 * still percent-encoded: `proxy:fcgi://localhost/c%20d` (or without `proxy:fcgi://…` for GENERIC back ends).
 * By SetHandler it is the path of a file instead, and SCRIPT_NAME is right.
 */
export function splitApacheProxyPass(environ: Partial<Environ>): void {
  const script = environ.SCRIPT_NAME;
  const file = environ['SCRIPT_FILENAME'];

  if (
    environ.PATH_INFO !== undefined ||
    script === undefined ||
    typeof file !== 'string' ||
    !stringOr(environ['SERVER_SOFTWARE'], '').startsWith('Apache')
  ) {
    return;
  }

  const path = percentDecode(file.replace(/^proxy:fcgi:\/\/[^/]*/, ''));

  if (path.startsWith('/') && script.endsWith(path)) {
    environ.SCRIPT_NAME = script.slice(0, script.length - path.length);
    environ.PATH_INFO = path;
  }
}

/**
 * Caddy 2.6.2, `php_fastcgi`: SCRIPT_NAME is the front controller (`/index.php`), PATH_INFO is empty, and only
 * REQUEST_URI has the path.
 */
export function takePathOfFrontController(environ: Partial<Environ>): void {
  const script = environ.SCRIPT_NAME ?? '';

  if (
    environ.PATH_INFO !== '' ||
    script === '' ||
    !stringOr(environ['SERVER_SOFTWARE'], '').startsWith('Caddy/')
  ) {
    return;
  }

  const path = decodedPath(environ.REQUEST_URI);

  if (path !== undefined && !isBelow(path, script)) {
    environ.SCRIPT_NAME = '';
    environ.PATH_INFO = path;
  }
}

/**
 * nginx 1.22.1, Apache 2.4.71, lighttpd 1.4.69 merge `//` in the path, and Apache with `AllowEncodedSlashes NoDecode`
 * leaves `%2F` encoded. REQUEST_URI has the path as it was, and is believed where it means the same path: the server
 * has checked its rules on the merged one. Dot segments are never brought back.
 */
export function restoreSlashes(environ: Environ): void {
  const uri = environ.REQUEST_URI;

  // Neither can be there: the usual request leaves here.
  if (uri === undefined || !(uri.includes('//') || /%2f/i.test(uri))) {
    return;
  }

  const { SCRIPT_NAME: script, PATH_INFO: info } = environ;
  const path = decodedPath(uri);

  if (path === undefined || !path.startsWith(script) || /\/\.\.?(?:\/|$)/.test(path)) {
    return;
  }

  const below = path.slice(script.length);

  if (
    mergeSlashes(below) === mergeSlashes(info) ||
    mergeSlashes(below) === mergeSlashes(info.replace(/%2f/gi, '/'))
  ) {
    environ.PATH_INFO = below;
  }
}

/** PEP 3333: SCRIPT_NAME never ends with a slash; at the root it is empty. */
export function moveTrailingSlash(environ: Environ): void {
  if (environ.SCRIPT_NAME.endsWith('/')) {
    environ.SCRIPT_NAME = environ.SCRIPT_NAME.slice(0, -1);
    environ.PATH_INFO = environ.PATH_INFO.startsWith('/') ? environ.PATH_INFO : `/${environ.PATH_INFO}`;
  }
}

/** HAProxy 2.6.12, mini_httpd 1.30 and Go 1.19 send `SERVER_NAME=app.example.test:8080`. RFC 3875 §4.1.14: a host. */
export function removePortFromServerName(environ: Partial<Environ>): void {
  if (environ.SERVER_NAME?.includes(':') === true) {
    environ.SERVER_NAME = withoutPort(environ.SERVER_NAME);
  }
}

/**
 * How a FastCGI response that cannot be completed is made visible. Closing the connection without END_REQUEST is
 * enough where the front end looks for it; nginx 1.22.1 takes that for the normal end of a response without
 * Content-Length, and cuts its client off only when it meets a record it refuses.
 */
export function truncationOf(environ: Partial<Environ> | undefined): 'close' | 'refused-record' {
  return stringOr(environ?.['SERVER_SOFTWARE'], '').startsWith('nginx/') ? 'refused-record' : 'close';
}

/** The path of a request target, decoded; undefined for `*` and other targets without one. */
function decodedPath(target: string | undefined): string | undefined {
  if (target === undefined || !target.startsWith('/')) {
    return undefined;
  }

  const query = target.indexOf('?');

  return percentDecode(query === -1 ? target : target.slice(0, query));
}

function isBelow(path: string, mount: string): boolean {
  return path.startsWith(mount) && (path.length === mount.length || path[mount.length] === '/');
}

function mergeSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/');
}

/** An IPv6 address without brackets is all colons and no port. */
function withoutPort(host: string): string {
  return /^[^:]*:\d*$|\]:\d*$/.test(host) ? host.slice(0, host.lastIndexOf(':')) : host;
}

function portOf(host: string): string | undefined {
  return /^(?:[^:]*|\[.*\]):(\d+)$/.exec(host)?.[1];
}

function stringOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
