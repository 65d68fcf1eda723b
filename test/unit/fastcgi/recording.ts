/** A connection together with all that it told its handler, so that a test can look at both. */
import type { PeerError } from '../../../src/errors';
import {
  Connection,
  type ConnectionEvents,
  type ConnectionLimits,
  type OpenRequest,
  type RequestEvents,
} from '../../../src/fastcgi/connection';
import type { DecodedRecord, Pair } from '../../support/records';
import { decodeRecords } from '../../support/records';

export type RecordedEvent =
  | {
      readonly event: 'request';
      readonly id: number;
      readonly role: number;
      readonly keepConn: boolean;
      readonly pairs: readonly Pair[];
    }
  | { readonly event: 'stdin' | 'data'; readonly id: number; readonly content: string }
  | { readonly event: 'stdinEnd' | 'dataEnd'; readonly id: number }
  | { readonly event: 'abort' | 'refusal'; readonly id: number; readonly code: string }
  | { readonly event: 'done' };

/** What the handler does when it is told something, piece by piece. `request` is missing for `done`. */
export type Reaction = (event: RecordedEvent, request: OpenRequest | undefined) => void;

export const LIMITS: ConnectionLimits = {
  maxParamsBytes: 1024 * 1024,
  maxParams: 10_000,
  maxConcurrent: 256,
  maxEarlyBytes: 65536,
};

export const VALUES: ReadonlyMap<string, string> = new Map([
  ['FCGI_MAX_CONNS', '10'],
  ['FCGI_MAX_REQS', '50'],
  ['FCGI_MPXS_CONNS', '1'],
]);

export class Recording implements ConnectionEvents {
  readonly connection: Connection;
  /** In the order of their events; one that was refused is here, too. */
  readonly requests: OpenRequest[] = [];
  readonly #events: RecordedEvent[] = [];
  readonly #react: Reaction;
  /** What comes out of `takeOutput`, as one piece. */
  #output: Buffer[] = [];

  constructor(react: Reaction = () => undefined, limits: Partial<ConnectionLimits> = {}) {
    this.#react = react;
    this.connection = new Connection(this, { ...LIMITS, ...limits }, VALUES);
  }

  /** Content that came in several pieces is one event: where it was cut means nothing. */
  get events(): readonly RecordedEvent[] {
    return joined(this.#events);
  }

  push(...chunks: readonly Buffer[]): this {
    return this.pushAll(chunks);
  }

  pushAll(chunks: Iterable<Buffer>): this {
    for (const chunk of chunks) {
      this.connection.push(chunk);
    }
    return this;
  }

  /** Everything that was sent since the beginning. */
  get output(): Buffer {
    this.#output = [Buffer.concat([...this.#output, ...this.connection.takeOutput()])];
    return Buffer.concat(this.#output);
  }

  get sent(): readonly DecodedRecord[] {
    return decodeRecords(this.output);
  }

  /** The latest request with this id. */
  request(id: number): OpenRequest {
    const found = this.requests.findLast((request) => request.id === id);

    if (found === undefined) {
      throw new Error(`no request ${String(id)} was announced`);
    }
    return found;
  }

  onRequest(request: OpenRequest): RequestEvents {
    const { id, role, keepConn } = request;

    this.requests.push(request);
    this.#record({ event: 'request', id, role, keepConn, pairs: pairsOf(request.pairs) }, request);
    return {
      onStdin: (content) => this.#recordContent('stdin', content, request),
      onStdinEnd: () => this.#record({ event: 'stdinEnd', id }, request),
      onData: (content) => this.#recordContent('data', content, request),
      onDataEnd: () => this.#record({ event: 'dataEnd', id }, request),
      onAbort: ({ code }) => this.#record({ event: 'abort', id, code }, request),
    };
  }

  /** Answers as the contract says: before it returns. */
  onRefusal(request: OpenRequest, { code }: PeerError): void {
    this.requests.push(request);
    this.#record({ event: 'refusal', id: request.id, code }, request);
    request.stdout(`refused: ${code}`);
    request.end(0);
  }

  onDone(): void {
    this.#record({ event: 'done' }, undefined);
  }

  #record(event: RecordedEvent, request: OpenRequest | undefined): void {
    this.#events.push(event);
    this.#react(event, request);
  }

  #recordContent(event: 'stdin' | 'data', content: Buffer, request: OpenRequest): void {
    this.#record({ event, id: request.id, content: content.toString('latin1') }, request);
  }
}

function joined(events: readonly RecordedEvent[]): RecordedEvent[] {
  const result: RecordedEvent[] = [];

  for (const event of events) {
    const last = result.at(-1);

    if ('content' in event && last?.event === event.event && 'content' in last && last.id === event.id) {
      result[result.length - 1] = { ...last, content: last.content + event.content };
    } else {
      result.push(event);
    }
  }
  return result;
}

function pairsOf(flat: readonly string[]): Pair[] {
  const pairs: Pair[] = [];

  for (let index = 0; index < flat.length; index += 2) {
    pairs.push([flat[index] ?? '', flat[index + 1] ?? '']);
  }
  return pairs;
}
