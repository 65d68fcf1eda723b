/**
 * One request body (or FastCGI DATA stream): chunks as they arrive, until the application reads them. It becomes a
 * Node stream only when the application touches it.
 */
import type { Readable } from 'node:stream';
import { PeerError } from '../../src/errors';
import { streamModule } from './builtin';

export interface RequestBodyOptions {
  /** Bytes; undefined: until the peer says the end. */
  readonly contentLength: number | undefined;
  /** Bytes; more is ERR_BODY_TOO_LARGE. */
  readonly maxBodyBytes: number;
  /** Bytes were taken or thrown away: there is room for more. */
  readonly onRoom: () => void;
}

export class RequestBody {
  readonly #options: RequestBodyOptions;
  #queue: Buffer[] = [];
  #bufferedBytes = 0;
  #receivedBytes = 0;
  #isComplete: boolean;
  #isDiscarded = false;
  #error: PeerError | undefined;
  #stream: Readable | undefined;
  #isWanted = false;

  constructor(options: RequestBodyOptions) {
    this.#options = options;
    this.#isComplete = options.contentLength === 0;
  }

  /** Bytes that arrived and were not read yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** All of it has arrived, or nobody wants the rest. */
  get isOver(): boolean {
    return this.#isComplete || this.#isDiscarded;
  }

  /** The body as the application reads it. */
  get stream(): Readable {
    return (this.#stream ??= this.#createStream());
  }

  /** @param chunk kept until it is read: it must not be reused. Bytes beyond the content length are dropped. */
  push(chunk: Buffer): void {
    if (this.isOver || this.#error !== undefined) {
      return;
    }

    const { contentLength, maxBodyBytes } = this.#options;
    const left = (contentLength ?? Infinity) - this.#receivedBytes;
    const wanted = chunk.length > left ? chunk.subarray(0, left) : chunk;

    this.#receivedBytes += wanted.length;
    if (this.#receivedBytes > maxBodyBytes) {
      this.fail(
        new PeerError('ERR_BODY_TOO_LARGE', `the request body is larger than ${String(maxBodyBytes)} bytes`),
      );
      return;
    }
    this.#queue.push(wanted);
    this.#bufferedBytes += wanted.length;
    this.#isComplete = this.#receivedBytes === contentLength;
    this.#deliver();
  }

  /** The peer says that this was all. */
  end(): void {
    if (this.isOver || this.#error !== undefined) {
      return;
    }

    const missing = (this.#options.contentLength ?? this.#receivedBytes) - this.#receivedBytes;

    if (missing > 0) {
      // cgi-fcgi (libfcgi 2.4.2) turns a client that leaves in the middle of an upload into a normal end of STDIN.
      this.fail(
        new PeerError('ERR_BODY_TRUNCATED', `the request body ended ${String(missing)} bytes too early`),
      );
      return;
    }
    this.#isComplete = true;
    this.#deliver();
  }

  /** The rest will never come. What has not been read is dropped, for half a body is not to be worked on. */
  fail(error: PeerError): void {
    if (this.isOver || this.#error !== undefined) {
      return;
    }
    this.#error = error;
    this.#drop();
    this.#stream?.destroy(error);
  }

  /** Nobody will read on: drops what is here and what still comes. */
  discard(): void {
    this.#isDiscarded = true;
    this.#drop();
  }

  #drop(): void {
    if (this.#bufferedBytes > 0) {
      this.#queue = [];
      this.#bufferedBytes = 0;
      this.#options.onRoom();
    }
  }

  #createStream(): Readable {
    const { Readable } = streamModule();
    const stream = new Readable({
      read: () => {
        this.#isWanted = true;
        this.#deliver();
      },
      destroy: (error, callback) => {
        this.discard();
        callback(error);
      },
    });

    // An application that does not listen at this moment must not end the process.
    stream.on('error', () => undefined);
    if (this.#error !== undefined) {
      stream.destroy(this.#error);
    } else if (this.#isDiscarded) {
      // Touched too late: it must not wait for bytes that nobody keeps, nor look like an empty body.
      stream.destroy(new PeerError('ERR_BODY_TRUNCATED', 'the request body was thrown away unread'));
    }
    return stream;
  }

  #deliver(): void {
    const stream = this.#stream;

    if (stream === undefined || !this.#isWanted) {
      return;
    }

    let tookSome = false;

    while (this.#isWanted && this.#queue.length > 0) {
      const chunks = this.#queue;
      this.#queue = [];
      for (const chunk of chunks) {
        this.#bufferedBytes -= chunk.length;
        this.#isWanted = stream.push(chunk);
      }
      tookSome = true;
    }
    if (this.#isComplete && this.#queue.length === 0) {
      this.#isWanted = false;
      stream.push(null);
    }
    if (tookSome) {
      this.#options.onRoom();
    }
  }
}
