/**
 * Writes FastCGI records (§3.3), gathering those of one tick so that a small response is one buffer and one write.
 *
 * No padding: it delays the head behind nginx 1.22.1 with buffering off, and nobody needs the alignment. Nothing
 * larger than MAX_STREAM_CONTENT, so that no front end can get its length arithmetic wrong.
 */
import { HEADER_LENGTH, MAX_CONTENT_LENGTH, ProtocolStatus, RecordType, VERSION_1 } from './constants';

/** Content of one stream record: the largest multiple of eight, at which even a padded record stays below 64 KiB. */
export const MAX_STREAM_CONTENT = 65528;

/** Small chunks are copied together in a buffer of this size; most responses fit as a whole. */
const GATHER_BYTES = 65536;

/** From this size on a chunk is passed on as it is: copying it would cost more than a second piece in the write. */
const COPY_LIMIT_BYTES = 16384;

/** Gather buffers kept for reuse: one for each connection that writes in the same tick. */
const MAX_SPARE_BUFFERS = 8;

const spareBuffers: Buffer[] = [];

export class RecordWriter {
  #ready: Buffer[] = [];
  #readyBytes = 0;
  #gather: Buffer | undefined;
  #used = 0;

  /** The gathered stream record that more content may be added to: where it begins, and whose it is. */
  #openAt = -1;
  #openType = 0;
  #openId = 0;

  /** Bytes written and not taken yet. */
  get pendingBytes(): number {
    return this.#readyBytes + this.#used;
  }

  /** Content of a stream. A string is written as `encoding` says. */
  stream(
    type: number,
    requestId: number,
    content: string | Uint8Array,
    encoding: 'utf8' | 'latin1' = 'utf8',
  ): void {
    if (typeof content === 'string') {
      // Three bytes a code unit is UTF-8's worst case, so this much room is always enough.
      const worst = encoding === 'utf8' ? content.length * 3 : content.length;

      if (worst <= COPY_LIMIT_BYTES) {
        this.#addText(type, requestId, content, encoding, worst);
        return;
      }
      this.#passOn(type, requestId, Buffer.from(content, encoding));
    } else if (content.length <= COPY_LIMIT_BYTES) {
      this.#addBytes(type, requestId, content);
    } else {
      this.#passOn(type, requestId, content);
    }
  }

  /** What follows begins a record of its own. */
  endRecord(): void {
    this.#openAt = -1;
  }

  /** The empty record that ends a stream. */
  endStream(type: number, requestId: number): void {
    this.#header(type, requestId, 0);
  }

  /** §5.5. @param appStatus 0 for success, as an exit status. */
  endRequest(
    requestId: number,
    appStatus: number,
    protocolStatus: number = ProtocolStatus.REQUEST_COMPLETE,
  ): void {
    const body = Buffer.alloc(8);

    body.writeUInt32BE(appStatus >>> 0);
    body[4] = protocolStatus;
    this.record(RecordType.END_REQUEST, requestId, body);
  }

  /** A record whose content is already encoded, at most 65535 bytes. */
  record(type: number, requestId: number, content: Uint8Array): void {
    if (content.length > MAX_CONTENT_LENGTH) {
      throw new RangeError('a record holds at most 65535 bytes');
    }
    // Room for the whole of it, so that both halves are in one buffer.
    const buffer = this.#buffer(HEADER_LENGTH + content.length);

    this.#header(type, requestId, content.length);
    buffer.set(content, this.#used);
    this.#used += content.length;
  }

  /** A header of version 0, which does not exist (§3.3). The connection is of no use after it. */
  refusedRecord(): void {
    this.#buffer(HEADER_LENGTH).fill(0, this.#used, this.#used + HEADER_LENGTH);
    this.#used += HEADER_LENGTH;
    this.#openAt = -1;
  }

  /** Everything written since the last call, in order. */
  take(): Buffer[] {
    if (this.#used > 0) {
      this.#closeGather();
    }

    const taken = this.#ready;
    this.#ready = [];
    this.#readyBytes = 0;
    return taken;
  }

  #addText(type: number, requestId: number, text: string, encoding: 'utf8' | 'latin1', worst: number): void {
    this.#open(type, requestId, worst);

    this.#grow(this.#buffer(0).write(text, this.#used, encoding));
  }

  #addBytes(type: number, requestId: number, bytes: Uint8Array): void {
    this.#open(type, requestId, bytes.length);
    this.#buffer(0).set(bytes, this.#used);
    this.#grow(bytes.length);
  }

  /** Makes sure that a record of this stream is open, with room for so many more bytes. */
  #open(type: number, requestId: number, room: number): void {
    const isSame = this.#openAt !== -1 && this.#openType === type && this.#openId === requestId;

    if (
      isSame &&
      this.#used + room <= GATHER_BYTES &&
      this.#used - this.#openAt - HEADER_LENGTH + room <= MAX_STREAM_CONTENT
    ) {
      return;
    }
    this.#buffer(HEADER_LENGTH + room);

    const at = this.#used;

    this.#header(type, requestId, 0);
    this.#openAt = at;
    this.#openType = type;
    this.#openId = requestId;
  }

  /** So many bytes were added to the open record. */
  #grow(bytes: number): void {
    const buffer = this.#buffer(0);

    this.#used += bytes;
    buffer.writeUInt16BE(this.#used - this.#openAt - HEADER_LENGTH, this.#openAt + 4);
  }

  #passOn(type: number, requestId: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += MAX_STREAM_CONTENT) {
      const content = bytes.subarray(at, at + MAX_STREAM_CONTENT);

      this.#header(type, requestId, content.length);
      this.#closeGather();
      this.#pushReady(Buffer.from(content.buffer, content.byteOffset, content.length));
    }
  }

  #header(type: number, requestId: number, contentLength: number): void {
    const buffer = this.#buffer(HEADER_LENGTH);
    const at = this.#used;

    buffer[at] = VERSION_1;
    buffer[at + 1] = type;
    buffer.writeUInt16BE(requestId, at + 2);
    buffer.writeUInt16BE(contentLength, at + 4);
    buffer[at + 6] = 0;
    buffer[at + 7] = 0;
    this.#used = at + HEADER_LENGTH;
    this.#openAt = -1;
  }

  /** The gather buffer, with room for so many more bytes. */
  #buffer(room: number): Buffer {
    if (this.#used + room > (this.#gather?.length ?? GATHER_BYTES)) {
      this.#closeGather();
    }
    return (this.#gather ??= room > GATHER_BYTES ? Buffer.allocUnsafeSlow(room) : takeSpareBuffer());
  }

  /** Moves what is gathered to what is ready. Only bytes that were written leave: the rest may be anything. */
  #closeGather(): void {
    const gather = this.#gather;

    if (gather === undefined || this.#used === 0) {
      return;
    }

    const written = gather.subarray(0, this.#used);

    if (this.#used <= COPY_LIMIT_BYTES) {
      this.#pushReady(Buffer.from(written));
      giveSpareBuffer(gather);
    } else {
      this.#pushReady(written);
    }
    this.#gather = undefined;
    this.#used = 0;
    this.#openAt = -1;
  }

  #pushReady(bytes: Buffer): void {
    this.#ready.push(bytes);
    this.#readyBytes += bytes.length;
  }
}

function takeSpareBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(GATHER_BYTES);
}

function giveSpareBuffer(buffer: Buffer): void {
  if (buffer.length === GATHER_BYTES && spareBuffers.length < MAX_SPARE_BUFFERS) {
    spareBuffers.push(buffer);
  }
}
