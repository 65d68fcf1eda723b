/** What the first bytes are kept in; it doubles as needed, so that keeping a byte costs O(1) however they come. */
const INITIAL_BYTES = 64;

const EMPTY = Buffer.alloc(0);

/** Bytes kept across calls. The bound is the caller's. */
export class GrowingBuffer {
  #storage: Buffer = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A view: valid until the next `append` or `clear`. */
  get bytes(): Buffer {
    return this.#storage.subarray(0, this.#length);
  }

  append(bytes: Buffer): void {
    const length = this.#length + bytes.length;

    if (length > this.#storage.length) {
      const grown = Buffer.alloc(Math.max(length, this.#storage.length * 2, INITIAL_BYTES));
      this.#storage.copy(grown, 0, 0, this.#length);
      this.#storage = grown;
    }
    bytes.copy(this.#storage, this.#length);
    this.#length = length;
  }

  clear(): void {
    this.#storage = EMPTY;
    this.#length = 0;
  }
}
