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

/** What holding a chunk costs besides its bytes: Buffer objects of Node 20 take about 90. */
const CHUNK_OVERHEAD_BYTES = 128;

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
  #isDelivering = false;

  constructor(options: RequestBodyOptions) {
    this.#options = options;
    this.#isComplete = options.contentLength === 0;
  }

  /** What arrived and was not read yet, as it weighs in memory: front ends may send it byte by byte. */
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

  /** @param chunk may be kept until it is read: it must not be reused. Bytes beyond the content length are dropped. */
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
    this.#queue.push(withoutItsRead(wanted));
    this.#bufferedBytes += wanted.length + CHUNK_OVERHEAD_BYTES;
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

  /** Nobody will read on: drops what is here and what still comes. A reader who waits for it sees the stream close. */
  discard(): void {
    const isWhole = this.#isComplete && this.#queue.length === 0;

    if (isWhole || this.#isDiscarded) {
      return;
    }
    this.#isDiscarded = true;
    this.#drop();
    this.#stream?.destroy();
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

    // An application that reads on while it is given a chunk comes here again: the outer call goes on then.
    if (stream === undefined || this.#isDelivering) {
      return;
    }
    this.#isDelivering = true;
    try {
      if (this.#giveChunks(stream)) {
        this.#options.onRoom();
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  /** @returns whether there were any. */
  #giveChunks(stream: Readable): boolean {
    let gaveSome = false;

    while (this.#isWanted) {
      const chunk = this.#queue.shift();

      if (chunk === undefined && !this.#isComplete) {
        break;
      }
      this.#isWanted = false;
      if (chunk === undefined) {
        stream.push(null);
        break;
      }
      this.#bufferedBytes -= chunk.length + CHUNK_OVERHEAD_BYTES;
      gaveSome = true;
      if (stream.push(chunk)) {
        this.#isWanted = true;
      }
    }
    return gaveSome;
  }
}

/** A small piece of a large read must not hold all of it for as long as it waits. */
function withoutItsRead(chunk: Buffer): Buffer {
  return chunk.length < chunk.buffer.byteLength / 2 ? Buffer.from(chunk) : chunk;
}
