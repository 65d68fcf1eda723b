/** The body of a Response as the gateway iterates it. */

type Step = Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array>['read']>>;

/**
 * Turns of the microtask queue that a body is given before its head leaves. Node 20 needs 3 to read all of
 * `new Response('text')`, 11 through a TransformStream, 14 for a FormData; and as many again for the promises here.
 * Nothing that waits for the outside is ready after any number of them.
 */
const LOOK_AHEAD_TURNS = 32;

/** Steps that are asked for before the gateway asks: a chunk, and whether it is the only one. */
const LOOK_AHEAD_STEPS = 2;

/** Cancels the stream when it is closed before its end. */
export class ResponseBody implements AsyncIterableIterator<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** At most LOOK_AHEAD_STEPS of them. */
  readonly #steps: Step[] = [];
  /** Asked for by lookAhead() and not answered yet. */
  #asked: Promise<void> | undefined;
  #error: { readonly reason: unknown } | undefined;
  #isOver = false;

  /** @throws {TypeError} for a stream that somebody else reads. */
  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /**
   * Lets a body that is at hand come forth: its length can be told then, and head and body leave in one write.
   * @throws what the stream failed with.
   */
  async lookAhead(): Promise<void> {
    this.#ask();
    for (let turn = 0; turn < LOOK_AHEAD_TURNS && this.#asked !== undefined; turn++) {
      await Promise.resolve();
    }
    if (this.#error !== undefined && this.#steps.length === 0) {
      throw this.#error.reason;
    }
  }

  /** Something can be sent without waiting. */
  get hasStarted(): boolean {
    return this.#steps.length > 0;
  }

  /** Bytes of the whole body; undefined: there is more to come. */
  get length(): number | undefined {
    const [first, second] = this.#steps;

    if (first?.done === true) {
      return 0;
    }
    return first !== undefined && second?.done === true ? byteLength(first.value) : undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#steps.length === 0 && this.#asked !== undefined) {
      await this.#asked;
    }

    const step = this.#steps.shift();

    if (step !== undefined) {
      return asResult(step);
    }
    if (this.#error !== undefined) {
      throw this.#error.reason;
    }
    return asResult(await this.#read());
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (!this.#isOver) {
      this.#isOver = true;
      await this.#reader.cancel();
    }
    return { done: true, value: undefined };
  }

  #ask(): void {
    this.#asked = this.#read().then(this.#onStep, this.#onError);
  }

  readonly #onStep = (step: Step): void => {
    this.#asked = undefined;
    this.#steps.push(step);
    if (!step.done && this.#steps.length < LOOK_AHEAD_STEPS) {
      this.#ask();
    }
  };

  readonly #onError = (reason: unknown): void => {
    this.#asked = undefined;
    this.#error = { reason };
  };

  async #read(): Promise<Step> {
    try {
      const step = await this.#reader.read();

      this.#isOver = step.done;
      return step;
    } catch (error) {
      // There is nothing left to cancel, and cancelling would say the same error again.
      this.#isOver = true;
      throw error;
    }
  }
}

function asResult(step: Step): IteratorResult<Uint8Array, undefined> {
  return step.done ? { done: true, value: undefined } : step;
}

/** A stream may carry strings, whatever its type says; the gateway sends them as UTF-8. */
function byteLength(chunk: Uint8Array | string): number | undefined {
  if (typeof chunk === 'string') {
    return Buffer.byteLength(chunk);
  }
  // Anything else is an error that the gateway tells.
  return chunk instanceof Uint8Array ? chunk.length : undefined;
}
