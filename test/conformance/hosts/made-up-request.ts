/**
 * What a web server would make of an HTTP request for a program behind it (RFC 3875 §4.1): for the hosts that have
 * no web server. It does nothing wrong, and passes on all that the gateway has to drop.
 */
import type { HttpRequest } from '../../support/http-client';
import type { Pair } from '../../support/records';

export interface MadeUpRequest {
  /** In latin-1, each header line a pair of its own. */
  readonly pairs: readonly Pair[];
  /** The request body in the pieces in which it comes. */
  readonly body: AsyncIterable<Buffer>;
  /** undefined: the client does not say it. */
  readonly contentLength: number | undefined;
}

export const PORT = 8080;

export function madeUpRequest(
  request: HttpRequest,
  mount: string,
  origin: 'plain' | 'tls',
  software: string,
): MadeUpRequest {
  const { method = 'GET', target = '/', headers = [], httpVersion = '1.1' } = request;
  const uri = target.replace(/^https?:\/\/[^/]*/, '');
  const [path = '', query = ''] = cut(uri, '?');
  const decoded = withoutDotSegments(percentDecoded(path));
  const contentLength = contentLengthOf(request);
  const transferEncoding: Pair[] = request.chunked === true ? [['HTTP_TRANSFER_ENCODING', 'chunked']] : [];

  return {
    pairs: [
      ['GATEWAY_INTERFACE', 'CGI/1.1'],
      ['SERVER_SOFTWARE', software],
      ['SERVER_PROTOCOL', `HTTP/${httpVersion}`],
      ['SERVER_NAME', 'app.example.test'],
      ['SERVER_PORT', String(PORT)],
      ['REMOTE_ADDR', '127.0.0.1'],
      ['REQUEST_METHOD', method],
      ['REQUEST_URI', target],
      ['SCRIPT_NAME', mount],
      ['PATH_INFO', decoded.slice(mount.length)],
      ['QUERY_STRING', query],
      ['HTTPS', origin === 'tls' ? 'on' : ''],
      ['CONTENT_TYPE', headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''],
      ['CONTENT_LENGTH', contentLength === undefined ? '' : String(contentLength)],
      ['HTTP_CONNECTION', 'close'],
      ...transferEncoding,
      ...headersWithHost(headers).map(([name, value]): Pair => [variableOf(name), value]),
    ],
    body: piecesOf(request),
    contentLength,
  };
}

function headersWithHost(headers: HttpRequest['headers'] = []): readonly Pair[] {
  const host: Pair[] = headers.some(([name]) => name.toLowerCase() === 'host')
    ? []
    : [['Host', `127.0.0.1:${String(PORT)}`]];
  // `X_Y` and `X-Y` would be one variable: nginx, Apache and HAProxy drop the former, too.
  return [...host, ...headers.filter(([name]) => !name.includes('_'))];
}

/** Dots stay, as on Caddy. */
function variableOf(header: string): string {
  return `HTTP_${header.toUpperCase().replaceAll('-', '_')}`;
}

function contentLengthOf({ headers = [], body, chunked = false }: HttpRequest): number | undefined {
  const said = headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1];

  if (said !== undefined) {
    return Number(said);
  }
  return !chunked && (typeof body === 'string' || body instanceof Uint8Array)
    ? Buffer.byteLength(body)
    : undefined;
}

async function* piecesOf({ body = '' }: HttpRequest): AsyncGenerator<Buffer> {
  if (typeof body === 'string' || body instanceof Uint8Array) {
    yield Buffer.from(body);
    return;
  }
  for await (const piece of body) {
    yield Buffer.from(piece);
  }
}

function cut(text: string, mark: string): readonly string[] {
  const index = text.indexOf(mark);
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + mark.length)];
}

function percentDecoded(path: string): string {
  return path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** RFC 3986 §5.2.4, as nginx, Apache and lighttpd do it before they look for a location. */
function withoutDotSegments(path: string): string {
  const segments: string[] = [];
  const parts = path.split('/').slice(1);

  for (const [index, part] of parts.entries()) {
    if (part === '..') {
      segments.pop();
    } else if (part !== '.') {
      segments.push(part);
    }
    if ((part === '.' || part === '..') && index === parts.length - 1) {
      segments.push('');
    }
  }
  return `/${segments.join('/')}`;
}
