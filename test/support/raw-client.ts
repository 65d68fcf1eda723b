/**
 * A FastCGI client for tests: raw records over a real socket, and a time limit on every wait.
 * It checks nothing by itself; a test looks at `records` as they came.
 */
import { connect as connectSocket } from 'node:net';
import type { Socket } from 'node:net';

import type { Bytes, DecodedRecord, DecodedResponse, Pair, RequestLayout } from './records';
import { decodeSome, RecordType, request, responsesOf } from './records';

/** Long enough for a loaded machine, short enough to fail inside jest's own limit of 5 s. */
const DEFAULT_TIMEOUT_MS = 4000;

/** A path, a port on 127.0.0.1, or both given in full. */
export type Target = string | number | { readonly host: string; readonly port: number };

export interface Wait {
  readonly timeoutMs?: number;
}

export interface Closed {
  /** The socket's error (`ECONNRESET` …); undefined for a clean end. */
  readonly errorCode: string | undefined;
}

interface Waiter {
  readonly isDone: () => boolean;
  readonly settle: () => void;
}

function openSocket(target: Target): Socket {
  if (typeof target === 'string') {
    return connectSocket({ path: target, allowHalfOpen: true });
  }
  const address = typeof target === 'number' ? { host: '127.0.0.1', port: target } : target;
  return connectSocket({ ...address, allowHalfOpen: true });
}

/** Holds every record it received, and at most one partial record besides. */
export class RawClient {
  /** For what this class does not offer. */
  readonly socket: Socket;
  readonly #records: DecodedRecord[] = [];
  readonly #endsById = new Map<number, number>();
  #rest: Buffer = Buffer.alloc(0);
  #receivedBytes = 0;
  #readEnded = false;
  #closed: Closed | undefined;
  #errorCode: string | undefined;
  readonly #waiters = new Set<Waiter>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => {
      this.#readEnded = true;
      this.#wake();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#errorCode = error.code ?? error.message;
    });
    socket.on('close', () => {
      this.#readEnded = true;
      this.#closed = { errorCode: this.#errorCode };
      this.#wake();
    });
  }

  /** @throws the socket's error when nobody listens. */
  static async connect(target: Target): Promise<RawClient> {
    const socket = openSocket(target);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return new RawClient(socket);
  }

  /** All whole records so far, in the order of arrival. */
  get records(): readonly DecodedRecord[] {
    return this.#records;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Bytes of a record that is not whole yet; not 0 after the close means it was cut. */
  get partialBytes(): number {
    return this.#rest.length;
  }

  /** Whether the peer sent its end-of-file, or the connection is gone. */
  get readEnded(): boolean {
    return this.#readEnded;
  }

  /** Resolves when the system has taken the bytes: against a peer that does not read, that may be never. */
  write(bytes: Bytes): Promise<void> {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    return new Promise((resolve, reject) => {
      this.socket.write(buffer, (error) => {
        if (error == null) {
          resolve();
        } else {
          reject(error);
        }
      });
    });
  }

  /** Sends a whole request and waits for its END_REQUEST. */
  async request(
    pairs: readonly Pair[],
    body: Bytes = '',
    layout: RequestLayout & Wait = {},
  ): Promise<DecodedResponse> {
    const { timeoutMs, ...requestLayout } = layout;
    const id = requestLayout.id ?? 1;
    const nth = this.#endsOf(id) + 1;
    // An early answer may close the connection under the upload; then the wait tells how it ended.
    this.write(request(pairs, body, requestLayout)).catch(() => undefined);
    return this.waitForEnd(id, { nth, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }

  /** The `nth` response with this id (from 1), as soon as its END_REQUEST is here. */
  async waitForEnd(id: number, options: Wait & { readonly nth?: number } = {}): Promise<DecodedResponse> {
    const { nth = 1, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    await this.#until(
      `END_REQUEST of request ${String(id)}`,
      () => this.#readEnded || this.#endsOf(id) >= nth,
      timeoutMs,
    );
    const response = responsesOf(this.#records, id)[nth - 1];
    if (response?.ended !== true) {
      throw new Error(`the connection ended without END_REQUEST of request ${String(id)}`);
    }
    return response;
  }

  /** The first record, present or to come, that the test is after. */
  async waitForRecord(
    isWanted: (record: DecodedRecord) => boolean,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: Wait = {},
  ): Promise<DecodedRecord> {
    await this.#until('a record', () => this.#readEnded || this.#records.some(isWanted), timeoutMs);
    const found = this.#records.find(isWanted);
    if (found === undefined) {
      throw new Error('the connection ended without the record');
    }
    return found;
  }

  /** Until at least this many bytes were received. */
  async waitForBytes(count: number, { timeoutMs = DEFAULT_TIMEOUT_MS }: Wait = {}): Promise<void> {
    await this.#until(`${String(count)} bytes`, () => this.#receivedBytes >= count, timeoutMs);
  }

  /** Until the peer has ended its side; answers with our own end, so that the socket closes. */
  async waitForClose({ timeoutMs = DEFAULT_TIMEOUT_MS }: Wait = {}): Promise<Closed> {
    await this.#until('the close', () => this.#readEnded, timeoutMs);
    this.socket.end();
    await this.#until('the close', () => this.#closed !== undefined, timeoutMs);
    return this.#closed ?? { errorCode: undefined };
  }

  /** Stops reading; once the system's buffers are full the peer is stopped, too. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Ends our side and goes on reading, as a web server does that half-closes. */
  end(): void {
    this.socket.end();
  }

  /** Ends both sides at once, and waits until that is done. */
  async destroy(): Promise<void> {
    this.socket.destroy();
    await this.#until('the close', () => this.#closed !== undefined, DEFAULT_TIMEOUT_MS);
  }

  /** TCP only: the peer gets ECONNRESET. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  #endsOf(id: number): number {
    return this.#endsById.get(id) ?? 0;
  }

  #receive(chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    const { records, rest } = decodeSome(Buffer.concat([this.#rest, chunk]));
    for (const each of records) {
      this.#records.push(each);
      if (each.type === RecordType.END_REQUEST) {
        this.#endsById.set(each.requestId, this.#endsOf(each.requestId) + 1);
      }
    }
    this.#rest = rest;
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (waiter.isDone()) {
        waiter.settle();
      }
    }
  }

  #until(what: string, isDone: () => boolean, timeoutMs: number): Promise<void> {
    if (isDone()) {
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        isDone,
        settle: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`waited ${String(timeoutMs)} ms for ${what}`));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }
}
