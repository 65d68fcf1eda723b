/** One connection to a FastCGI server, for one request after the other: no server but HAProxy's peers multiplexes. */
import type { Socket } from 'node:net';
import { GatewayError } from '../../src/errors';
import { KEEP_CONN, RecordType, Role } from '../../src/fastcgi/constants';
import { encodePairs } from '../../src/fastcgi/name-value-pairs';
import { RecordParser, type RecordHandler } from '../../src/fastcgi/record-parser';
import { RecordWriter } from '../../src/fastcgi/record-writer';
import { ClientExchange, type ByteSource, type ClientRequestOptions } from './client-exchange';

/** The only id that is used: FastCGI §3.3 wants small ones, and there is one request at a time. */
const REQUEST_ID = 1;

/** FastCGI §5.1 and §5.5. */
const BEGIN_REQUEST_LENGTH = 8;
const END_REQUEST_LENGTH = 8;

/** Bytes of a response that are kept until somebody reads them; then the server is stopped. One full record. */
const MAX_BUFFERED_BYTES = 65536;

export interface ClientConnectionOptions {
  /** Ask the server to keep the connection. */
  readonly keepConn: boolean;
  readonly maxHeadBytes: number | undefined;
  /** For messages: `unix:/run/app.sock`. */
  readonly where: string;
  /** The request is over and the connection can take another one. */
  readonly onIdle: (connection: ClientConnection) => void;
  readonly onClosed: (connection: ClientConnection) => void;
}

export class ClientConnection implements RecordHandler {
  readonly #socket: Socket;
  readonly #options: ClientConnectionOptions;
  readonly #parser = new RecordParser(this);
  readonly #writer = new RecordWriter();
  #exchange: ClientExchange | undefined;
  #isConnected = false;
  /** All of the request has been written, so the server will not take its rest for the next one's. */
  #isSent = false;
  #recordType = 0;
  #isOwnRecord = false;
  readonly #endBody = Buffer.alloc(END_REQUEST_LENGTH);
  #endFilled = 0;
  #stopListening: (() => void) | undefined;

  /** @param socket may still be connecting. */
  constructor(socket: Socket, options: ClientConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.once('connect', () => (this.#isConnected = true));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#onSocketError(error));
    socket.once('end', () => socket.destroy());
    socket.once('close', () => {
      this.#fail(closedEarly());
      options.onClosed(this);
    });
  }

  /** Begins a request; there must be none. */
  start(pairs: Iterable<readonly [string, string]>, options: ClientRequestOptions): ClientExchange {
    const exchange = new ClientExchange(options, this.#options.maxHeadBytes, {
      onRoom: () => this.#updateReading(),
      onCancelled: () => this.#abort(exchange, new Error('the response body was not read to its end')),
    });
    const { signal } = options;

    this.#exchange = exchange;
    this.#isSent = false;
    this.#socket.ref();
    if (signal !== undefined) {
      const onAbort = (): void => this.#abort(exchange, signal.reason);

      signal.addEventListener('abort', onAbort, { once: true });
      this.#stopListening = () => signal.removeEventListener('abort', onAbort);
    }
    this.#send(exchange, pairs).catch((error: unknown) => this.#abort(exchange, error));
    return exchange;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // RecordHandler

  onRecordStart(type: number, requestId: number): void {
    this.#recordType = type;
    this.#isOwnRecord = requestId === REQUEST_ID && this.#exchange !== undefined;
  }

  onRecordContent(content: Buffer): void {
    if (!this.#isOwnRecord) {
      return;
    }
    switch (this.#recordType) {
      case RecordType.STDOUT:
        // A copy: the view dies with the call, the body is read later.
        this.#exchange?.onStdout(Buffer.from(content));
        break;
      case RecordType.STDERR:
        this.#exchange?.options.onStderr?.(Buffer.from(content));
        break;
      case RecordType.END_REQUEST:
        // Longer than it should be: the rest is ignored.
        this.#endFilled += content.copy(this.#endBody, this.#endFilled);
        break;
      default:
      // Nothing that a client has asked for.
    }
  }

  onRecordEnd(): void {
    if (this.#isOwnRecord && this.#recordType === RecordType.END_REQUEST) {
      this.#onEndRequest();
    }
  }

  #onEndRequest(): void {
    const exchange = this.#exchange;
    const isWhole = this.#endFilled === END_REQUEST_LENGTH;

    this.#endFilled = 0;
    if (!isWhole) {
      throw new GatewayError('ERR_BACKEND', 'END_REQUEST is shorter than its eight bytes (FastCGI §5.5)');
    }
    this.#forget();
    exchange?.onEnd(this.#endBody.readUInt32BE(0), this.#endBody.readUInt8(4));
    if (this.#options.keepConn && this.#isSent) {
      // An idle connection keeps no process alive.
      this.#socket.resume().unref();
      this.#options.onIdle(this);
    } else {
      this.#socket.destroySoon();
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#exchange === undefined) {
      // Nobody asked: whatever it is, it would be taken for the next request's answer.
      this.#socket.destroy();
      return;
    }
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.#fail(
        error instanceof GatewayError && error.code === 'ERR_BACKEND'
          ? error
          : new GatewayError('ERR_BACKEND', 'the answer is not FastCGI', { cause: error }),
      );
      this.#socket.destroy();
    }
    this.#updateReading();
  }

  #onSocketError(cause: Error): void {
    this.#fail(
      this.#isConnected
        ? closedEarly(cause)
        : new GatewayError('ERR_BACKEND', `cannot connect to ${this.#options.where}: ${cause.message}`, {
            cause,
          }),
    );
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange;

    this.#forget();
    exchange?.fail(error);
  }

  #abort(exchange: ClientExchange, reason: unknown): void {
    if (this.#exchange !== exchange) {
      return;
    }
    this.#fail(reason);
    if (this.#isConnected && !this.#socket.writableNeedDrain) {
      this.#writer.record(RecordType.ABORT_REQUEST, REQUEST_ID, Buffer.alloc(0));
      this.#flush();
      this.#socket.destroySoon();
    } else {
      this.#socket.destroy();
    }
  }

  /** The request is over. */
  #forget(): void {
    this.#exchange = undefined;
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  #updateReading(): void {
    if (this.#exchange !== undefined && this.#exchange.bufferedBytes >= MAX_BUFFERED_BYTES) {
      this.#socket.pause();
    } else if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
  }

  async #send(exchange: ClientExchange, pairs: Iterable<readonly [string, string]>): Promise<void> {
    const { role = 'RESPONDER', body, data } = exchange.options;
    const begin = Buffer.alloc(BEGIN_REQUEST_LENGTH);

    begin.writeUInt16BE(Role[role], 0);
    begin.writeUInt8(this.#options.keepConn ? KEEP_CONN : 0, 2);
    this.#writer.record(RecordType.BEGIN_REQUEST, REQUEST_ID, begin);
    this.#writer.stream(RecordType.PARAMS, REQUEST_ID, encodePairs(pairs));
    this.#writer.endStream(RecordType.PARAMS, REQUEST_ID);

    // FastCGI §6.3: an Authorizer gets no STDIN.
    if (role !== 'AUTHORIZER') {
      await this.#sendStream(exchange, RecordType.STDIN, body);
    }
    if (role === 'FILTER') {
      await this.#sendStream(exchange, RecordType.DATA, data);
    }
    if (this.#exchange === exchange) {
      this.#isSent = true;
      this.#flush();
    }
  }

  async #sendStream(
    exchange: ClientExchange,
    type: number,
    source: Uint8Array | ByteSource | undefined,
  ): Promise<void> {
    if (source instanceof Uint8Array) {
      this.#writer.stream(type, REQUEST_ID, source);
    } else if (source !== undefined) {
      // What is written so far must not wait for the source.
      this.#flush();
      for await (const chunk of source) {
        if (this.#exchange !== exchange) {
          return;
        }
        this.#writer.stream(type, REQUEST_ID, chunk);
        if (!this.#flush()) {
          await this.#drained();
        }
      }
    }
    if (this.#exchange === exchange) {
      this.#writer.endStream(type, REQUEST_ID);
    }
  }

  /** @returns false when the server takes no more for now. */
  #flush(): boolean {
    const socket = this.#socket;

    socket.cork();
    for (const buffer of this.#writer.take()) {
      socket.write(buffer);
    }
    socket.uncork();
    return !socket.writableNeedDrain;
  }

  /** A connection that closes has drained, too. */
  #drained(): Promise<void> {
    const socket = this.#socket;

    if (socket.destroyed) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const onDrained = (): void => {
        socket.off('drain', onDrained).off('close', onDrained);
        resolve();
      };

      socket.on('drain', onDrained).on('close', onDrained);
    });
  }
}

function closedEarly(cause?: Error): GatewayError {
  return new GatewayError(
    'ERR_BACKEND',
    'the FastCGI server closed the connection before END_REQUEST',
    cause === undefined ? undefined : { cause },
  );
}
