/** Writes one response through Node's ServerResponse, which does the framing: Content-Length or the chunked coding. */
import type { ServerResponse } from 'node:http';
import type { ResponseHead } from '../../src/gateway/response';
import type { ResponseWriter } from '../../src/gateway/run-application';
import type { Chunk } from '../../src/gateway/types';

const EMPTY = Buffer.alloc(0);

export interface WriterOptions {
  /** Whether another request may follow on the connection; asked when the head is written. */
  readonly keepAlive: () => boolean;
  /** The response is complete, or never will be. */
  readonly onEnded: () => void;
}

export class HttpResponseWriter implements ResponseWriter {
  readonly #response: ServerResponse;
  readonly #options: WriterOptions;
  #head: ResponseHead | undefined;
  #isHeadWaiting = false;

  constructor(response: ServerResponse, options: WriterOptions) {
    this.#response = response;
    this.#options = options;
  }

  writeHead(head: ResponseHead): void {
    const response = this.#response;

    this.#head = head;
    if (!this.#options.keepAlive()) {
      response.shouldKeepAlive = false;
    }
    response.writeHead(Number(head.status.slice(0, 3)), head.status.slice(4), flatHeaders(head.fieldLines));
    // Node keeps the head for the first chunk; one that does not come in this tick may be long in coming.
    this.#isHeadWaiting = true;
    process.nextTick(() => this.#flushHead());
  }

  write(chunk: Chunk): boolean {
    this.#isHeadWaiting = false;
    // Never a string: Node 20 would write the head in front of it in the string's encoding, and it is latin-1.
    return this.#response.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  }

  end(): void {
    this.#isHeadWaiting = false;
    this.#response.end();
    this.#options.onEnded();
  }

  truncate(): void {
    this.#isHeadWaiting = false;
    this.#cut();
    this.#options.onEnded();
  }

  #cut(): void {
    const { socket } = this.#response;

    if (socket === null) {
      // Pipelined: the connection still belongs to an earlier response, and is closed when that one is done.
      this.#response.destroy();
    } else if (this.#isEndedByClose) {
      // An orderly close is how such a body ends; only a reset says that it did not.
      socket.resetAndDestroy();
    } else {
      // What was written goes out, then the connection closes without the last chunk or the missing bytes.
      socket.destroySoon();
    }
  }

  /** RFC 9112 §6.3: neither length nor chunks, as for a client that speaks HTTP/1.0. */
  get #isEndedByClose(): boolean {
    return !this.#response.chunkedEncoding && this.#head?.contentLength === undefined;
  }

  #flushHead(): void {
    if (this.#isHeadWaiting) {
      this.#isHeadWaiting = false;
      // Not flushHeaders(), which in Node 20 writes the head as UTF-8.
      this.#response.write(EMPTY);
    }
  }
}

/** `Name: value` lines as Node takes them: name, value, name, value, … */
function flatHeaders(fieldLines: string): string[] {
  const flat: string[] = [];

  for (const line of fieldLines.split('\r\n')) {
    const colon = line.indexOf(':');

    if (colon !== -1) {
      flat.push(line.slice(0, colon), line.slice(colon + 2));
    }
  }
  return flat;
}
