/**
 * Reads one HTTP/1.1 response (RFC 9112) from bytes as they come. For tests: it believes the bytes and nothing
 * else, keeps the order and the spelling of the header fields, and can tell a whole response from a cut one.
 */

export type HeaderField = readonly [name: string, value: string];

export interface ResponseHead {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly HeaderField[];
}

/** What the head says about where the body ends (RFC 9112 §6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'close';

export interface ResponseHandler {
  /** An interim response (1xx). The final one follows. */
  onInterim(head: ResponseHead): void;
  onHead(head: ResponseHead): void;
  /** Bytes without their coding; the view may be kept. */
  onBody(bytes: Buffer): void;
}

const CRLF = Buffer.from('\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');

export class ResponseParser {
  readonly #handler: ResponseHandler;
  readonly #method: string;
  #state: 'head' | 'body' | 'chunk-size' | 'chunk-end' | 'trailer' | 'done' = 'head';
  #framing: Framing = 'none';
  #unread: Buffer = Buffer.alloc(0);
  #bytesLeft = 0;

  constructor(method: string, handler: ResponseHandler) {
    this.#method = method;
    this.#handler = handler;
  }

  get framing(): Framing {
    return this.#framing;
  }

  /** The response has ended by what it says itself. Never true of one that only the end of the connection ends. */
  get ended(): boolean {
    return this.#state === 'done';
  }

  /** The response is whole if the connection ends here, in good order. */
  get completeAtClose(): boolean {
    return this.ended || (this.#state === 'body' && this.#framing === 'close');
  }

  /** What has come after the end of the response, or is too little to be read as part of it. */
  get unread(): Buffer {
    return this.#unread;
  }

  /** @throws {Error} on bytes that are no HTTP/1.x response. */
  push(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    while (this.#state !== 'done' && this.#step());
  }

  /** Reads one piece; false when more bytes are needed for it. */
  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#readHead();
      case 'body':
        return this.#readBody();
      case 'chunk-size':
        return this.#readChunkSize();
      case 'chunk-end':
        return this.#readChunkEnd();
      case 'trailer':
        return this.#readTrailer();
      case 'done':
        return false;
    }
  }

  #readHead(): boolean {
    const bytes = this.#takeThrough(HEAD_END);
    if (bytes === undefined) {
      return false;
    }

    const head = parseHead(bytes.toString('latin1'));
    if (head.status >= 100 && head.status < 200) {
      this.#handler.onInterim(head);
      return true;
    }

    this.#framing = framingOf(this.#method, head);
    this.#bytesLeft = this.#framing === 'length' ? contentLengthOf(head) : Infinity;
    this.#handler.onHead(head);
    this.#state = this.#framing === 'chunked' ? 'chunk-size' : 'body';
    if (this.#framing === 'none' || this.#bytesLeft === 0) {
      this.#state = 'done';
    }
    return true;
  }

  #readBody(): boolean {
    if (this.#unread.length === 0) {
      return false;
    }

    const bytes = this.#take(Math.min(this.#unread.length, this.#bytesLeft));
    this.#bytesLeft -= bytes.length;
    this.#handler.onBody(bytes);
    if (this.#bytesLeft === 0) {
      this.#state = this.#framing === 'chunked' ? 'chunk-end' : 'done';
    }
    return true;
  }

  #readChunkSize(): boolean {
    const line = this.#takeThrough(CRLF)?.toString('latin1');
    if (line === undefined) {
      return false;
    }

    const size = /^([0-9A-Fa-f]+)[ \t]*(;.*)?\r\n$/.exec(line)?.[1];
    if (size === undefined) {
      throw new Error(`not a chunk size: ${JSON.stringify(line)}`);
    }
    this.#bytesLeft = parseInt(size, 16);
    this.#state = this.#bytesLeft === 0 ? 'trailer' : 'body';
    return true;
  }

  #readChunkEnd(): boolean {
    if (this.#unread.length < CRLF.length) {
      return false;
    }
    if (!this.#take(CRLF.length).equals(CRLF)) {
      throw new Error('not a chunk: it is longer than its size');
    }
    this.#state = 'chunk-size';
    return true;
  }

  #readTrailer(): boolean {
    const line = this.#takeThrough(CRLF);
    if (line === undefined) {
      return false;
    }
    if (line.equals(CRLF)) {
      this.#state = 'done';
    }
    return true;
  }

  #take(length: number): Buffer {
    const bytes = this.#unread.subarray(0, length);
    this.#unread = this.#unread.subarray(length);
    return bytes;
  }

  #takeThrough(mark: Buffer): Buffer | undefined {
    const index = this.#unread.indexOf(mark);
    return index < 0 ? undefined : this.#take(index + mark.length);
  }
}

/** All values of a header field, in order. */
export function valuesOf(headers: readonly HeaderField[], name: string): readonly string[] {
  const wanted = name.toLowerCase();
  return headers.filter(([each]) => each.toLowerCase() === wanted).map(([, value]) => value);
}

function parseHead(text: string): ResponseHead {
  const [statusLine = '', ...lines] = text.slice(0, -HEAD_END.length).split('\r\n');
  const [, version, status, reason] = /^HTTP\/(1\.[01]) (\d{3})(?: (.*))?$/.exec(statusLine) ?? [];
  if (version === undefined || status === undefined) {
    throw new Error(`not a status line: ${JSON.stringify(statusLine)}`);
  }
  return { version, status: Number(status), reason: reason ?? '', headers: lines.map(parseField) };
}

function parseField(line: string): HeaderField {
  const colon = line.indexOf(':');
  if (colon <= 0) {
    throw new Error(`not a header field: ${JSON.stringify(line)}`);
  }
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
}

/** RFC 9112 §6.3, in its order. */
function framingOf(method: string, head: ResponseHead): Framing {
  if (method === 'HEAD' || head.status === 204 || head.status === 304) {
    return 'none';
  }
  if (valuesOf(head.headers, 'Transfer-Encoding').some((value) => /(^|,)\s*chunked\s*$/i.test(value))) {
    return 'chunked';
  }
  return valuesOf(head.headers, 'Content-Length').length > 0 ? 'length' : 'close';
}

function contentLengthOf(head: ResponseHead): number {
  const values = new Set(valuesOf(head.headers, 'Content-Length'));
  const [value = ''] = values;
  if (values.size !== 1 || !/^\d+$/.test(value)) {
    throw new Error(`not a Content-Length: ${JSON.stringify([...values])}`);
  }
  return Number(value);
}
