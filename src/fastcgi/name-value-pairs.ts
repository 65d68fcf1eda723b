/**
 * Name-value pairs (FastCGI §3.4): the streams PARAMS, GET_VALUES and GET_VALUES_RESULT. Names and values are bytes,
 * here latin-1 strings: one code point a byte.
 */
import { GrowingBuffer } from './growing-buffer';

/** A length of 128 or more takes four bytes, with the top bit of the first one set. */
const LONG_LENGTH = 0x80;

export interface PairLimits {
  /** Bytes of encoded pairs. */
  readonly maxBytes: number;
  readonly maxPairs: number;
}

/**
 * Decodes a stream of pairs that may be cut anywhere, inside a length too (h2o 2.2.5 and cgi-fcgi cut at record
 * borders). Holds one partial pair at most, and never more than `maxBytes`.
 */
export class PairDecoder {
  readonly #limits: PairLimits;
  readonly #names = new NameRecall();
  readonly #pairs: string[] = [];
  #bytes = 0;
  #isOverLimit = false;
  /** A claimed length costs nothing before its bytes come. */
  readonly #partial = new GrowingBuffer();

  constructor(limits: PairLimits) {
    this.#limits = limits;
  }

  /** name, value, name, value, … in the order sent. */
  get pairs(): readonly string[] {
    return this.#pairs;
  }

  /** The stream does not end inside a pair. */
  get isComplete(): boolean {
    return this.#partial.length === 0;
  }

  /** @returns false once a limit is passed; the rest is then ignored. */
  push(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limits.maxBytes || this.#isOverLimit) {
      this.#isOverLimit = true;
      return false;
    }

    const start = this.#partial.length > 0 ? this.#completePartial(chunk) : 0;
    const end = this.#decode(chunk, start);

    if (end < chunk.length) {
      this.#partial.append(chunk.subarray(end));
    }
    return !this.#isOverLimit;
  }

  /** @returns where the first pair that is not whole begins. */
  #decode(chunk: Buffer, start: number): number {
    // One decoding for the whole chunk; the names and values are slices of it.
    const text = start < chunk.length ? chunk.toString('latin1', start) : '';
    const maxStrings = this.#limits.maxPairs * 2;
    let at = start;

    for (;;) {
      const pair = measurePair(chunk, at, chunk.length);

      if (pair === undefined || pair.end > chunk.length) {
        return at;
      }
      if (this.#pairs.length >= maxStrings) {
        this.#isOverLimit = true;
        return chunk.length;
      }
      this.#pairs.push(
        this.#names.recall(text, pair.name - start, pair.value - start),
        text.slice(pair.value - start, pair.end - start),
      );
      at = pair.end;
    }
  }

  /** Adds to the partial pair until it is whole. @returns how much of the chunk that took. */
  #completePartial(chunk: Buffer): number {
    let taken = 0;

    for (;;) {
      const partial = this.#partial.bytes;
      const pair = measurePair(partial, 0, partial.length);

      if (pair !== undefined && pair.end <= partial.length) {
        this.#decode(partial, 0);
        this.#partial.clear();
        return taken;
      }

      // The lengths come byte by byte, for only the last one tells how long the pair is.
      const missing = pair === undefined ? 1 : pair.end - partial.length;
      const added = Math.min(missing, chunk.length - taken);

      if (added === 0) {
        return taken;
      }
      this.#partial.append(chunk.subarray(taken, taken + added));
      taken += added;
    }
  }
}

/** Names that are remembered: twice what a front end sends. They come from clients too, so there is an end to them. */
const MAX_NAMES = 64;
const MAX_NAME_LENGTH = 64;

/**
 * The names as they came last, in their order. A front end sends nearly the same ones each time, so most are found by one
 * comparison, and the same string serves as the key again: a new one has to be hashed and looked up by the engine.
 */
const lastNames: string[] = [];

/** Follows the names of one request along those of the last one. */
class NameRecall {
  #expected = 0;

  /** @returns the name from `start` to `end` of the text. */
  recall(text: string, start: number, end: number): string {
    const length = end - start;

    // One name more or less than last time is an optional header.
    for (let ahead = 0; ahead < 3; ahead++) {
      const name = lastNames[this.#expected + ahead];

      if (name !== undefined && name.length === length && text.startsWith(name, start)) {
        this.#expected += ahead + 1;
        return name;
      }
    }
    return this.#learn(text.slice(start, end));
  }

  #learn(name: string): string {
    if (this.#expected < MAX_NAMES && name.length <= MAX_NAME_LENGTH) {
      lastNames.splice(this.#expected, 0, name);
      lastNames.length = Math.min(lastNames.length, MAX_NAMES);
      this.#expected++;
    }
    return name;
  }
}

interface PairPosition {
  readonly name: number;
  readonly value: number;
  readonly end: number;
}

/** @returns undefined while the lengths themselves are not all there. */
function measurePair(bytes: Uint8Array, at: number, end: number): PairPosition | undefined {
  const nameLengthSize = lengthSize(bytes, at, end);
  const valueLengthSize = lengthSize(bytes, at + nameLengthSize, end);

  if (nameLengthSize === 0 || valueLengthSize === 0) {
    return undefined;
  }

  const name = at + nameLengthSize + valueLengthSize;
  const value = name + readLength(bytes, at, nameLengthSize);

  return { name, value, end: value + readLength(bytes, at + nameLengthSize, valueLengthSize) };
}

/** @returns 1 or 4; 0 when it does not lie within the bytes. */
function lengthSize(bytes: Uint8Array, at: number, end: number): 0 | 1 | 4 {
  const first = at < end ? bytes[at] : undefined;

  if (first === undefined) {
    return 0;
  }
  if (first < LONG_LENGTH) {
    return 1;
  }
  return at + 4 <= end ? 4 : 0;
}

function readLength(bytes: Uint8Array, at: number, size: 1 | 4): number {
  const byte = (index: number): number => bytes[at + index] ?? 0;

  return size === 1 ? byte(0) : ((byte(0) & 0x7f) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3);
}

/** @param pairs names and values as latin-1. */
export function encodePairs(pairs: Iterable<readonly [name: string, value: string]>): Buffer {
  const parts: Buffer[] = [];

  for (const [name, value] of pairs) {
    parts.push(encodeLength(name.length), encodeLength(value.length), Buffer.from(name + value, 'latin1'));
  }
  return Buffer.concat(parts);
}

function encodeLength(length: number): Buffer {
  if (length < LONG_LENGTH) {
    return Buffer.from([length]);
  }

  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((length | 0x80000000) >>> 0);
  return bytes;
}
