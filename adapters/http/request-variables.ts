/** An HTTP/1.1 request as CGI variables (RFC 3875 §4.1), as nginx's fastcgi_params makes them. */
import { PeerError } from '../../src/errors';
import { percentDecode } from '../../src/gateway/grammar';

/** A request head and where it came from; strings are bytes as latin-1 code points. */
export interface HttpRequestHead {
  readonly method: string;
  /** RFC 9112 §3.2, as the client wrote it. */
  readonly target: string;
  /** `1.1` */
  readonly httpVersion: string;
  /** Name, value, name, value, … in the order sent. */
  readonly rawHeaders: readonly string[];
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export type Pair = readonly [name: string, value: string];

interface Target {
  readonly path: string;
  readonly query: string;
  /** Of the absolute form only. */
  readonly authority: string | undefined;
}

const SOFTWARE = 'postern';

/**
 * Letters, digits and hyphens, as nginx: with an underscore, or with a dot that some program takes for one, a name
 * would be the alias of another (`X_Forwarded_For`).
 */
const PASSED_HEADER = /^[A-Za-z0-9-]+$/;

/** @throws {PeerError} `ERR_PATH`, `ERR_PARAMS_MALFORMED` */
export function requestVariables(request: HttpRequestHead): Pair[] {
  const { path, query, authority } = parseTarget(request.method, request.target);
  const pairs: Pair[] = [
    ['GATEWAY_INTERFACE', 'CGI/1.1'],
    ['SERVER_SOFTWARE', SOFTWARE],
    ['SERVER_PROTOCOL', `HTTP/${request.httpVersion}`],
    ['SERVER_ADDR', request.localAddress],
    ['SERVER_PORT', String(request.localPort)],
    ['REMOTE_ADDR', request.remoteAddress],
    ['REMOTE_PORT', String(request.remotePort)],
    ['REQUEST_METHOD', request.method],
    ['REQUEST_SCHEME', 'http'],
    ['REQUEST_URI', request.target],
    ['SCRIPT_NAME', ''],
    ['PATH_INFO', percentDecode(path)],
    ['QUERY_STRING', query],
  ];

  addHeaders(pairs, request.rawHeaders);
  if (authority !== undefined) {
    // RFC 9112 §3.2.2: the target's host counts, not the header's. The builder takes the last HTTP_HOST.
    pairs.push(['HTTP_HOST', authority]);
  }
  return pairs;
}

function addHeaders(pairs: Pair[], rawHeaders: readonly string[]): void {
  const isChunked = hasHeader(rawHeaders, 'transfer-encoding');
  let hosts = 0;

  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';

    if (!PASSED_HEADER.test(name)) {
      continue;
    }

    const variable = name.toUpperCase().replaceAll('-', '_');

    if (variable === 'HOST' && ++hosts > 1) {
      throw new PeerError('ERR_PARAMS_MALFORMED', 'a request has one Host header only (RFC 9112 §3.2)');
    }
    if (variable === 'TRANSFER_ENCODING' && value.toLowerCase() !== 'chunked') {
      throw new PeerError('ERR_PARAMS_MALFORMED', 'the only transfer coding of a request is chunked');
    }
    if (variable === 'CONTENT_TYPE') {
      pairs.push([variable, value]);
    } else if (variable === 'CONTENT_LENGTH') {
      // RFC 9112 §6.3: the chunked coding overrides it; the body then ends at its end.
      if (!isChunked) {
        pairs.push([variable, value]);
      }
    } else {
      pairs.push([`HTTP_${variable}`, value]);
    }
  }
}

/** @param wanted in lower case. */
export function hasHeader(rawHeaders: readonly string[], wanted: string): boolean {
  return rawHeaders.some((name, index) => index % 2 === 0 && name.toLowerCase() === wanted);
}

function parseTarget(method: string, target: string): Target {
  if (target.startsWith('/')) {
    return { ...splitQuery(target), authority: undefined };
  }
  if (target === '*' && method === 'OPTIONS') {
    return { path: '', query: '', authority: undefined };
  }

  // Without userinfo, which RFC 9110 §4.2.4 wants treated as an error.
  const [, authority, rest = ''] = /^https?:\/\/([^/?#@]+)([/?].*)?$/i.exec(target) ?? [];

  if (authority === undefined) {
    throw new PeerError('ERR_PATH', 'the request target is in none of the forms of RFC 9112 §3.2');
  }
  return { ...splitQuery(rest.startsWith('/') ? rest : `/${rest}`), authority };
}

function splitQuery(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?');

  return mark === -1
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}
