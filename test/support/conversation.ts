/**
 * What a web server said on one FastCGI connection, read with the tests' own decoder.
 *
 * This is the meaning of the bytes alone: it knows no answers, so STDIN records that a front end still sends
 * for an answered request count for that request until its id begins anew.
 */
import type { DecodedRecord, Pair } from './records';
import { decodePairs, decodeSome, RecordType } from './records';

export interface ConversationRequest {
  readonly id: number;
  readonly role: number;
  readonly flags: number;
  readonly pairs: readonly Pair[];
  /** Whether the empty PARAMS record came. */
  readonly paramsEnded: boolean;
  readonly stdin: Buffer;
  /** Whether the empty STDIN record came; an Authorizer of mod_fcgid gets none. */
  readonly stdinEnded: boolean;
  /** The file of a Filter request (§6.4). */
  readonly data: Buffer;
  readonly dataEnded: boolean;
  /** Whether ABORT_REQUEST came. */
  readonly aborted: boolean;
}

export interface Conversation {
  readonly records: readonly DecodedRecord[];
  /** In the order of their BEGIN_REQUEST. */
  readonly requests: readonly ConversationRequest[];
  /** The names of each GET_VALUES record. */
  readonly getValues: readonly (readonly string[])[];
  /** Length of the record that the connection's end cut off. */
  readonly unfinishedBytes: number;
}

function closes(records: readonly DecodedRecord[], type: number): boolean {
  return records.some((each) => each.type === type && each.content.length === 0);
}

function requestFrom(records: readonly DecodedRecord[]): ConversationRequest {
  const begin = records.find((each) => each.type === RecordType.BEGIN_REQUEST);
  if (begin === undefined) {
    throw new Error(`request ${String(records[0]?.requestId)} has no BEGIN_REQUEST`);
  }
  const stream = (type: number): Buffer =>
    Buffer.concat(records.filter((each) => each.type === type).map((each) => each.content));

  return {
    id: begin.requestId,
    role: begin.content.readUInt16BE(0),
    flags: begin.content.readUInt8(2),
    pairs: decodePairs(stream(RecordType.PARAMS)),
    paramsEnded: closes(records, RecordType.PARAMS),
    stdin: stream(RecordType.STDIN),
    stdinEnded: closes(records, RecordType.STDIN),
    data: stream(RecordType.DATA),
    dataEnded: closes(records, RecordType.DATA),
    aborted: records.some((each) => each.type === RecordType.ABORT_REQUEST),
  };
}

/** @throws {Error} on a record of a request that never began, or a pair that is cut. */
export function conversationOf(bytes: Uint8Array): Conversation {
  const { records, rest } = decodeSome(bytes);
  const groups: DecodedRecord[][] = [];
  const current = new Map<number, DecodedRecord[]>();

  for (const each of records.filter((candidate) => candidate.requestId !== 0)) {
    let group = current.get(each.requestId);
    if (group === undefined || each.type === RecordType.BEGIN_REQUEST) {
      group = [];
      groups.push(group);
      current.set(each.requestId, group);
    }
    group.push(each);
  }

  return {
    records,
    requests: groups.map(requestFrom),
    getValues: records
      .filter((each) => each.type === RecordType.GET_VALUES)
      .map((each) => decodePairs(each.content).map(([name]) => name)),
    unfinishedBytes: rest.length,
  };
}
