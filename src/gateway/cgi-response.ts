/** Reads the head of a CGI response (RFC 3875 §6), as a web server does; FastCGI responses begin in the same way. */
import { GatewayError } from '../errors';
import { isFieldValue, isForbiddenHeader, isToken } from './grammar';
import { statusText } from './status';
import type { Header, Headers } from './types';

export interface CgiResponse {
  /** `"200 OK"` */
  readonly status: string;
  /** Without `Status` and the headers that belong to the server (RFC 3875 §6.3.4). */
  readonly headers: Headers;
  /** Body bytes that came together with the end of the head: a view of the last chunk. */
  readonly rest: Buffer;
}

export interface CgiResponseOptions {
  /** Default 65,536: of the front ends that were measured only Caddy takes a larger head line by line. */
  readonly maxHeadBytes?: number | undefined;
}

const DEFAULT_MAX_HEAD_BYTES = 65536;

const LINE_FEED = 0x0a;

// §6.3.3, where the reason may be empty; leniently, the blank before it may be missing then.
const STATUS_VALUE = /^([1-9][0-9]{2})(?:[ \t]+(.*))?$/;

/** Takes chunks until the head is complete. Each byte is looked at once, and at most `maxHeadBytes` are held. */
export class CgiResponseParser {
  readonly #maxHeadBytes: number;
  #bytes = 0;
  /** The beginning of a line whose end has not come; latin-1. */
  #line = '';
  #status: string | undefined;
  #hasLocation = false;
  readonly #headers: Header[] = [];

  constructor(options: CgiResponseOptions = {}) {
    this.#maxHeadBytes = options.maxHeadBytes ?? DEFAULT_MAX_HEAD_BYTES;
  }

  /**
   * @returns undefined while the head is not complete.
   * @throws {GatewayError} `ERR_BACKEND`
   */
  push(chunk: Buffer): CgiResponse | undefined {
    let start = 0;

    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);

      this.#count((end === -1 ? chunk.length : end + 1) - start);
      if (end === -1) {
        this.#line += chunk.toString('latin1', start);
        return undefined;
      }

      const line = this.#line + chunk.toString('latin1', start, end);

      this.#line = '';
      start = end + 1;
      if (line === '' || line === '\r') {
        return { status: this.#finalStatus(), headers: this.#headers, rest: chunk.subarray(start) };
      }
      this.#addLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    }
  }

  /** The output has ended without a complete head. */
  end(): never {
    throw malformed(
      this.#bytes === 0
        ? 'the program ended without a response'
        : 'the program ended within its response head',
    );
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxHeadBytes) {
      throw malformed(`the response head is longer than ${String(this.#maxHeadBytes)} bytes`);
    }
  }

  #addLine(line: string): void {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');

    if (!isToken(name) || !isFieldValue(value)) {
      throw malformed('a line of the response head is not a header field');
    }

    const key = name.toLowerCase();

    if (key === 'status') {
      this.#status = parseStatus(value);
    } else if (!isForbiddenHeader(key)) {
      this.#hasLocation ||= key === 'location';
      this.#headers.push([name, value]);
    }
  }

  #finalStatus(): string {
    if (this.#status === undefined && this.#headers.length === 0) {
      throw malformed('the response head is empty');
    }
    // §6.2.3 for an absolute URL; for a path, too, as nginx 1.22.1, lighttpd 1.4.69 and HAProxy 2.6.12 do with FastCGI.
    return this.#status ?? (this.#hasLocation ? '302 Found' : '200 OK');
  }
}

function parseStatus(value: string): string {
  const [, code, reason = ''] = STATUS_VALUE.exec(value) ?? [];

  if (code === undefined) {
    throw malformed('Status is not three digits and a reason');
  }
  return `${code} ${reason === '' ? statusText(Number(code)) : reason}`;
}

function malformed(message: string): GatewayError {
  return new GatewayError('ERR_BACKEND', message);
}
