/**
 * What `req.socket` is behind a gateway: the addresses of client and server, and the way out for the response. It has
 * net.Socket's prototype, because libraries ask for it, and none of its machinery: there is no socket.
 */
import { EventEmitter } from 'node:events';
import { Socket, type AddressInfo } from 'node:net';
import type { Environ } from '../../src/gateway/types';

type Callback = (error?: Error | null) => void;

/** What the socket leads to. */
export interface SocketOutput {
  /** Body bytes, or what comes before the head: interim responses. @returns false when the peer can take no more. */
  write(
    data: string | Uint8Array,
    encoding: BufferEncoding | undefined,
    callback: Callback | undefined,
  ): boolean;
  /** The application wants to read the body. */
  resumeInput(): void;
  pauseInput(): void;
  /** The application, or Node's own classes, gave the connection up. */
  onSocketDestroyed(error: Error | undefined): void;
  /** Bytes that were passed on and not yet taken. */
  readonly pendingBytes: number;
}

/** As Node's own sockets. */
const HIGH_WATER_MARK = 65536;

class BareSocket extends EventEmitter {
  readonly #environ: Environ;
  readonly #output: SocketOutput;
  #timer: NodeJS.Timeout | undefined;
  #bytesWritten = 0;

  destroyed = false;
  readable = true;
  writable = true;
  readonly connecting = false;
  readonly pending = false;
  readonly readableHighWaterMark = HIGH_WATER_MARK;
  readonly writableHighWaterMark = HIGH_WATER_MARK;
  writableCorked = 0;
  writableEnded = false;
  timeout = 0;
  allowHalfOpen = true;
  /** TLS sockets have it; Express's `req.secure`, Koa's `ctx.secure` and Fastify's `protocol` go by it. */
  readonly encrypted: boolean;
  // What http.OutgoingMessage touches.
  readonly _writableState = { corked: 0, finished: false, errorEmitted: false, closed: false };
  readonly _readableState = { endEmitted: false, errorEmitted: false, closed: false };
  _httpMessage: unknown = null;
  readonly parser = null;
  readonly server = undefined;
  readonly _handle = null;

  constructor(environ: Environ, output: SocketOutput) {
    super();
    this.#environ = environ;
    this.#output = output;
    this.encrypted = environ['wsgi.url_scheme'] === 'https';
  }

  get remoteAddress(): string | undefined {
    return this.#text('REMOTE_ADDR');
  }

  get remotePort(): number | undefined {
    return this.#port('REMOTE_PORT');
  }

  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return familyOf(this.remoteAddress);
  }

  get localAddress(): string | undefined {
    return this.#text('SERVER_ADDR');
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

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  get bytesRead(): number {
    return 0;
  }

  get bufferSize(): number {
    return this.#output.pendingBytes;
  }

  get writableLength(): number {
    return this.#output.pendingBytes;
  }

  get readableLength(): number {
    return 0;
  }

  get writableNeedDrain(): boolean {
    return this.#output.pendingBytes >= HIGH_WATER_MARK;
  }

  get writableFinished(): boolean {
    return this._writableState.finished;
  }

  get readyState(): string {
    return this.destroyed ? 'closed' : 'open';
  }

  get closed(): boolean {
    return this._writableState.closed;
  }

  get errored(): Error | null {
    return null;
  }

  write(data: string | Uint8Array, encoding?: BufferEncoding | Callback, callback?: Callback): boolean {
    const isCallback = typeof encoding === 'function';

    this.#bytesWritten += data.length;
    this.#touch();
    return this.#output.write(data, isCallback ? undefined : encoding, isCallback ? encoding : callback);
  }

  end(): this {
    this.destroySoon();
    return this;
  }

  destroySoon(): void {
    this.destroy();
  }

  resetAndDestroy(): this {
    return this.destroy();
  }

  destroy(error?: Error): this {
    if (!this.destroyed) {
      this.destroyed = true;
      this.readable = false;
      this.writable = false;
      clearTimeout(this.#timer);
      this.#output.onSocketDestroyed(error);
      process.nextTick(() => {
        this._writableState.closed = true;
        this._readableState.closed = true;
        this.emit('close', error !== undefined);
      });
    }
    return this;
  }

  resume(): this {
    this.#touch();
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
    this.writableCorked++;
  }

  uncork(): void {
    this.writableCorked = 0;
  }

  /** @param delayMs milliseconds without a write or read; 0 switches it off. */
  setTimeout(delayMs: number, callback?: () => void): this {
    this.timeout = delayMs;
    clearTimeout(this.#timer);
    if (delayMs > 0) {
      this.#timer = setTimeout(() => {
        this.emit('timeout');
      }, delayMs).unref();
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

  #touch(): void {
    this.#timer?.refresh();
  }

  #text(name: string): string | undefined {
    const value = this.#environ[name];

    return typeof value === 'string' ? value : undefined;
  }

  #port(name: string): number | undefined {
    const value = Number(this.#text(name));

    return Number.isInteger(value) ? value : undefined;
  }
}

Object.setPrototypeOf(BareSocket.prototype, Socket.prototype);

export type GatewaySocket = BareSocket & Socket;

export function createSocket(environ: Environ, output: SocketOutput): GatewaySocket {
  // Its prototype chain was given net.Socket's just above.
  return new BareSocket(environ, output) as unknown as GatewaySocket;
}

function familyOf(address: string | undefined): 'IPv4' | 'IPv6' | undefined {
  if (address === undefined) {
    return undefined;
  }
  return address.includes(':') ? 'IPv6' : 'IPv4';
}
