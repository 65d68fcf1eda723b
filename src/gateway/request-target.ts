/** The request target below the mount point, as the client wrote it: what Node calls `req.url`. */
import { percentDecode } from './grammar';
import type { Environ } from './types';

/** What PATH_INFO may hold that a target may not (RFC 3986 §3.3, and `%` itself). */
const NOT_IN_PATH = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/g;

/**
 * REQUEST_URI without SCRIPT_NAME where it means the path that the front end decided on, else PATH_INFO encoded anew:
 * after a rewrite REQUEST_URI still is the first one, and a few CGI hosts send none.
 */
export function requestTarget(environ: Environ): string {
  const { SCRIPT_NAME: script, PATH_INFO: info, QUERY_STRING: query, REQUEST_URI: uri } = environ;

  if (uri === '*' && (info === '' || info === '/*' || info === '*')) {
    return uri;
  }

  const questionMark = uri?.indexOf('?') ?? -1;
  const rawPath = questionMark === -1 ? uri : uri?.slice(0, questionMark);
  const below = rawPath === undefined ? undefined : belowMount(rawPath, script);

  if (below === undefined || !isSamePath(percentDecode(below), info)) {
    return encodePath(info) + (query === '' ? '' : `?${query}`);
  }
  if (questionMark !== -1 && uri?.slice(questionMark + 1) === query) {
    return (below === '' ? '/' : below) + uri.slice(questionMark);
  }
  return (below === '' ? '/' : below) + (query === '' ? '' : `?${query}`);
}

/** What is left of a raw path when the decoded mount point is taken from its beginning. */
function belowMount(rawPath: string, script: string): string | undefined {
  if (rawPath.startsWith(script)) {
    return rawPath.slice(script.length);
  }

  let at = 0;

  for (const char of script) {
    const isEncoded = rawPath[at] === '%';
    const raw = rawPath.slice(at, isEncoded ? at + 3 : at + 1);

    if (percentDecode(raw) !== char) {
      return undefined;
    }
    at += raw.length;
  }
  return rawPath.slice(at);
}

/**
 * Front ends merge slashes, and decode them or not. They resolve dot segments, too, but those never come back: rules
 * for `/admin` did not see `/admin/../x`, and what routes by the beginning of a path would.
 */
function isSamePath(raw: string, info: string): boolean {
  return raw === info || withMergedSlashes(raw) === withMergedSlashes(info);
}

function withMergedSlashes(path: string): string {
  return path.replace(/(?:\/|%2f)+/gi, '/');
}

function encodePath(path: string): string {
  const encoded = path.replace(
    NOT_IN_PATH,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

  return encoded.startsWith('/') ? encoded : `/${encoded}`;
}
