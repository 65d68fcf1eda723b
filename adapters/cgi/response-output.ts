/** The response on its way to the web server: at once as far as the descriptor takes it, the rest when it can. */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ResponseHead } from '../../src/gateway/response';
import type { ResponseWriter } from '../../src/gateway/run-application';
import type { Chunk } from '../../src/gateway/types';
import { netModule } from '../exchange/builtin';
import type { ResponseDescriptor } from './stdout-guard';

/**
 * Bytes that go to a blocking descriptor without asking whether it can take them: a new pipe of Linux holds as many,
 * a socket three times that. Nearly every response is smaller, and never needs `net`.
 */
const UNASKED_BYTES = 65536;

/** Bytes that are copied to leave together with the head: a usual page, and no great copy of a large chunk. */
const FIRST_WRITE_BYTES = 65536;

/** Taken before stdout-guard leads `fs.writeSync(1, …)` elsewhere. */
const writeDescriptor = writeSync;

const NOTHING = new Uint8Array(0);

/** Milliseconds between two tries while the process ends and cannot wait otherwise. */
const RETRY_MS = 5;

/** @param isKept whether the length that the head promises, if it does, leaves together with it. */
export type HeadEncoder = (head: ResponseHead, isKept: boolean) => string;

export interface OutputObserver {
  /** The peer takes no more for now. */
  onBlocked(): void;
  onDrained(): void;
  /** The response will never be complete. */
  onTruncated(): void;
  /** Nothing more can be written. */
  onFailed(error: NodeJS.ErrnoException): void;
  /** The response has ended and every byte of it is out. */
  onFinished(): void;
}

export class ResponseOutput implements ResponseWriter {
  readonly #descriptor: ResponseDescriptor;
  readonly #encodeHead: HeadEncoder;
  readonly #observer: OutputObserver;
  #unaskedBytes: number;
  #head: ResponseHead | undefined;
  /** Given to us and not yet out; the first may be partly so. Not bounded: `write` says no as long as there is one. */
  #pending: Uint8Array[] = [];
  #socket: Socket | undefined;
  /** The first of #pending is with the socket. */
  #isWriting = false;
  #isEnded = false;
  #isClosed = false;

  constructor(descriptor: ResponseDescriptor, encodeHead: HeadEncoder, observer: OutputObserver) {
    this.#descriptor = descriptor;
    this.#encodeHead = encodeHead;
    this.#observer = observer;
    this.#unaskedBytes = descriptor.isNonBlocking || !descriptor.isPollable ? Infinity : UNASKED_BYTES;
  }

  writeHead(head: ResponseHead): void {
    this.#head = head;
    queueMicrotask(() => this.#sendHead());
  }

  write(chunk: Chunk): boolean {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const head = this.#head;

    if (head === undefined) {
      return this.#send(bytes);
    }
    this.#head = undefined;

    const first = Buffer.concat([this.#encode(head, bytes.length), bytes.subarray(0, FIRST_WRITE_BYTES)]);
    const isTaken = this.#send(first);

    return bytes.length > FIRST_WRITE_BYTES ? this.#send(bytes.subarray(FIRST_WRITE_BYTES)) : isTaken;
  }

  end(): void {
    this.#sendHead();
    this.#isEnded = true;
    this.#checkFinished();
  }

  /** CGI can show this by the exit status only. */
  truncate(): void {
    this.#observer.onTruncated();
    this.end();
  }

  /** Nobody reads any more: forgets what is not out. */
  discard(): void {
    this.#isClosed = true;
    this.#pending = [];
  }

  /** Writes all that is left, however long the peer takes: the process is about to end. */
  flush(): void {
    this.#sendHead();
    if (this.#isWriting && this.#pending[0] !== undefined) {
      this.#pending[0] = this.#pending[0].subarray(this.#pending[0].length - unsentBytes(this.#socket));
    }
    this.#unaskedBytes = Infinity;
    for (const bytes of this.#pending) {
      let rest = this.#writeNow(bytes);

      while (rest.length > 0) {
        sleep(RETRY_MS);
        rest = this.#writeNow(rest);
      }
    }
    this.#pending = [];
  }

  #sendHead(): void {
    const head = this.#head;

    if (head !== undefined) {
      this.#head = undefined;
      this.#send(this.#encode(head, 0));
    }
  }

  #encode(head: ResponseHead, bytesWithIt: number): Buffer {
    return Buffer.from(this.#encodeHead(head, bytesWithIt >= (head.contentLength ?? 0)), 'latin1');
  }

  /** @returns false while something is pending. */
  #send(bytes: Uint8Array): boolean {
    if (this.#isClosed) {
      return true;
    }

    const rest = this.#pending.length === 0 ? this.#writeNow(bytes) : bytes;

    if (rest.length === 0) {
      return true;
    }
    this.#pending.push(rest);
    this.#writeLater();
    return false;
  }

  /** @returns what the descriptor does not take without waiting. */
  #writeNow(bytes: Uint8Array): Uint8Array {
    let rest = bytes;

    while (rest.length > 0 && this.#unaskedBytes > 0 && !this.#isClosed) {
      try {
        const written = writeDescriptor(
          this.#descriptor.fd,
          rest,
          0,
          Math.min(rest.length, this.#unaskedBytes),
        );

        this.#unaskedBytes -= written;
        rest = rest.subarray(written);
      } catch (error) {
        // Thrown by node:fs.
        const failure = error as NodeJS.ErrnoException;

        if (failure.code !== 'EAGAIN') {
          this.#fail(failure);
        } else if (this.#descriptor.isPollable) {
          return rest;
        } else {
          sleep(RETRY_MS);
        }
      }
    }
    return this.#isClosed ? NOTHING : rest;
  }

  #writeLater(): void {
    const bytes = this.#pending[0];

    if (this.#isWriting || bytes === undefined) {
      return;
    }
    this.#isWriting = true;
    // The stream's descriptor never blocks, and one that has waited may be tried first from now on.
    this.#unaskedBytes = Infinity;
    netModule().Socket.prototype.write.call(this.#openSocket(), bytes, undefined, this.#onWritten);
    this.#observer.onBlocked();
  }

  #openSocket(): Socket {
    if (this.#socket === undefined) {
      this.#socket = this.#descriptor.openSocket();
      this.#socket.on('error', this.#onError);
    }
    return this.#socket;
  }

  readonly #onWritten = (error?: Error | null): void => {
    this.#isWriting = false;
    if (error != null || this.#isClosed) {
      // The stream emits it as well.
      return;
    }
    this.#pending.shift();
    if (this.#pending.length > 0) {
      this.#writeLater();
    } else if (this.#isEnded) {
      this.#checkFinished();
    } else {
      this.#observer.onDrained();
    }
  };

  readonly #onError = (error: Error): void => {
    this.#fail(error);
  };

  #fail(error: NodeJS.ErrnoException): void {
    if (!this.#isClosed) {
      this.discard();
      this.#observer.onFailed(error);
    }
  }

  #checkFinished(): void {
    if (this.#pending.length === 0 && !this.#isClosed) {
      this.#isClosed = true;
      this.#observer.onFinished();
    }
  }
}

/** Bytes of the chunk given last that libuv still has; a stream has no public word for it. */
function unsentBytes(socket: Socket | undefined): number {
  const { _handle: handle } = socket as unknown as { _handle?: { writeQueueSize: number } | null };

  return handle?.writeQueueSize ?? 0;
}

/** The event loop does not run here, so a timer could not. */
function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
