/** startResponse's states (PEP 3333, "The start_response() Callable") and what the head says about the body. */
import { ApplicationError } from '../errors';
import { isFieldValue, isForbiddenHeader, isStatus, isToken, parseContentLength } from './grammar';
import type { Header, Headers } from './types';

/** A checked response head, ready for any protocol. */
export interface ResponseHead {
  /** `"200 OK"` */
  readonly status: string;
  /** `Name: value` lines, each with its CRLF; latin-1. */
  readonly fieldLines: string;
  /** Body bytes the head promises, if it does. */
  readonly contentLength: number | undefined;
}

/** One response from the first `startResponse` to the head that is sent. */
export class Response {
  #called = false;
  #head: ResponseHead | undefined;
  #headSent = false;

  get headSent(): boolean {
    return this.#headSent;
  }

  /**
   * `startResponse` itself.
   * @throws {ApplicationError} `ERR_STATUS`, `ERR_HEADER`, `ERR_START_RESPONSE_TWICE`; `excInfo` once the head is sent.
   */
  start(status: string, headers: Headers, excInfo: unknown): void {
    if (excInfo == null) {
      if (this.#called) {
        throw new ApplicationError(
          'ERR_START_RESPONSE_TWICE',
          'startResponse was called a second time without excInfo',
        );
      }
    } else if (this.#headSent) {
      throw excInfo; // eslint-disable-line @typescript-eslint/only-throw-error -- the caller's own error goes back to it
    }
    this.#called = true;
    this.#head = undefined;
    this.#head = checkHead(status, headers);
  }

  /** The gateway's own answer in place of whatever the application began. */
  replace(status: string, headers: Headers): void {
    this.#head = checkHead(status, headers);
  }

  /** Body bytes that the head, not yet sent, promises to the client. */
  promisedBytes(method: string | undefined): number {
    const head = this.#head;

    return head === undefined || hasNoBody(method, head.status) ? 0 : (head.contentLength ?? 0);
  }

  /**
   * Takes the head for sending; after this it can no more be replaced.
   * @throws {ApplicationError} `ERR_NO_RESPONSE`; `ERR_STATUS` for 1xx, which no front end survives as an answer.
   */
  takeHead(): ResponseHead {
    const head = this.#head;

    if (head === undefined) {
      throw new ApplicationError('ERR_NO_RESPONSE', 'startResponse was not called before the body');
    }
    if (head.status.startsWith('1')) {
      throw new ApplicationError('ERR_STATUS', 'an application cannot answer with a 1xx status');
    }
    this.#headSent = true;
    return head;
  }
}

/** RFC 9110 §6.4.1: responses that end with their head. */
export function hasNoBody(method: string | undefined, status: string): boolean {
  return method === 'HEAD' || status.startsWith('204') || status.startsWith('304');
}

function checkHead(status: string, headers: Headers): ResponseHead {
  if (typeof status !== 'string' || !isStatus(status)) {
    throw new ApplicationError(
      'ERR_STATUS',
      'a status is three digits from 100 to 999, a space and a reason, such as "200 OK"',
    );
  }
  if (!Array.isArray(headers)) {
    throw new ApplicationError('ERR_HEADER', 'headers must be an array of [name, value] pairs');
  }

  let fieldLines = '';
  let contentLength: number | undefined;

  for (const header of headers as unknown[]) {
    checkHeader(header);

    const [name, value] = header;

    // A Content-Length has 14 letters; no other name needs to be lower-cased twice.
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      const length = checkContentLength(value, contentLength);
      const isFirst = contentLength === undefined;
      contentLength = length;
      // RFC 9110 §8.6: no Content-Length in a 204.
      if (!isFirst || status.startsWith('204')) {
        continue;
      }
    }
    fieldLines += `${name}: ${value}\r\n`;
  }
  return { status, fieldLines, contentLength };
}

function checkHeader(header: unknown): asserts header is Header {
  if (!isPairOfStrings(header)) {
    throw new ApplicationError('ERR_HEADER', 'a header is a pair of strings, [name, value]');
  }

  const [name, value] = header;

  if (!isToken(name)) {
    throw new ApplicationError('ERR_HEADER', 'a header name is not a token (RFC 9110 §5.6.2)');
  }
  if (isForbiddenHeader(name.toLowerCase())) {
    throw new ApplicationError(
      'ERR_HEADER',
      `the header ${name} belongs to the server, not to the application`,
    );
  }
  if (!isFieldValue(value)) {
    throw new ApplicationError(
      'ERR_HEADER',
      `the value of the header ${name} has a forbidden character (RFC 9110 §5.5)`,
    );
  }
}

function isPairOfStrings(header: unknown): header is Header {
  return (
    Array.isArray(header) &&
    header.length === 2 &&
    typeof header[0] === 'string' &&
    typeof header[1] === 'string'
  );
}

function checkContentLength(value: string, earlier: number | undefined): number {
  const length = parseContentLength(value);

  if (length === undefined || (earlier !== undefined && earlier !== length)) {
    throw new ApplicationError('ERR_HEADER', 'Content-Length must be one number in decimal digits');
  }
  return length;
}
