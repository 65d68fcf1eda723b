/**
 * One stream of bytes on one connection, twice: record by record, beside a table of what must be open, and in another
 * chunking. Throws when the two differ or when a rule is broken that every stream must keep.
 */
import { FastCgiProtocolError, PeerError } from '../../src/errors';
import type { OpenRequest } from '../../src/fastcgi/connection';
import { decodeRecords, HEADER_LENGTH, RecordType, Role, VERSION } from '../support/records';
import { Recording, type RecordedEvent } from '../unit/fastcgi/recording';

/** Low, so that streams of a few kilobytes pass them. */
const LIMITS = { maxParamsBytes: 3000, maxParams: 12, maxConcurrent: 4, maxEarlyBytes: 200 };

export interface TrialResult {
  /** Records that the connection took, up to a protocol error. */
  readonly records: number;
  readonly requests: number;
  readonly errorCode: string | undefined;
}

/** @param chunks the same bytes, cut in any way. */
export function tryStream(bytes: Buffer, chunks: Iterable<Buffer>): TrialResult {
  const whole = new Run();
  const records = whole.feedRecords(bytes);

  whole.finish();

  const cut = new Run();

  cut.feed(chunks);
  cut.finish();
  if (whole.trace() !== cut.trace()) {
    throw new Error(`two chunkings differ\n${whole.trace()}\n${cut.trace()}`);
  }
  return { records, requests: whole.recording.requests.length, errorCode: whole.errorCode };
}

class Run {
  readonly recording: Recording;
  errorCode: string | undefined;
  readonly #settled = new Set<OpenRequest>();
  /** By id, what must be open; undefined while the request has not been announced. */
  readonly #open = new Map<number, OpenRequest | undefined>();
  #announced: OpenRequest | undefined;
  #ends = 0;

  constructor() {
    this.recording = new Recording((event, request) => this.#react(event, request), LIMITS);
  }

  /** @returns false after a protocol error. */
  feed(chunks: Iterable<Buffer>): boolean {
    try {
      this.recording.pushAll(chunks);
      return true;
    } catch (error) {
      this.#take(error);
      return false;
    }
  }

  /** @returns how many were taken. */
  feedRecords(bytes: Buffer): number {
    let at = 0;
    let records = 0;

    while (at < bytes.length) {
      const end = endOfRecord(bytes, at);

      this.#announced = undefined;
      if (!this.feed([bytes.subarray(at, end)])) {
        break;
      }
      if (end <= bytes.length) {
        records++;
        this.#follow(bytes.readUInt8(at + 1), bytes.readUInt16BE(at + 2));
      }
      at = end;
    }
    return records;
  }

  /** The connection ends: everything must be settled now, each request once. */
  finish(): void {
    const { connection, requests } = this.recording;

    connection.lose(new PeerError('ERR_PEER_GONE', 'the end'));
    check(connection.openRequests === 0, 'a request is open after the end');
    check(
      requests.every(({ isSettled }) => isSettled),
      'a request is not settled after the end',
    );
    check(requests.length === new Set(requests).size, 'a request was announced twice');
  }

  trace(): string {
    const { events, output } = this.recording;
    const ended = decodeRecords(output).filter(({ type }) => type === RecordType.END_REQUEST).length;

    check(ended >= this.#ends, 'an END_REQUEST is missing');
    return `${JSON.stringify(events)} ${output.toString('latin1')} ${String(this.errorCode)}`;
  }

  #take(error: unknown): void {
    if (!(error instanceof FastCgiProtocolError)) {
      throw error;
    }
    this.errorCode = error.code;
  }

  /** After one whole record: the table of the connection has as many rows as it must have. */
  #follow(type: number, id: number): void {
    if (id !== 0) {
      if (type === RecordType.BEGIN_REQUEST) {
        this.#open.set(id, undefined);
      } else if (type === RecordType.ABORT_REQUEST) {
        this.#open.delete(id);
      }
      if (this.#announced !== undefined) {
        this.#open.set(id, this.#announced);
      }
    }
    for (const [each, request] of this.#open) {
      if (request?.isSettled === true) {
        this.#open.delete(each);
      }
    }
    check(
      this.recording.connection.openRequests === this.#open.size,
      `${String(this.recording.connection.openRequests)} requests are open instead of ${String(this.#open.size)}`,
    );
    check(this.#open.size <= LIMITS.maxConcurrent, 'more requests are open than allowed');
  }

  /** What the application does depends on nothing but the order of events, so every chunking sees the same. */
  #react(event: RecordedEvent, request: OpenRequest | undefined): void {
    if (request === undefined) {
      return;
    }
    check(!this.#settled.has(request), `${event.event} after the request was settled`);
    if (event.event === 'request' || event.event === 'refusal') {
      this.#announced = request;
    }
    switch (event.event) {
      case 'request':
        check(event.role >= Role.RESPONDER && event.role <= Role.FILTER, 'an unknown role was let through');
        check(event.pairs.length <= LIMITS.maxParams, 'more pairs than allowed');
        this.#onRequest(request);
        return;
      case 'stdinEnd':
        this.#end(request, 'the body has ended');
        return;
      case 'abort':
      case 'refusal':
        this.#settled.add(request);
        return;
      default:
        return;
    }
  }

  #onRequest(request: OpenRequest): void {
    const nth = this.recording.requests.length;

    switch (nth % 7) {
      case 0:
        this.#end(request, 'at once');
        return;
      case 1:
        request.stdout('x'.repeat(nth * 100));
        request.stderr('oops');
        this.#end(request, Buffer.alloc(20_000, nth));
        return;
      case 2:
        this.#settled.add(request);
        request.abandon();
        return;
      case 3:
        // Out of order, and from within another request.
        for (const other of this.recording.requests) {
          this.#end(other, 'late');
        }
        return;
      case 4:
        request.stdout('a beginning');
        return;
      default:
        return;
    }
  }

  #end(request: OpenRequest, last: string | Uint8Array): void {
    if (!request.isSettled) {
      this.#ends++;
      this.#settled.add(request);
      request.stdout(last);
      request.end(0);
      check(request.isSettled, 'a request that ended is not settled');
    }
  }
}

/** The record that begins here ends there, perhaps beyond the bytes; without a whole header it does in any case. */
function endOfRecord(bytes: Buffer, at: number): number {
  if (bytes.length - at < HEADER_LENGTH || bytes.readUInt8(at) !== VERSION) {
    return Infinity;
  }
  return at + HEADER_LENGTH + bytes.readUInt16BE(at + 4) + bytes.readUInt8(at + 6);
}

function check(holds: boolean, message: string): void {
  if (!holds) {
    throw new Error(message);
  }
}
