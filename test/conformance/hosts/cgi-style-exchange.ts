/**
 * An exchange with a program that answers as RFC 3875 §6 says: what a web server would read of it, unaltered. There
 * is no server that could repair anything, so a body after HEAD is seen here, and so is a byte too many.
 */
import type { Arrival, Exchange, HttpResponse, ResponseHead } from '../../support/http-client';
import { valuesOf } from '../../support/http-response-parser';

const HEAD_END = '\r\n\r\n';

const DEFAULT_TIMEOUT_MS = 10_000;

interface Waiter {
  readonly length: number;
  readonly settle: (error?: Error) => void;
}

export class CgiStyleExchange implements Exchange {
  readonly head: Promise<ResponseHead>;
  readonly response: Promise<HttpResponse>;
  /** What the client's leaving does to the program. */
  readonly #leave: () => void;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #body: Buffer[] = [];
  readonly #arrivals: Arrival[] = [];
  #bodyLength = 0;
  #unread = Buffer.alloc(0);
  #head: ResponseHead | undefined;
  #waiters: Waiter[] = [];
  #isOver = false;
  #onHead: (head: ResponseHead) => void = () => undefined;
  #onResponse: (response: HttpResponse) => void = () => undefined;
  #onFailed: (error: Error) => void = () => undefined;

  constructor(leave: () => void, timeoutMs = DEFAULT_TIMEOUT_MS) {
    this.#leave = leave;
    this.head = new Promise((resolve, reject) => {
      this.#onHead = resolve;
      this.#onFailed = reject;
    });
    this.response = new Promise((resolve, reject) => {
      const failHead = this.#onFailed;
      this.#onResponse = resolve;
      this.#onFailed = (error) => {
        failHead(error);
        reject(error);
      };
    });
    // A caller may look at only one of the two; the other must not end the process.
    this.head.catch(() => undefined);
    this.response.catch(() => undefined);
    this.#timer = setTimeout(() => {
      this.fail(new Error(`no complete response within ${String(timeoutMs)} ms`));
      leave();
    }, timeoutMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Bytes of the program's output. */
  push(bytes: Uint8Array): void {
    if (this.#isOver) {
      return;
    }
    if (this.#head !== undefined) {
      this.#pushBody(Buffer.from(bytes));
      return;
    }
    this.#unread = Buffer.concat([this.#unread, bytes]);

    const end = this.#unread.indexOf(HEAD_END);
    if (end === -1) {
      return;
    }
    this.#head = parseHead(this.#unread.toString('latin1', 0, end));
    this.#onHead(this.#head);
    this.#pushBody(this.#unread.subarray(end + HEAD_END.length));
  }

  /** @param failure why the response is not complete, if it is not. */
  end(failure?: string): void {
    const head = this.#head;
    if (this.#isOver) {
      return;
    }
    if (head === undefined) {
      const seen = JSON.stringify(this.#unread.toString('latin1', 0, 200));
      this.fail(new Error(`no response: ${failure ?? 'the program ended'}; received ${seen}`));
      return;
    }
    this.#close(`the response ended after ${String(this.#bodyLength)} bytes of body`);

    const { headers } = head;
    const body = Buffer.concat(this.#body);
    this.#onResponse({
      ...head,
      body,
      text: body.toString('utf8'),
      framing: 'close',
      complete: failure === undefined,
      failure,
      arrivals: this.#arrivals,
      interim: [],
      surplus: Buffer.alloc(0),
      header: (name) => valuesOf(headers, name)[0],
      headerValues: (name) => valuesOf(headers, name),
    });
  }

  fail(error: Error): void {
    if (!this.#isOver) {
      this.#close(error.message);
      this.#onFailed(error);
    }
  }

  bodyReached(length: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      this.#waiters.push({ length, settle });
      this.#settleWaiters(this.#isOver ? new Error('the response has ended') : undefined);
    });
  }

  abort(): void {
    this.end('aborted by the client');
    this.#leave();
  }

  pause(): void {
    throw new Error('not on this host');
  }

  resume(): void {
    throw new Error('not on this host');
  }

  #pushBody(bytes: Buffer): void {
    if (bytes.length === 0) {
      return;
    }
    this.#body.push(bytes);
    this.#bodyLength += bytes.length;
    this.#arrivals.push({ atMs: performance.now() - this.#startedAt, length: bytes.length });
    this.#settleWaiters(undefined);
  }

  #close(why: string): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#settleWaiters(new Error(why));
  }

  #settleWaiters(end: Error | undefined): void {
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (this.#bodyLength >= waiter.length) {
        waiter.settle();
      } else if (end !== undefined) {
        waiter.settle(end);
      } else {
        this.#waiters.push(waiter);
      }
    }
  }
}

/** Strictly: an explicit `Status`, and nothing that is not a header field. */
function parseHead(text: string): ResponseHead {
  const fields = text.split('\r\n').map((line): readonly [string, string] => {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new Error(`not a header field: ${JSON.stringify(line)}`);
    }
    return [name, value.replace(/^[ \t]+|[ \t]+$/g, '')];
  });
  const [, status = '', reason = ''] = /^(\d{3}) (.+)$/.exec(valuesOf(fields, 'Status').join()) ?? [];
  if (status === '') {
    throw new Error(`no Status in ${JSON.stringify(text)}`);
  }

  return {
    version: '1.1',
    status: Number(status),
    reason,
    headers: fields.filter(([name]) => name !== 'Status'),
  };
}
