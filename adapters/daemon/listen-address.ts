/** Where a daemon listens: `--socket` and its relatives. */
import { GatewayError } from '../../src/errors';

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'fd'; readonly fd: number };

/**
 * Linux: `sun_path` holds 108 bytes with its NUL; longer ones are cut silently by some, so nobody would find the socket.
 */
const MAX_UNIX_PATH_BYTES = 107;

/**
 * `/run/app.sock`, `unix:/run/app.sock`, `127.0.0.1:9000`, `[::1]:9000`, `:9000` (loopback), `fd:3`.
 * @throws {GatewayError} `ERR_USAGE`
 */
export function parseListenAddress(text: string): ListenAddress {
  const fd = /^fd:(\d+)$/.exec(text)?.[1];

  if (fd !== undefined) {
    return { kind: 'fd', fd: Number(fd) };
  }

  const tcp = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^/:]*)):(\d{1,5})$/.exec(text);

  if (tcp !== null) {
    return tcpAddress(tcp[1] ?? tcp[2] ?? '', Number(tcp[3]), text);
  }
  return unixAddress(text.startsWith('unix:') ? text.slice('unix:'.length) : text);
}

/** How an address is written in a message. */
export function formatListenAddress(address: ListenAddress): string {
  switch (address.kind) {
    case 'unix':
      return `unix:${address.path}`;
    case 'tcp':
      return address.host.includes(':')
        ? `[${address.host}]:${String(address.port)}`
        : `${address.host}:${String(address.port)}`;
    case 'fd':
      return `fd:${String(address.fd)}`;
  }
}

function tcpAddress(host: string, port: number, text: string): ListenAddress {
  if (port > 65535) {
    throw new GatewayError('ERR_USAGE', `no such port: ${text}`);
  }
  return { kind: 'tcp', host: host === '' ? '127.0.0.1' : host, port };
}

function unixAddress(path: string): ListenAddress {
  if (path === '') {
    throw new GatewayError('ERR_USAGE', 'the socket must be a path, host:port or fd:N');
  }
  if (Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES) {
    throw new GatewayError(
      'ERR_USAGE',
      `the path of the socket is longer than the ${String(MAX_UNIX_PATH_BYTES)} bytes a Unix socket can have: ${path}`,
    );
  }
  return { kind: 'unix', path };
}
