/** An environ's headers in the form of node:http. */
import { requestDetails } from '../../src/gateway/environ';
import type { Environ } from '../../src/gateway/types';

/** `HTTP_USER_AGENT` to `User-Agent`; a handful of names, so each is worked out once. */
const NAMES = new Map<string, string>();

/** Variables come from the network: no more names are remembered than any site uses. */
const MAX_NAMES = 500;

/** name, value, name, value, … as `req.rawHeaders`. */
export function rawHeadersOf(environ: Environ): string[] {
  const raw: string[] = [];
  const details = requestDetails(environ);
  const repeated = details?.repeatedHeaders;

  // Not for-in, which asks for each key again whether it is there.
  for (const name of Object.keys(environ)) {
    if (!name.startsWith('HTTP_')) {
      continue;
    }

    const lines = repeated?.get(name);
    const value = environ[name];

    if (lines !== undefined) {
      for (const line of lines) {
        raw.push(headerName(name), line);
      }
    } else if (typeof value === 'string') {
      raw.push(headerName(name), value);
    }
  }

  const { CONTENT_TYPE: type, CONTENT_LENGTH: length } = environ;

  if (type !== undefined) {
    raw.push('Content-Type', type);
  }
  if (length !== undefined && !(length === '0' && isBodyless(environ.REQUEST_METHOD))) {
    raw.push('Content-Length', length);
  } else if (details?.isChunked === true) {
    // Body parsers look for one of the two, and this is what the client sent.
    raw.push('Transfer-Encoding', 'chunked');
  }
  return raw;
}

/** HAProxy 2.6.12, lighttpd 1.4.69 and Caddy 2.6.2 send CONTENT_LENGTH=0 with every GET; no client does. */
function isBodyless(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

function headerName(variable: string): string {
  const known = NAMES.get(variable);

  if (known !== undefined) {
    return known;
  }

  const name = variable
    .slice('HTTP_'.length)
    .split('_')
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join('-');

  if (NAMES.size < MAX_NAMES) {
    NAMES.set(variable, name);
  }
  return name;
}
