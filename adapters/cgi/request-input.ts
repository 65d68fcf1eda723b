/**
 * The request body from standard input: as many bytes as CONTENT_LENGTH says and not one more, because what follows
 * belongs to somebody else and the end may never come (Python's http.server and mini_httpd give scripts the client's
 * own socket).
 */
import { fstatSync, read } from 'node:fs';
import type { OnReadOpts, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { PeerError } from '../../src/errors';
import { netModule } from '../exchange/builtin';
import { RequestBody } from '../exchange/request-body';

const STDIN = 0;

/** Bytes read at a time: the size of a Linux pipe. */
const BLOCK_BYTES = 65536;

/** Bytes that wait for the application to read them; one block, so that reading and working overlap. */
const BUFFERED_BYTES = BLOCK_BYTES;

/**
 * Bytes that wait while the response cannot go on. Apache's mod_cgi and mod_cgid and fcgiwrap do not read the response
 * before they have delivered the body, so somebody must take it; 16 MiB is more than most servers let through.
 */
const READ_AHEAD_BYTES = 16 * 1024 * 1024;

/**
 * Of a body that nobody wants, before the process ends: mod_cgid gives the client no response at all when a script
 * ends with its input unread. The times are those of nginx's lingering_time and lingering_timeout, the bytes what
 * a client sends in that time on an ordinary line.
 */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_MS = 30_000;
const DRAIN_IDLE_MS = 5_000;

export interface RequestInputOptions {
  /** Bytes; undefined: until end-of-file (Apache, which has decoded the chunks of an upload without a length). */
  readonly contentLength: number | undefined;
  readonly maxBodyBytes: number;
}

export class RequestInput {
  readonly #body: RequestBody;
  readonly #maxBodyBytes: number;
  readonly #isFile: boolean;
  #left: number;
  #received = 0;
  #socket: Socket | undefined;
  #bufferedBytes = BUFFERED_BYTES;
  #isReading = false;
  #isOver = false;
  #onDrained: (() => void) | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor({ contentLength, maxBodyBytes }: RequestInputOptions) {
    const stats = fstatSync(STDIN);

    this.#left = contentLength ?? Infinity;
    this.#maxBodyBytes = maxBodyBytes;
    this.#isFile = !stats.isFIFO() && !stats.isSocket();
    this.#body = new RequestBody({ contentLength, maxBodyBytes, onRoom: () => this.#continue() });
  }

  /** `wsgi.input`. */
  get stream(): Readable {
    const { stream } = this.#body;

    this.#continue();
    return stream;
  }

  /** The response waits for its reader, who may be waiting for us to take the body. */
  readAhead(): void {
    this.#bufferedBytes = READ_AHEAD_BYTES;
    this.#continue();
  }

  /** The client is gone: what is missing of the body will never come. */
  abort(reason: PeerError): void {
    this.#body.fail(reason);
    this.#finish();
  }

  /** Nobody reads on: takes the rest away, within limits. */
  drain(onDrained: () => void): void {
    if (this.#onDrained !== undefined) {
      return;
    }
    this.#body.discard();
    if (this.#isOver || this.#left === 0 || this.#isFile) {
      this.#finish();
      onDrained();
      return;
    }
    this.#onDrained = onDrained;
    this.#left = Math.min(this.#left, DRAIN_BYTES);
    setTimeout(this.#finish, DRAIN_MS).unref();
    this.#idleTimer = setTimeout(this.#finish, DRAIN_IDLE_MS);
    this.#continue();
  }

  #continue(): void {
    if (this.#isReading || !this.#wantsMore()) {
      return;
    }
    this.#isReading = true;
    if (this.#isFile) {
      this.#readFile();
    } else if (this.#socket === undefined) {
      this.#socket = this.#openSocket();
    } else {
      this.#socket.resume();
    }
  }

  #wantsMore(): boolean {
    if (this.#isOver || this.#left === 0) {
      return false;
    }
    return (
      this.#onDrained !== undefined ||
      (this.#received <= this.#maxBodyBytes && this.#body.bufferedBytes < this.#bufferedBytes)
    );
  }

  /**
   * Waits in the event loop: a read that blocked in Node's thread pool would keep the process from ending. Destroying
   * it neither closes descriptor 0 (libuv leaves 0 to 2 open) nor shuts the socket down that is descriptor 1, too.
   */
  #openSocket(): Socket {
    const { Socket } = netModule();
    // Asked for a buffer before each read, which never takes more than fits.
    const onread: OnReadOpts = {
      buffer: () => this.#allocate(),
      callback: (length, buffer) => this.#take(buffer, length),
    };
    // @types/node 20 knows `onread` of connections only.
    const options = { fd: STDIN, readable: true, writable: false, onread };
    const socket = new Socket(options);

    socket.on('end', () => this.#end());
    socket.on('error', (error) => this.#fail(error));
    return socket;
  }

  #readFile(): void {
    const buffer = this.#allocate();

    read(STDIN, buffer, 0, buffer.length, null, (error, length) => {
      if (error !== null) {
        this.#fail(error);
      } else if (length === 0) {
        this.#end();
      } else {
        this.#take(buffer, length);
        // Unlike a socket, a file does not read on by itself.
        this.#isReading = false;
        this.#continue();
      }
    });
  }

  #allocate(): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(this.#left, BLOCK_BYTES));
  }

  /** @returns whether to read on. */
  #take(buffer: Uint8Array, length: number): boolean {
    const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);

    this.#left -= length;
    this.#received += length;
    this.#idleTimer?.refresh();
    // A small read must not hold a large buffer for as long as it waits.
    this.#body.push(length < buffer.length / 2 ? Buffer.from(bytes) : bytes);
    if (this.#left === 0) {
      this.#finish();
    }
    this.#isReading = this.#wantsMore();
    return this.#isReading;
  }

  #end(): void {
    this.#body.end();
    this.#finish();
  }

  #fail(error: Error): void {
    this.#body.fail(
      new PeerError('ERR_BODY_TRUNCATED', 'the request body could not be read to its end', { cause: error }),
    );
    this.#finish();
  }

  readonly #finish = (): void => {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    this.#socket?.destroy();
    clearTimeout(this.#idleTimer);
    this.#onDrained?.();
  };
}
