/** The bytes of an HTTP/1.1 request, as a test describes it: nothing is corrected. */
import { valuesOf, type HeaderField } from './http-response-parser';

export interface HttpOrigin {
  readonly host: string;
  readonly port: number;
  /** Any certificate will do. */
  readonly tls?: boolean;
}

/** Several pieces are sent one after the other, as slowly as they are made. */
export type RequestBody =
  string | Uint8Array | Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

export interface HttpRequest {
  /** Default: GET. */
  readonly method?: string;
  /** Sent as it is, one byte for each code unit. Default: `/`. */
  readonly target?: string;
  /** Sent as they are, in this order. Host, Connection and Content-Length are added unless they are here. */
  readonly headers?: readonly HeaderField[];
  readonly body?: RequestBody;
  /** Sends the body in the chunked coding, each piece as one chunk. Default: false. */
  readonly chunked?: boolean;
  /** Default: `1.1`. */
  readonly httpVersion?: '1.0' | '1.1';
  /** From the connection to the last byte of the response. Default: 10 s. */
  readonly timeoutMs?: number;
}

const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** The head, and the body in the pieces in which it is made. */
export async function* requestPieces(
  origin: HttpOrigin,
  options: HttpRequest,
  keepAlive: boolean,
): AsyncGenerator<Buffer> {
  const { body = '', chunked = false } = options;
  const head = requestHead(origin, options, keepAlive);
  if (isWhole(body)) {
    // With the head in one write, as browsers do for small bodies.
    yield Buffer.concat([head, ...(chunked ? [chunkOf(body), LAST_CHUNK] : [Buffer.from(body)])]);
    return;
  }

  yield head;
  for await (const piece of body) {
    yield chunked ? chunkOf(piece) : Buffer.from(piece);
  }
  if (chunked) {
    yield LAST_CHUNK;
  }
}

function requestHead(origin: HttpOrigin, options: HttpRequest, keepAlive: boolean): Buffer {
  const { method = 'GET', target = '/', headers = [], body, chunked = false, httpVersion = '1.1' } = options;
  const defaults: HeaderField[] = [['Host', `${origin.host}:${String(origin.port)}`]];

  if (!keepAlive) {
    defaults.push(['Connection', 'close']);
  }
  if (chunked) {
    defaults.push(['Transfer-Encoding', 'chunked']);
  } else if (body !== undefined && isWhole(body)) {
    defaults.push(['Content-Length', String(Buffer.byteLength(body))]);
  }

  const added = defaults.filter(([name]) => valuesOf(headers, name).length === 0);
  const lines = [...added, ...headers].map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${target} HTTP/${httpVersion}\r\n${lines.join('')}\r\n`, 'latin1');
}

function chunkOf(piece: string | Uint8Array): Buffer {
  const bytes = Buffer.from(piece);
  // A chunk of no bytes would be the last one.
  return bytes.length === 0
    ? bytes
    : Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

function isWhole(body: RequestBody): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array;
}
