/**
 * FastCGI 1.0 records, written and read by hand from the specification: the tests' own ruler.
 *
 * Nothing here comes from src or adapters, so a mistake there cannot hide behind the same mistake here.
 * Strings are latin-1: one character is one byte.
 */

export type Bytes = string | Uint8Array;
export type Pair = readonly [name: string, value: string];

// FastCGI §8.
export const VERSION = 1;
export const HEADER_LENGTH = 8;
export const MAX_CONTENT_LENGTH = 0xffff;
export const MANAGEMENT_REQUEST_ID = 0;
export const KEEP_CONN = 1;

export const RecordType = {
  BEGIN_REQUEST: 1,
  ABORT_REQUEST: 2,
  END_REQUEST: 3,
  PARAMS: 4,
  STDIN: 5,
  STDOUT: 6,
  STDERR: 7,
  DATA: 8,
  GET_VALUES: 9,
  GET_VALUES_RESULT: 10,
  UNKNOWN_TYPE: 11,
} as const;

export const Role = { RESPONDER: 1, AUTHORIZER: 2, FILTER: 3 } as const;

export const ProtocolStatus = {
  REQUEST_COMPLETE: 0,
  CANT_MPX_CONN: 1,
  OVERLOADED: 2,
  UNKNOWN_ROLE: 3,
} as const;

/** Not zero, so that a reader which takes padding for content is caught. */
export const PADDING_BYTE = 0xee;

/** A multiple of 8 below the limit, so that a full record needs no padding. */
const DEFAULT_CUT = 65528;

export interface DecodedRecord {
  readonly version: number;
  readonly type: number;
  readonly requestId: number;
  readonly content: Buffer;
  /** Length of the padding; its bytes mean nothing (§3.3). */
  readonly padding: number;
}

/** How one stream (§3.3) is laid out in records. */
export interface StreamLayout {
  /** Content bytes per record; the last one takes the rest. */
  readonly cutEvery?: number;
  /** Padding bytes of every record but the empty one at the end. */
  readonly padding?: number;
  /** False leaves the stream open: no empty record at the end. */
  readonly end?: boolean;
}

export interface RequestLayout {
  readonly id?: number;
  readonly role?: number;
  readonly keepConn?: boolean;
  /** Of PARAMS and STDIN alike. */
  readonly cutEvery?: number;
  readonly padding?: number;
}

/** What a FastCGI application answered to one request. */
export interface DecodedResponse {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Whether the empty record came. */
  readonly stdoutEnded: boolean;
  readonly stderrEnded: boolean;
  /** Whether END_REQUEST came; without it both statuses are undefined. */
  readonly ended: boolean;
  readonly appStatus: number | undefined;
  readonly protocolStatus: number | undefined;
}

function bytesOf(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
}

/** §3.3: version, type, request id, content length, padding length, reserved; then content and padding. */
export function record(type: number, requestId: number, content: Bytes = '', padding = 0): Buffer {
  const body = bytesOf(content);
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt8(VERSION, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(requestId, 2);
  header.writeUInt16BE(body.length, 4);
  header.writeUInt8(padding, 6);
  return Buffer.concat([header, body, Buffer.alloc(padding, PADDING_BYTE)]);
}

/** §5.1: role (2 bytes), flags (1), reserved (5). */
export function beginRequest(requestId: number, role: number = Role.RESPONDER, flags = 0): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16BE(role, 0);
  body.writeUInt8(flags, 2);
  return record(RecordType.BEGIN_REQUEST, requestId, body);
}

/** §3.4: one byte up to 127, else four bytes with the top bit set. The long form is legal for any length. */
function pairLength(length: number, form: 'shortest' | 'long'): Buffer {
  if (form === 'shortest' && length < 0x80) {
    return Buffer.from([length]);
  }
  const four = Buffer.alloc(4);
  four.writeUInt32BE((length | 0x80000000) >>> 0);
  return four;
}

/** §3.4: both lengths, then the name, then the value. */
export function pair(name: string, value: string, form: 'shortest' | 'long' = 'shortest'): Buffer {
  return Buffer.concat([
    pairLength(name.length, form),
    pairLength(value.length, form),
    bytesOf(name),
    bytesOf(value),
  ]);
}

export function encodePairs(pairs: readonly Pair[]): Buffer {
  return Buffer.concat(pairs.map(([name, value]) => pair(name, value)));
}

/** §3.3: a stream is records of one type, closed by an empty one. */
export function stream(type: number, requestId: number, content: Bytes, layout: StreamLayout = {}): Buffer {
  const { cutEvery = DEFAULT_CUT, padding = 0, end = true } = layout;
  const body = bytesOf(content);
  const records: Buffer[] = [];

  for (let offset = 0; offset < body.length; offset += cutEvery) {
    records.push(record(type, requestId, body.subarray(offset, offset + cutEvery), padding));
  }
  return Buffer.concat(end ? [...records, record(type, requestId)] : records);
}

/** `cutEvery` cuts without regard to pairs: inside a name, a value, or a length. */
export function params(requestId: number, pairs: readonly Pair[], layout: StreamLayout = {}): Buffer {
  return stream(RecordType.PARAMS, requestId, encodePairs(pairs), layout);
}

export function stdin(requestId: number, content: Bytes = '', layout: StreamLayout = {}): Buffer {
  return stream(RecordType.STDIN, requestId, content, layout);
}

/** The file of a Filter request (§6.4). */
export function data(requestId: number, content: Bytes = '', layout: StreamLayout = {}): Buffer {
  return stream(RecordType.DATA, requestId, content, layout);
}

export function abortRequest(requestId: number): Buffer {
  return record(RecordType.ABORT_REQUEST, requestId);
}

/** §4.1: the names asked for, each with an empty value. */
export function getValues(names: readonly string[]): Buffer {
  const asked = names.map((name): Pair => [name, '']);
  return record(RecordType.GET_VALUES, MANAGEMENT_REQUEST_ID, encodePairs(asked));
}

/** A whole Responder or Authorizer request in the order every front end sends it. */
export function request(pairs: readonly Pair[], body: Bytes = '', layout: RequestLayout = {}): Buffer {
  const { id = 1, role = Role.RESPONDER, keepConn = false, ...streams } = layout;
  return Buffer.concat([
    beginRequest(id, role, keepConn ? KEEP_CONN : 0),
    params(id, pairs, streams),
    stdin(id, body, streams),
  ]);
}

/** §5.5: appStatus (4 bytes), protocolStatus (1), reserved (3). */
export function endRequest(requestId: number, appStatus = 0, protocolStatus = 0): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32BE(appStatus, 0);
  body.writeUInt8(protocolStatus, 4);
  return record(RecordType.END_REQUEST, requestId, body);
}

/** Reads all whole records; `rest` is the beginning of one that is not there yet. */
export function decodeSome(bytes: Uint8Array): { records: DecodedRecord[]; rest: Buffer } {
  const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: DecodedRecord[] = [];
  let offset = 0;

  while (offset + HEADER_LENGTH <= input.length) {
    const padding = input.readUInt8(offset + 6);
    const contentEnd = offset + HEADER_LENGTH + input.readUInt16BE(offset + 4);
    if (contentEnd + padding > input.length) {
      break;
    }
    records.push({
      version: input.readUInt8(offset),
      type: input.readUInt8(offset + 1),
      requestId: input.readUInt16BE(offset + 2),
      content: Buffer.from(input.subarray(offset + HEADER_LENGTH, contentEnd)),
      padding,
    });
    offset = contentEnd + padding;
  }
  return { records, rest: Buffer.from(input.subarray(offset)) };
}

/** @throws {Error} when the bytes end inside a record. */
export function decodeRecords(bytes: Uint8Array): DecodedRecord[] {
  const { records, rest } = decodeSome(bytes);
  if (rest.length > 0) {
    throw new Error(`${String(rest.length)} bytes after the last whole record`);
  }
  return records;
}

/** @throws {Error} when the bytes end inside a pair. */
export function decodePairs(bytes: Uint8Array): Pair[] {
  const input = bytesOf(bytes);
  const pairs: Pair[] = [];
  let offset = 0;

  const take = (length: number): Buffer => {
    if (offset + length > input.length) {
      throw new Error(`a name-value pair is cut at byte ${String(input.length)}`);
    }
    offset += length;
    return input.subarray(offset - length, offset);
  };
  const takeLength = (): number => {
    const first = take(1).readUInt8();
    return first < 0x80 ? first : ((first & 0x7f) << 24) | take(3).readUIntBE(0, 3);
  };

  while (offset < input.length) {
    const nameLength = takeLength();
    const valueLength = takeLength();
    pairs.push([take(nameLength).toString('latin1'), take(valueLength).toString('latin1')]);
  }
  return pairs;
}

function contentOf(records: readonly DecodedRecord[], type: number): Buffer {
  return Buffer.concat(records.filter((each) => each.type === type).map((each) => each.content));
}

function isClosed(records: readonly DecodedRecord[], type: number): boolean {
  return records.some((each) => each.type === type && each.content.length === 0);
}

function responseFrom(records: readonly DecodedRecord[]): DecodedResponse {
  const end = records.find((each) => each.type === RecordType.END_REQUEST);
  return {
    stdout: contentOf(records, RecordType.STDOUT),
    stderr: contentOf(records, RecordType.STDERR),
    stdoutEnded: isClosed(records, RecordType.STDOUT),
    stderrEnded: isClosed(records, RecordType.STDERR),
    ended: end !== undefined,
    appStatus: end?.content.readUInt32BE(0),
    protocolStatus: end?.content.readUInt8(4),
  };
}

/** Every response with this id, in order: an id is free again after END_REQUEST (§3.3). */
export function responsesOf(
  emitted: Uint8Array | readonly DecodedRecord[],
  requestId: number,
): DecodedResponse[] {
  const records = emitted instanceof Uint8Array ? decodeRecords(emitted) : emitted;
  const responses: DecodedResponse[] = [];
  let current: DecodedRecord[] = [];

  for (const each of records.filter((candidate) => candidate.requestId === requestId)) {
    current.push(each);
    if (each.type === RecordType.END_REQUEST) {
      responses.push(responseFrom(current));
      current = [];
    }
  }
  return current.length > 0 ? [...responses, responseFrom(current)] : responses;
}

/**
 * The one response with this id. A second one is an error here, so that a record after END_REQUEST, or a
 * second END_REQUEST, cannot go unseen.
 */
export function responseOf(
  emitted: Uint8Array | readonly DecodedRecord[],
  requestId: number,
): DecodedResponse {
  const [first, ...others] = responsesOf(emitted, requestId);
  if (others.length > 0) {
    throw new Error(`records for request ${String(requestId)} after its END_REQUEST`);
  }
  return first ?? responseFrom([]);
}
