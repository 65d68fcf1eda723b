/**
 * What `req.socket` is behind a gateway: the addresses of client and server, and the way out for the response. It has
 * net.Socket's prototype, because libraries ask for it, and none of its machinery: there is no socket.
 */
import { EventEmitter } from 'node:events';
import { Socket, type AddressInfo } from 'node:net';
import { getDefaultHighWaterMark } from 'node:stream';
import type { Environ } from '../../src/gateway/types';
import type { NodeServer } from './node-server';

export type Callback = (error?: Error | null) => void;

/** What the socket leads to. */
export interface SocketOutput {
  /** @returns false when the peer can take no more. */
  write(data: string | Uint8Array, encoding: BufferEncoding | null | undefined, callback?: Callback): boolean;
  /** Nothing holds the written bytes back any longer. */
  flush(): void;
  /** The application wants to read the body. */
  resumeInput(): void;
  pauseInput(): void;
  /** The application, or one of Node's own classes, gave the connection up. */
  onSocketDestroyed(error: Error | undefined): void;
  /** Just before 'close'. */
  onSocketClosed(): void;
  onSocketTimeout(): void;
  /** Bytes that were passed on and not yet taken. */
  readonly pendingBytes: number;
}

/** Bytes passed on before `write` says that it is enough: Node's own, 16 KiB in Node 20, 64 KiB from Node 22. */
export const HIGH_WATER_MARK = getDefaultHighWaterMark(false);

/** What Node's stream functions (`finished`, `pipeline`) and http.OutgoingMessage look at; one for both sides. */
interface StreamState {
  corked: number;
  flowing: boolean;
  ended: boolean;
  finished: boolean;
  endEmitted: boolean;
  errorEmitted: boolean;
  errored: Error | null;
  closed: boolean;
  readonly autoDestroy: true;
  readonly emitClose: true;
}

class BareSocket extends EventEmitter {
  readonly #environ: Environ;
  readonly #output: SocketOutput;
  readonly #state: StreamState = {
    corked: 0,
    flowing: true,
    ended: false,
    finished: false,
    endEmitted: false,
    errorEmitted: false,
    errored: null,
    closed: false,
    autoDestroy: true,
    emitClose: true,
  };
  #timer: NodeJS.Timeout | undefined;
  #bytesWritten = 0;

  destroyed = false;
  readable = true;
  writable = true;
  timeout = 0;
  /** The response that has the socket, for http.OutgoingMessage. */
  _httpMessage: unknown = null;
  /** As on sockets of an http.Server. */
  server: NodeServer | undefined;

  constructor(environ: Environ, output: SocketOutput, server: NodeServer | undefined) {
    super();
    this.#environ = environ;
    this.#output = output;
    this.server = server;
  }

  get _writableState(): StreamState {
    return this.#state;
  }

  get _readableState(): StreamState {
    return this.#state;
  }

  /** TLS sockets have it; Express's `req.secure`, Koa's `ctx.secure` and Fastify's `protocol` go by it. */
  get encrypted(): boolean {
    return this.#environ['wsgi.url_scheme'] === 'https';
  }

  get remoteAddress(): string | undefined {
    return this.#address('REMOTE_ADDR');
  }

  get remotePort(): number | undefined {
    return this.#port('REMOTE_PORT');
  }

  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return familyOf(this.remoteAddress);
  }

  get localAddress(): string | undefined {
    return this.#address('SERVER_ADDR');
  }

  get localPort(): number | undefined {
    return this.#port('SERVER_PORT');
  }

  get localFamily(): 'IPv4' | 'IPv6' | undefined {
    return familyOf(this.localAddress);
  }

  address(): AddressInfo | Record<string, never> {
    const { localAddress: address, localPort: port, localFamily: family } = this;

    return address === undefined || port === undefined || family === undefined
      ? {}
      : { address, port, family };
  }

  get connecting(): boolean {
    return false;
  }

  get pending(): boolean {
    return false;
  }

  get allowHalfOpen(): boolean {
    return true;
  }

  get parser(): null {
    return null;
  }

  get _handle(): null {
    return null;
  }

  /** Of the response's body; the head is the front end's to write. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  get bytesRead(): number {
    return 0;
  }

  get bufferSize(): number {
    return this.#output.pendingBytes;
  }

  get readableHighWaterMark(): number {
    return HIGH_WATER_MARK;
  }

  get writableHighWaterMark(): number {
    return HIGH_WATER_MARK;
  }

  get writableLength(): number {
    return this.#output.pendingBytes;
  }

  get writableNeedDrain(): boolean {
    return this.#output.pendingBytes >= HIGH_WATER_MARK;
  }

  get writableCorked(): number {
    return this.#state.corked;
  }

  get writableEnded(): boolean {
    return this.#state.ended;
  }

  get writableFinished(): boolean {
    return this.#state.finished;
  }

  get readableLength(): number {
    return 0;
  }

  get readableEnded(): boolean {
    return this.#state.endEmitted;
  }

  get readableFlowing(): boolean {
    return this.#state.flowing;
  }

  get readyState(): string {
    return this.destroyed ? 'closed' : 'open';
  }

  get closed(): boolean {
    return this.#state.closed;
  }

  get errored(): Error | null {
    return this.#state.errored;
  }

  write(
    data: string | Uint8Array,
    encoding?: BufferEncoding | null | Callback,
    callback?: Callback,
  ): boolean {
    const isCallback = typeof encoding === 'function';

    this.#bytesWritten += data.length;
    this.#timer?.refresh();
    return this.#output.write(data, isCallback ? undefined : encoding, isCallback ? encoding : callback);
  }

  end(data?: unknown, encoding?: unknown, callback?: unknown): this {
    const onFinish = [data, encoding, callback].find((value) => typeof value === 'function');

    if (onFinish !== undefined) {
      this.once('finish', onFinish as () => void);
    }
    this.#state.ended = true;
    this.#state.finished = true;
    this.writable = false;
    process.nextTick(() => this.emit('finish'));
    return this.destroy();
  }

  destroySoon(): void {
    this.destroy();
  }

  resetAndDestroy(): this {
    return this.destroy();
  }

  /** As in Node, it is closed at once, and tells so in a turn of its own. */
  destroy(error?: Error): this {
    if (!this.destroyed) {
      const state = this.#state;

      this.destroyed = true;
      this.readable = false;
      this.writable = false;
      state.closed = true;
      clearTimeout(this.#timer);
      this.#output.onSocketDestroyed(error);
      // http.Server hears every error of its sockets, so none ends the process.
      if (error != null && this.listenerCount('error') > 0) {
        state.errored = error;
        process.nextTick(emitError, this, state);
      }
      if (this.listenerCount('close') > 0) {
        setImmediate(emitClose, this, this.#output, error != null);
      }
    }
    return this;
  }

  resume(): this {
    this.#timer?.refresh();
    this.#output.resumeInput();
    return this;
  }

  pause(): this {
    this.#output.pauseInput();
    return this;
  }

  isPaused(): boolean {
    return false;
  }

  cork(): void {
    this.#state.corked++;
  }

  uncork(): void {
    if (this.#state.corked > 0) {
      this.#state.corked--;
      if (this.#state.corked === 0) {
        this.#output.flush();
      }
    }
  }

  /** @param delayMs milliseconds without a write or read; 0 switches it off. */
  setTimeout(delayMs: number, callback?: () => void): this {
    if (this.destroyed) {
      return this;
    }
    this.timeout = delayMs;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (delayMs > 0) {
      this.#timer = setTimeout(onTimeout, delayMs, this, this.#output).unref();
      if (callback !== undefined) {
        this.once('timeout', callback);
      }
    } else if (callback !== undefined) {
      this.removeListener('timeout', callback);
    }
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setEncoding(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** nginx has `unix:` for a client on a Unix socket, where Node has nothing. */
  #address(name: string): string | undefined {
    const value = this.#environ[name];

    return typeof value === 'string' && value !== 'unix:' ? value : undefined;
  }

  #port(name: string): number | undefined {
    const value = this.#environ[name];
    const port = typeof value === 'string' && value !== '' ? Number(value) : NaN;

    return Number.isInteger(port) ? port : undefined;
  }
}

Object.setPrototypeOf(BareSocket.prototype, Socket.prototype);

export type GatewaySocket = BareSocket & Socket;

export function createSocket(
  environ: Environ,
  output: SocketOutput,
  server: NodeServer | undefined,
): GatewaySocket {
  // Its prototype chain was given net.Socket's just above.
  return new BareSocket(environ, output, server) as unknown as GatewaySocket;
}

function emitError(socket: BareSocket, state: StreamState): void {
  state.errorEmitted = true;
  socket.emit('error', state.errored);
}

function emitClose(socket: BareSocket, output: SocketOutput, hadError: boolean): void {
  output.onSocketClosed();
  socket.emit('close', hadError);
}

function onTimeout(socket: BareSocket, output: SocketOutput): void {
  // First, as the listener that http.Server adds before anybody else can.
  output.onSocketTimeout();
  socket.emit('timeout');
}

function familyOf(address: string | undefined): 'IPv4' | 'IPv6' | undefined {
  if (address === undefined) {
    return undefined;
  }
  return address.includes(':') ? 'IPv6' : 'IPv4';
}
