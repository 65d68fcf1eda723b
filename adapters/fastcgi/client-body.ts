/** The body of one response: chunks as they arrive, for one reader. What arrived before a failure is still read. */

export interface ClientBodyEvents {
  /** The reader took what was here: there is room for more. */
  readonly onRoom: () => void;
  /** The reader wants no more, and the end has not come. */
  readonly onCancelled: () => void;
}

type Step = IteratorResult<Uint8Array, undefined>;

interface Reader {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: unknown) => void;
}

const DONE: Step = { done: true, value: undefined };

export class ClientBody implements AsyncIterableIterator<Uint8Array> {
  readonly #events: ClientBodyEvents;
  /** Bounded by the connection, which stops reading. */
  #queue: Uint8Array[] = [];
  #bufferedBytes = 0;
  #state: 'open' | 'ended' | 'failed' = 'open';
  #error: unknown;
  /** Calls of `next` that wait: one, unless the reader does not wait for them itself. */
  #readers: Reader[] = [];

  constructor(events: ClientBodyEvents) {
    this.#events = events;
  }

  /** Bytes that arrived and were not read yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** @param chunk kept until it is read: it must not be reused. */
  push(chunk: Uint8Array): void {
    if (this.#state !== 'open' || chunk.length === 0) {
      return;
    }

    const reader = this.#readers.shift();

    if (reader === undefined) {
      this.#queue.push(chunk);
      this.#bufferedBytes += chunk.length;
    } else {
      reader.resolve({ done: false, value: chunk });
    }
  }

  end(): void {
    if (this.#state === 'open') {
      this.#state = 'ended';
      this.#settleReaders();
    }
  }

  fail(error: unknown): void {
    if (this.#state === 'open') {
      this.#state = 'failed';
      this.#error = error;
      this.#settleReaders();
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    const chunk = this.#queue.shift();

    if (chunk !== undefined) {
      this.#bufferedBytes -= chunk.length;
      this.#events.onRoom();
      return Promise.resolve({ done: false, value: chunk });
    }
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      if (this.#state !== 'open') {
        this.#settleReaders();
      }
    });
  }

  /** The reader leaves. */
  return(): Promise<Step> {
    this.close();
    return Promise.resolve(DONE);
  }

  /** As `return`, for those who did not begin to read. */
  close(): void {
    const wasOpen = this.#state === 'open';

    this.#state = 'ended';
    this.#queue = [];
    this.#bufferedBytes = 0;
    this.#settleReaders();
    if (wasOpen) {
      this.#events.onCancelled();
    }
  }

  #settleReaders(): void {
    for (const reader of this.#readers.splice(0)) {
      if (this.#state === 'failed') {
        // Told once, as a generator does.
        this.#state = 'ended';
        reader.reject(this.#error);
      } else {
        reader.resolve(DONE);
      }
    }
  }
}
