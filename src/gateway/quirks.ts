/**
 * What each web server gets wrong about the path and its own name, and how it is put right. One function a quirk,
 * each with the server and version it was measured on. Path variables are bytes as latin-1 code points.
 *
 * A front end checks its rules (`location`, `<Location>`, `path`) on the path as it sees it. So what comes from
 * REQUEST_URI, which is as the client wrote it, is believed only where it cannot mean another path than that.
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

  takePathOfAbsoluteTarget(raw);
  if (options.protocol === 'fastcgi') {
    takeScriptNameForPath(raw);
    splitApacheProxyPass(raw);
    takePathOfFrontController(raw);
  }
  raw.SCRIPT_NAME ??= '';
  raw.PATH_INFO ??= '';
  raw.QUERY_STRING ??= ''; // HAProxy 2.6.12 omits it
  if (options.mount !== undefined) {
    splitAtMountPoint(environ, options.mount);
  }
  mendBoundary(environ);
  restoreSlashes(environ);
}

/** The variables PEP 3333 wants and some server does not send. */
export function repairServer(environ: Partial<Environ>): void {
  removePortFromServerName(environ);

  const host = environ.HTTP_HOST ?? '';

  // A Host of `:8080` leaves no name.
  environ.SERVER_NAME ||= withoutPort(host) || stringOr(environ['SERVER_ADDR'], 'localhost');
  environ.SERVER_PORT ??= portOf(host) ?? (environ['wsgi.url_scheme'] === 'https' ? '443' : '80');
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

/**
 * The mount point was given by the administrator: split there, if the path is below it.
 *
 * A front end that strips the mount point (Caddy's handle_path) leaves it in REQUEST_URI only, and one that rewrites
 * the path to a script's (Apache's mod_rewrite) has the whole of it in PATH_INFO. Any other difference is one that
 * the front end made on purpose: behind nginx's `error_page 403 /denied` REQUEST_URI still is what was forbidden.
 */
export function splitAtMountPoint(environ: Environ, mount: string): void {
  const { SCRIPT_NAME: script, PATH_INFO: info } = environ;
  const whole = script + info;
  const path = isBelow(whole, mount) ? whole : decodedPath(environ.REQUEST_URI);

  if (path === undefined || !isBelow(path, mount)) {
    return;
  }

  const seen = mergeSlashes(path);

  if (path === whole || seen === mergeSlashes(mount + whole) || seen === mergeSlashes(info)) {
    environ.SCRIPT_NAME = mount;
    environ.PATH_INFO = path.slice(mount.length);
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
 * still percent-encoded: `proxy:fcgi://localhost/c%20d` (or without `proxy:fcgi://…` for GENERIC back ends). With
 * `nocanon` that part is as the client wrote it, and may mean another; then there is no telling the mount point.
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

  const whole = withPlainSlashes(script);
  const below = withPlainSlashes(percentDecode(file.replace(/^proxy:fcgi:\/\/[^/]*/, '')));
  const isSuffix = below.startsWith('/') && whole.endsWith(below);

  if (isSuffix || !(below === '/' || isInDocumentRoot(below, environ))) {
    const mount = isSuffix ? whole.slice(0, whole.length - below.length) : '';

    environ.SCRIPT_NAME = script.startsWith(mount) ? mount : '';
    environ.PATH_INFO = script.slice(environ.SCRIPT_NAME.length);
  }
}

/**
 * Caddy 2.6.2, `php_fastcgi`: SCRIPT_NAME is the front controller (`/index.php`), a file; PATH_INFO is empty, and
 * only REQUEST_URI has the path.
 */
export function takePathOfFrontController(environ: Partial<Environ>): void {
  const script = environ.SCRIPT_NAME ?? '';

  if (
    environ.PATH_INFO !== '' ||
    script === '' ||
    !stringOr(environ['SERVER_SOFTWARE'], '').startsWith('Caddy/') ||
    !stringOr(environ['SCRIPT_FILENAME'], '').endsWith(script)
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
 * PEP 3333: SCRIPT_NAME never ends with a slash, and is empty at the root; PATH_INFO is empty or begins with one.
 *
 * Caddy 2.6.2 with `split .fcgi` cuts `/app.fcgiadmin` within a segment, which its rules took for one: it is the path
 * as a whole. It also passes `//host.test/app.fcgi` as SCRIPT_NAME, which in a URL is another host (RFC 3986 §4.2).
 */
export function mendBoundary(environ: Environ): void {
  const { SCRIPT_NAME: script, PATH_INFO: info } = environ;

  if (script.endsWith('/')) {
    environ.SCRIPT_NAME = script.slice(0, lengthWithoutSlashes(script));
    environ.PATH_INFO = withLeadingSlash(info);
  } else if (info !== '' && !info.startsWith('/')) {
    environ.SCRIPT_NAME = '';
    environ.PATH_INFO = withLeadingSlash(script + info);
  }
  if (environ.SCRIPT_NAME.startsWith('//')) {
    environ.SCRIPT_NAME = environ.SCRIPT_NAME.replace(/^\/+/, '/');
  }
}

/**
 * nginx 1.22.1, Apache 2.4.71 and lighttpd 1.4.69 merge slashes in the path, those written as `%2F` too. REQUEST_URI
 * has them, and is believed where that is all the difference. The beginning of a path at the root stays merged:
 * `//x` there would be an authority (RFC 3986 §3.3).
 *
 * Apache with `AllowEncodedSlashes NoDecode` leaves `%2F` in PATH_INFO. It stays: `<Location "/admin">` did not see
 * `/admin%2Fx`, so the application must not see `/admin/x` (measured on 2.4.71; `On` decodes before it checks).
 */
export function restoreSlashes(environ: Environ): void {
  const uri = environ.REQUEST_URI;

  // Neither can be there: the usual request leaves here.
  if (uri === undefined || !(uri.includes('//') || /%2f/i.test(uri))) {
    return;
  }

  const { SCRIPT_NAME: script, PATH_INFO: info } = environ;
  const path = decodedPath(uri);

  if (path?.startsWith(script) !== true) {
    return;
  }

  const below = path.slice(script.length);

  if (mergeSlashes(below) === mergeSlashes(info)) {
    environ.PATH_INFO = script === '' && !info.startsWith('//') ? below.replace(/^\/+/, '/') : below;
  }
}

/** HAProxy 2.6.12, mini_httpd 1.30 and Go 1.19 send `SERVER_NAME=app.example.test:8080`. RFC 3875 §4.1.14: a host. */
export function removePortFromServerName(environ: Partial<Environ>): void {
  if (environ.SERVER_NAME?.includes(':') === true) {
    environ.SERVER_NAME = withoutPort(environ.SERVER_NAME);
  }
}

export type Truncation = 'close' | 'late-close' | 'refused-record';

/**
 * How a FastCGI response that cannot be completed is made visible. Closing the connection without END_REQUEST is what
 * Apache 2.4.71, lighttpd 1.4.69 (streaming) and HAProxy 2.6.12 look for; lighttpd not if it reads the close together
 * with the beginning of the response. nginx 1.22.1 takes the close for the normal end of a response without
 * Content-Length, and cuts its client off only when it meets a record it refuses. Nothing is seen by Caddy 2.6.2,
 * lighttpd without streaming, and mod_fcgid 2.3.9 (docs/truncation.md).
 */
export function truncationOf(environ: Partial<Environ> | undefined): Truncation {
  const software = stringOr(environ?.['SERVER_SOFTWARE'], '');

  if (software.startsWith('nginx/')) {
    return 'refused-record';
  }
  return software.startsWith('lighttpd/') ? 'late-close' : 'close';
}

/**
 * lighttpd 1.4.69, mod_cgi: keeps the connection of a client to which a script owes bytes of its Content-Length, so that
 * the next response is read as the rest of the first, unless the script says `Connection: close`.
 */
export function mustCloseClient(variables: Readonly<Record<string, string | undefined>>): boolean {
  return variables['SERVER_SOFTWARE']?.startsWith('lighttpd/') === true;
}

/**
 * HAProxy 2.6.12 forgets a request at its END_REQUEST, and then takes no more of its body from the client: a client that
 * goes on sending waits until a time-out, and on a connection with mpxs-conns so do the requests that come after it.
 * Others drop the rest (Apache, Caddy), or never send it once they have an answer (nginx with
 * `fastcgi_request_buffering off`), and must not be waited for.
 */
export function wantsItsBodyRead(environ: Partial<Environ> | undefined): boolean {
  return stringOr(environ?.['SERVER_SOFTWARE'], '').startsWith('HAProxy ');
}

/**
 * The path of a request target, decoded; undefined for `*` and other targets without one. Also for one with dot
 * segments: most front ends resolve them before they check their rules, and what they resolved is never brought back.
 */
function decodedPath(target: string | undefined): string | undefined {
  if (target === undefined || !target.startsWith('/')) {
    return undefined;
  }

  // nginx and lighttpd take a fragment, which no client sends, for one.
  const end = target.search(/[?#]/);
  const path = percentDecode(end === -1 ? target : target.slice(0, end));

  return /\/\.\.?(?:\/|$)/.test(path) ? undefined : path;
}

function isBelow(path: string, mount: string): boolean {
  return path.startsWith(mount) && (path.length === mount.length || path[mount.length] === '/');
}

function isInDocumentRoot(path: string, environ: Partial<Environ>): boolean {
  return [environ['CONTEXT_DOCUMENT_ROOT'], environ['DOCUMENT_ROOT']].some(
    (root) => typeof root === 'string' && root !== '' && path.startsWith(root),
  );
}

function mergeSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/');
}

/** To compare paths of which one may be encoded in part. */
function withPlainSlashes(path: string): string {
  return mergeSlashes(path.replace(/%2f/gi, '/'));
}

function withLeadingSlash(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** Not by a regular expression: on many slashes in the middle one would take quadratic time. */
function lengthWithoutSlashes(path: string): number {
  let length = path.length;

  while (path[length - 1] === '/') {
    length--;
  }
  return length;
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
