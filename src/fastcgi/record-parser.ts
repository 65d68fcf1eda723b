import { FastCgiProtocolError } from '../errors';
import { HEADER_LENGTH, VERSION_1 } from './constants';

/** Receives a record in three steps. Every `content` is a view: valid only during the call. */
export interface RecordHandler {
  onRecordStart(type: number, requestId: number, contentLength: number): void;
  onRecordContent(content: Buffer): void;
  onRecordEnd(): void;
}

/**
 * Cuts a byte stream into FastCGI records (§3.3). Knows nothing of requests or sockets.
 *
 * Content is handed on as it arrives, so the parser never holds more than one 8-byte header
 * and costs O(1) per byte however the peer splits its writes.
 */
export class RecordParser {
  readonly #handler: RecordHandler;
  /** Only for a header that is cut: most are read where they lie. */
  readonly #header = new Uint8Array(HEADER_LENGTH);
  #headerFilled = 0;
  #contentLeft = 0;
  #paddingLeft = 0;
  #isInside = false;

  constructor(handler: RecordHandler) {
    this.#handler = handler;
  }

  /** @throws {FastCgiProtocolError} `ERR_FCGI_VERSION` on an unknown version; the stream cannot be resumed. */
  push(chunk: Buffer): void {
    let offset = 0;

    while (offset < chunk.length) {
      offset = this.#isInside ? this.#readRecord(chunk, offset) : this.#readHeader(chunk, offset);
    }
  }

  #readHeader(chunk: Buffer, offset: number): number {
    if (this.#headerFilled === 0 && chunk.length - offset >= HEADER_LENGTH) {
      this.#startRecord(chunk, offset);
      return offset + HEADER_LENGTH;
    }

    const taken = Math.min(HEADER_LENGTH - this.#headerFilled, chunk.length - offset);

    this.#header.set(chunk.subarray(offset, offset + taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === HEADER_LENGTH) {
      this.#headerFilled = 0;
      this.#startRecord(this.#header, 0);
    }
    return offset + taken;
  }

  #startRecord(bytes: Uint8Array, at: number): void {
    // The eight bytes are there: both callers have counted them.
    const byte = (index: number): number => bytes[at + index] ?? 0;

    if (byte(0) !== VERSION_1) {
      // An unknown version may have any layout, so there is no length to skip by.
      throw new FastCgiProtocolError('ERR_FCGI_VERSION', `unknown FastCGI version ${String(byte(0))}`);
    }

    const contentLength = (byte(4) << 8) | byte(5);

    this.#contentLeft = contentLength;
    this.#paddingLeft = byte(6);
    this.#isInside = true;
    this.#handler.onRecordStart(byte(1), (byte(2) << 8) | byte(3), contentLength);
    this.#endRecordIfComplete();
  }

  #readRecord(chunk: Buffer, offset: number): number {
    let end = offset;

    if (this.#contentLeft > 0) {
      const content = chunk.subarray(offset, offset + this.#contentLeft);
      this.#contentLeft -= content.length;
      end += content.length;
      this.#handler.onRecordContent(content);
    } else {
      const skipped = Math.min(this.#paddingLeft, chunk.length - offset);
      this.#paddingLeft -= skipped;
      end += skipped;
    }
    this.#endRecordIfComplete();
    return end;
  }

  #endRecordIfComplete(): void {
    if (this.#contentLeft + this.#paddingLeft === 0) {
      this.#isInside = false;
      this.#handler.onRecordEnd();
    }
  }
}
