/** The head on the wire (RFC 3875 §6.2): CRLF, an explicit status, the whole of it in one piece. */
import type { ResponseHead } from './response';

/**
 * CGI: `Status` comes first. busybox 1.35 reads it on the first line only.
 *
 * @param closesClient tell the web server to close the client's connection after this response.
 */
export function encodeCgiHead(head: ResponseHead, closesClient = false): string {
  return `Status: ${head.status}\r\n${head.fieldLines}${closesClient ? 'Connection: close\r\n' : ''}\r\n`;
}

/**
 * FastCGI: `Status` comes last. HAProxy 2.6.12 lets the last of `Status` and `Location` win, so that a 301 or 201
 * whose `Location` came after it became a 302.
 */
export function encodeFastCgiHead(head: ResponseHead): string {
  return `${head.fieldLines}Status: ${head.status}\r\n\r\n`;
}

/**
 * RFC 3875 §5: a script named `nph-…` writes the whole HTTP response head itself.
 *
 * @param protocol `SERVER_PROTOCOL`; the answer to an HTTP/1.0 client says HTTP/1.0 (RFC 9110 §2.5).
 */
export function encodeNphHead(head: ResponseHead, protocol: string): string {
  const version = protocol === 'HTTP/1.0' ? 'HTTP/1.0' : 'HTTP/1.1';

  // Nothing frames the body but the end of the connection, so an HTTP/1.1 client must be told (RFC 9112 §6.3).
  return `${version} ${head.status}\r\n${head.fieldLines}Connection: close\r\n\r\n`;
}
