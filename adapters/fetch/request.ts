/** An environ as a Request. */
import { contentLengthOf, requestDetails } from '../../src/gateway/environ';
import { requestTarget } from '../../src/gateway/request-target';
import type { Environ } from '../../src/gateway/types';

/** RFC 3986 §3.2.2 without percent-encoding, which no Host header needs: the port is looked at by the URL parser. */
const HOST = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/** What the URL parser would drop, take for a slash or a fragment, or encode a second time as UTF-8. */
const NOT_IN_TARGET = /[^\x21\x22\x24-\x5b\x5d-\x7e]/g;

/** The Fetch Standard, §4.6 "forbidden method": a Request cannot be made with these, but a client can send them. */
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i;

/** The Fetch Standard, §5.3: nothing can be read of these. */
const BODYLESS_METHOD = /^(?:GET|HEAD|CONNECT|TRACE|TRACK)$/i;

/** What `Headers` refuses; no front end lets them through. */
const FORBIDDEN_IN_VALUE = /[\0\r\n]/;

export function createRequest(environ: Environ): Request {
  const { REQUEST_METHOD: method } = environ;
  const isForbidden = FORBIDDEN_METHOD.test(method);
  const request = new Request(urlOf(environ), {
    method: isForbidden ? 'GET' : method,
    headers: headersOf(environ),
    // Not only when it is touched: `new Request(request)` and clone() follow the one they were made with.
    signal: environ['postern.signal'],
    ...bodyOf(environ),
  });

  if (isForbidden) {
    Object.defineProperty(request, 'method', { value: method, enumerable: true });
  }
  return request;
}

function urlOf(environ: Environ): string {
  const target = requestTarget(environ).replace(
    NOT_IN_TARGET,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

  return originOf(environ) + (target.startsWith('/') ? target : `/${target}`);
}

/** The client's word for the host if it is one, else the server's. */
function originOf(environ: Environ): string {
  const { HTTP_HOST: host, SERVER_NAME: name, SERVER_PORT: port } = environ;
  const scheme = environ['wsgi.url_scheme'];

  if (host !== undefined && HOST.test(host) && URL.canParse(`${scheme}://${host}`)) {
    return `${scheme}://${host}`;
  }

  const origin = `${scheme}://${name.includes(':') && !name.startsWith('[') ? `[${name}]` : name}:${port}`;

  return URL.canParse(origin) ? origin : `${scheme}://localhost`;
}

function headersOf(environ: Environ): Headers {
  const headers = new Headers();
  const { CONTENT_TYPE: type, CONTENT_LENGTH: length, REQUEST_METHOD: method } = environ;

  for (const name in environ) {
    const value = name.startsWith('HTTP_') ? environ[name] : undefined;

    if (typeof value === 'string' && !FORBIDDEN_IN_VALUE.test(value)) {
      headers.append(name.slice('HTTP_'.length).replaceAll('_', '-'), value);
    }
  }
  if (type !== undefined && !FORBIDDEN_IN_VALUE.test(type)) {
    headers.append('content-type', type);
  }
  // HAProxy 2.6.12, lighttpd 1.4.69 and Caddy 2.6.2 send CONTENT_LENGTH=0 with every GET; no client does.
  if (length !== undefined && !(length === '0' && BODYLESS_METHOD.test(method))) {
    headers.append('content-length', length);
  } else if (requestDetails(environ)?.isChunked === true) {
    headers.append('transfer-encoding', 'chunked');
  }
  return headers;
}

function bodyOf(environ: Environ): RequestInit {
  if (BODYLESS_METHOD.test(environ.REQUEST_METHOD) || contentLengthOf(environ) === 0) {
    return {};
  }
  return { body: bodyStream(environ), duplex: 'half' };
}

/** Touches `wsgi.input` when it is first read, and asks for a chunk only when its reader does. */
function bodyStream(environ: Environ): ReadableStream<Uint8Array> {
  let chunks: AsyncIterator<Uint8Array> | undefined;

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        chunks ??= (environ['wsgi.input'] as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();

        const step = await chunks.next();

        if (step.done === true) {
          controller.close();
        } else {
          controller.enqueue(step.value);
        }
      },
      cancel() {
        environ['wsgi.input'].destroy();
      },
    },
    { highWaterMark: 0 },
  );
}
