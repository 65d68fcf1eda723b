/**
 * One FastCGI connection from the application's side (§3–§6): bytes in, events out; commands in, bytes out. Knows
 * nothing of sockets and of what an application is. Each request that began is settled exactly once: by its own
 * `end` or `abandon`, by ABORT_REQUEST, or by the end of the connection.
 *
 * What a record does, by the state of its request id:
 *
 * | record            | not open     | PARAMS coming in          | running                     |
 * |-------------------|--------------|---------------------------|-----------------------------|
 * | BEGIN_REQUEST     | opens it     | protocol error            | protocol error              |
 * | PARAMS            | ignored      | pairs; empty: `onRequest` | ignored                     |
 * | STDIN             | ignored      | kept                      | `onStdin`; empty: its end   |
 * | DATA (filter)     | ignored      | kept                      | `onData`; empty: its end    |
 * | ABORT_REQUEST     | ignored      | END_REQUEST, no `onRequest` | `onAbort`, END_REQUEST    |
 * | any other         | ignored      | ignored                   | ignored                     |
 *
 * Ignored for an id that is not open: Apache 2.4.71 (`enablereuse`) sends the rest of a body after it has had its
 * answer, and then begins anew with the same id. On id 0 (management): GET_VALUES is answered, the two answers are
 * ignored, every other type is UNKNOWN_TYPE (§4.2).
 */
import { FastCgiProtocolError, PeerError } from '../errors';
import { KEEP_CONN, NULL_REQUEST_ID, ProtocolStatus, RecordType, Role } from './constants';
import { GrowingBuffer } from './growing-buffer';
import { encodePairs, PairDecoder, type PairLimits } from './name-value-pairs';
import { RecordParser, type RecordHandler } from './record-parser';
import { RecordWriter } from './record-writer';

export interface ConnectionLimits {
  /** Bytes of PARAMS content in one request. */
  readonly maxParamsBytes: number;
  /** Pairs in one request. */
  readonly maxParams: number;
  /** Requests open at once on this connection. */
  readonly maxConcurrent: number;
  /** Bytes of STDIN and DATA kept while PARAMS has not ended; no front end sends any. */
  readonly maxEarlyBytes: number;
}

/** What happens to one running request. Every `content` is a view: valid only during the call. */
export interface RequestEvents {
  onStdin(content: Buffer): void;
  onStdinEnd(): void;
  onData(content: Buffer): void;
  onDataEnd(): void;
  /** The front end no longer wants an answer; nothing that is written after this leaves. */
  onAbort(reason: PeerError): void;
}

export interface ConnectionEvents {
  /** PARAMS is complete. */
  onRequest(request: OpenRequest): RequestEvents;
  /** The request cannot be taken: write the reason as a response, then `end`, before this returns. */
  onRefusal(request: OpenRequest, reason: PeerError): void;
  /** The last request is settled and the front end asked for the connection to be closed then (§3.5). */
  onDone(): void;
}

/** GET_VALUES bodies are a few names; anything longer is not a question. */
const VALUES_LIMITS: PairLimits = { maxBytes: 65535, maxPairs: 64 };

/** §5.4: the request ended because it was told to. */
const ABORTED_APP_STATUS = 1;

/** A request between BEGIN_REQUEST and END_REQUEST: what is known of it, and the commands that answer it. */
export class OpenRequest {
  readonly id: number;
  readonly role: number;
  readonly keepConn: boolean;
  readonly #connection: ConnectionCommands;
  #isStdoutUsed = false;
  #isStderrUsed = false;
  #isSettled = false;
  /** name, value, name, value, … as latin-1; complete when `onRequest` gives the request out. */
  pairs: readonly string[] = [];

  constructor(id: number, role: number, flags: number, connection: ConnectionCommands) {
    this.id = id;
    this.role = role;
    this.keepConn = (flags & KEEP_CONN) !== 0;
    this.#connection = connection;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  stdout(content: string | Uint8Array, encoding?: 'utf8' | 'latin1'): void {
    // An empty record would end the stream.
    if (!this.#isSettled && content.length > 0) {
      this.#isStdoutUsed = true;
      this.#connection.writer.stream(RecordType.STDOUT, this.id, content, encoding);
    }
  }

  /** What follows begins a record of its own. */
  endRecord(): void {
    this.#connection.writer.endRecord();
  }

  stderr(content: string | Uint8Array): void {
    if (!this.#isSettled && content.length > 0) {
      this.#isStderrUsed = true;
      this.#connection.writer.stream(RecordType.STDERR, this.id, content);
    }
  }

  /** Ends the streams that were used. Nothing may be written after this but the end of the request. */
  endStreams(): void {
    if (this.#isSettled) {
      return;
    }

    const { writer } = this.#connection;

    if (this.#isStderrUsed) {
      this.#isStderrUsed = false;
      writer.endStream(RecordType.STDERR, this.id);
    }
    if (this.#isStdoutUsed) {
      this.#isStdoutUsed = false;
      writer.endStream(RecordType.STDOUT, this.id);
    }
  }

  /** Ends the streams that are not ended yet, then the request (§5.5). */
  end(appStatus: number, protocolStatus: number = ProtocolStatus.REQUEST_COMPLETE): void {
    if (this.#isSettled) {
      return;
    }
    this.endStreams();
    this.#connection.writer.endRequest(this.id, appStatus, protocolStatus);
    this.#settle();
  }

  /** Ends the request on this side only: no END_REQUEST, so that its response does not look complete. */
  abandon(): void {
    if (!this.#isSettled) {
      this.#settle();
    }
  }

  #settle(): void {
    this.#isSettled = true;
    this.#connection.onSettled(this);
  }
}

interface ConnectionCommands {
  readonly writer: RecordWriter;
  onSettled(request: OpenRequest): void;
}

/** One row of the request table. */
interface Entry {
  readonly request: OpenRequest;
  /** undefined once PARAMS has ended. */
  params: PairDecoder | undefined;
  /** undefined until then. */
  events: RequestEvents | undefined;
  /** Streams that came before the end of PARAMS. */
  early: EarlyStreams | undefined;
}

/** Legal, for the specification orders nothing between streams, but seen from no front end. */
class EarlyStreams {
  readonly stdin = new EarlyStream();
  readonly data = new EarlyStream();

  get bytes(): number {
    return this.stdin.content.length + this.data.content.length;
  }

  of(type: number): EarlyStream {
    return type === RecordType.STDIN ? this.stdin : this.data;
  }
}

class EarlyStream {
  readonly content = new GrowingBuffer();
  hasEnded = false;
}

export class Connection implements RecordHandler {
  readonly #events: ConnectionEvents;
  readonly #limits: ConnectionLimits;
  readonly #values: ReadonlyMap<string, string>;
  readonly #parser = new RecordParser(this);
  readonly #writer = new RecordWriter();
  readonly #commands: ConnectionCommands = {
    writer: this.#writer,
    onSettled: (request) => {
      this.#onSettled(request);
    },
  };
  readonly #table = new Map<number, Entry>();
  #closeWhenDone = false;

  // The record that is coming in.
  #type = 0;
  #requestId = 0;
  #contentLength = 0;
  #entry: Entry | undefined;
  #begin: number[] = [];
  #question: PairDecoder | undefined;

  /** @param values what GET_VALUES may ask for (§4.1). */
  constructor(events: ConnectionEvents, limits: ConnectionLimits, values: ReadonlyMap<string, string>) {
    this.#events = events;
    this.#limits = limits;
    this.#values = values;
  }

  /** Requests that are not settled. */
  get openRequests(): number {
    return this.#table.size;
  }

  get pendingOutputBytes(): number {
    return this.#writer.pendingBytes;
  }

  /** Bytes from the peer. @throws {FastCgiProtocolError} the connection must then be closed with `lose`. */
  push(chunk: Buffer): void {
    this.#parser.push(chunk);
  }

  /** Bytes for the peer since the last call. */
  takeOutput(): Buffer[] {
    return this.#writer.take();
  }

  /** Something no front end accepts (a record of version 0), for those that see a broken response by nothing else. */
  writeRefusedRecord(): void {
    this.#writer.refusedRecord();
  }

  /** No more requests are wanted: `onDone` comes when the open ones are settled, at once if there are none. */
  closeWhenDone(): void {
    this.#closeWhenDone = true;
    this.#checkDone();
  }

  /** The connection is gone: settles every open request. */
  lose(reason: PeerError): void {
    for (const { request, events } of [...this.#table.values()]) {
      // Hearing of it, an application may have settled another request.
      if (!request.isSettled) {
        events?.onAbort(reason);
        request.abandon();
      }
    }
  }

  onRecordStart(type: number, requestId: number, contentLength: number): void {
    this.#type = type;
    this.#requestId = requestId;
    this.#contentLength = contentLength;
    this.#entry = this.#table.get(requestId);
    if (type === RecordType.BEGIN_REQUEST) {
      this.#begin = [];
    } else if (type === RecordType.GET_VALUES && requestId === NULL_REQUEST_ID) {
      this.#question = new PairDecoder(VALUES_LIMITS);
    }
  }

  onRecordContent(content: Buffer): void {
    if (this.#requestId === NULL_REQUEST_ID) {
      this.#question?.push(content);
      return;
    }
    switch (this.#type) {
      case RecordType.BEGIN_REQUEST:
        // Role and flags; the five bytes after them are reserved (§5.1).
        this.#begin.push(...content.subarray(0, 3 - this.#begin.length));
        return;
      case RecordType.PARAMS:
        this.#onParams(content);
        return;
      case RecordType.STDIN:
      case RecordType.DATA:
        this.#onStream(content);
        return;
      default:
        return;
    }
  }

  onRecordEnd(): void {
    const entry = this.#entry;

    this.#entry = undefined;
    if (this.#requestId === NULL_REQUEST_ID) {
      this.#answerManagement();
      return;
    }
    if (this.#type === RecordType.BEGIN_REQUEST) {
      this.#onBegin();
      return;
    }
    if (entry === undefined || entry.request.isSettled) {
      return;
    }
    if (this.#type === RecordType.ABORT_REQUEST) {
      entry.events?.onAbort(new PeerError('ERR_PEER_GONE', 'the front end aborted the request'));
      entry.request.end(ABORTED_APP_STATUS);
    } else if (this.#contentLength === 0) {
      this.#onStreamEnd(entry);
    }
  }

  #onBegin(): void {
    const [high, low, flags] = this.#begin;

    if (high === undefined || low === undefined || flags === undefined || this.#contentLength < 8) {
      throw new FastCgiProtocolError(
        'ERR_FCGI_BEGIN_REQUEST',
        'the body of BEGIN_REQUEST is too short (§5.1)',
      );
    }
    if (this.#table.has(this.#requestId)) {
      // Two answers under one id would be mixed up, and nobody could tell which of them the front end means.
      throw new FastCgiProtocolError(
        'ERR_FCGI_BEGIN_REQUEST',
        'BEGIN_REQUEST for a request that is still open (§3.3)',
      );
    }

    const request = new OpenRequest(this.#requestId, (high << 8) | low, flags, this.#commands);
    const isFull = this.#table.size >= this.#limits.maxConcurrent;
    const { maxParamsBytes, maxParams } = this.#limits;

    this.#table.set(request.id, {
      request,
      params: new PairDecoder({ maxBytes: maxParamsBytes, maxPairs: maxParams }),
      events: undefined,
      early: undefined,
    });
    if (request.role < Role.RESPONDER || request.role > Role.FILTER) {
      this.#events.onRefusal(
        request,
        new PeerError('ERR_ROLE_UNKNOWN', `unknown role ${String(request.role)} (§5.1)`),
      );
    } else if (isFull) {
      this.#events.onRefusal(
        request,
        new PeerError(
          'ERR_OVERLOADED',
          `more than ${String(this.#limits.maxConcurrent)} requests on one connection`,
        ),
      );
    }
  }

  #onParams(content: Buffer): void {
    const entry = this.#entry;

    if (entry?.params === undefined || entry.request.isSettled) {
      return;
    }
    if (!entry.params.push(content)) {
      entry.request.pairs = entry.params.pairs;
      this.#events.onRefusal(
        entry.request,
        new PeerError('ERR_PARAMS_TOO_LARGE', 'the parameters are larger or more than the limits allow'),
      );
    }
  }

  #onParamsEnd(entry: Entry, params: PairDecoder): void {
    const { request } = entry;

    entry.params = undefined;
    request.pairs = params.pairs;
    if (!params.isComplete) {
      this.#events.onRefusal(
        request,
        new PeerError('ERR_PARAMS_MALFORMED', 'PARAMS ends in the middle of a name-value pair (§3.4)'),
      );
      return;
    }
    entry.events = this.#events.onRequest(request);
    this.#passEarly(entry, RecordType.STDIN);
    this.#passEarly(entry, RecordType.DATA);
    entry.early = undefined;
  }

  #passEarly(entry: Entry, type: number): void {
    const stream = entry.early?.of(type);

    if (stream !== undefined && stream.content.length > 0) {
      this.#passStream(entry, type, stream.content.bytes);
    }
    if (stream?.hasEnded === true) {
      this.#endStream(entry, type);
    }
  }

  #onStream(content: Buffer): void {
    const entry = this.#entry;

    if (entry === undefined || entry.request.isSettled) {
      return;
    }
    if (entry.events !== undefined) {
      this.#passStream(entry, this.#type, content);
      return;
    }

    const early = (entry.early ??= new EarlyStreams());
    const stream = early.of(this.#type);

    if (stream.hasEnded) {
      return;
    }
    if (early.bytes + content.length > this.#limits.maxEarlyBytes) {
      this.#events.onRefusal(
        entry.request,
        new PeerError('ERR_PARAMS_MALFORMED', 'too much of the body came before the end of PARAMS'),
      );
      return;
    }
    stream.content.append(content);
  }

  #onStreamEnd(entry: Entry): void {
    if (this.#type === RecordType.PARAMS) {
      if (entry.params !== undefined) {
        this.#onParamsEnd(entry, entry.params);
      }
    } else if (this.#type === RecordType.STDIN || this.#type === RecordType.DATA) {
      if (entry.events !== undefined) {
        this.#endStream(entry, this.#type);
      } else {
        (entry.early ??= new EarlyStreams()).of(this.#type).hasEnded = true;
      }
    }
  }

  #passStream(entry: Entry, type: number, content: Buffer): void {
    if (entry.request.isSettled) {
      return;
    }
    if (type === RecordType.STDIN) {
      entry.events?.onStdin(content);
    } else if (entry.request.role === Role.FILTER) {
      entry.events?.onData(content);
    }
  }

  #endStream(entry: Entry, type: number): void {
    if (entry.request.isSettled) {
      return;
    }
    if (type === RecordType.STDIN) {
      entry.events?.onStdinEnd();
    } else {
      entry.events?.onDataEnd();
    }
  }

  #answerManagement(): void {
    const question = this.#question;

    this.#question = undefined;
    if (question !== undefined) {
      this.#writer.record(RecordType.GET_VALUES_RESULT, NULL_REQUEST_ID, this.#answerTo(question.pairs));
    } else if (this.#type !== RecordType.GET_VALUES_RESULT && this.#type !== RecordType.UNKNOWN_TYPE) {
      this.#writer.record(
        RecordType.UNKNOWN_TYPE,
        NULL_REQUEST_ID,
        Buffer.from([this.#type, 0, 0, 0, 0, 0, 0, 0]),
      );
    }
  }

  /** §4.1: only what was asked for, and of that only what is known. */
  #answerTo(asked: readonly string[]): Buffer {
    const answer = new Map<string, string>();

    for (let index = 0; index < asked.length; index += 2) {
      const name = asked[index] ?? '';
      const value = this.#values.get(name);

      if (value !== undefined) {
        answer.set(name, value);
      }
    }
    return encodePairs(answer);
  }

  #onSettled(request: OpenRequest): void {
    this.#table.delete(request.id);
    if (!request.keepConn) {
      this.#closeWhenDone = true;
    }
    this.#checkDone();
  }

  #checkDone(): void {
    if (this.#closeWhenDone && this.#table.size === 0) {
      this.#events.onDone();
    }
  }
}
