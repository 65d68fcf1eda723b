/** `res`: Node's own ServerResponse, whose head is taken before it becomes text and whose body is not framed. */
import {
  IncomingMessage,
  ServerResponse,
  STATUS_CODES,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http';
import { Socket } from 'node:net';
import type { Header } from '../../src/gateway/types';
import type { Callback, GatewaySocket } from './gateway-socket';
import { HIGH_WATER_MARK } from './gateway-socket';
import type { Request } from './node-request';

/** Where head and body go. */
export interface ResponseOutput {
  startResponse(status: string, headers: Header[]): void;
  /** The application has ended the response. */
  onEnded(): void;
  /** All of it has been taken. */
  onFinished(): void;
  onError(error: unknown): void;
}

/** The parts of http.OutgoingMessage that are not in its types. */
interface OutgoingInternals {
  _header: string | null;
  _headerSent: boolean;
  _hasBody: boolean;
  _contentLength: number | null;
  _removedContLen: boolean;
  _closed: boolean;
  _storeHeader: (firstLine: string, headers: unknown) => void;
  _send: (data: Data, encoding?: BufferEncoding | null, callback?: Callback | null) => boolean;
  _writeRaw: (data: Data, encoding?: BufferEncoding | Callback | null, callback?: Callback | null) => boolean;
  _finish: () => void;
}

type Data = string | Uint8Array;

export type Response = ServerResponse & OutgoingInternals;

interface Head {
  readonly status: string;
  readonly headers: Header[];
}

const OUTPUT = Symbol('output');
const HEAD = Symbol('head');

type OwnResponse = Response & {
  [OUTPUT]: ResponseOutput;
  /** Between `writeHead` and the first byte. */
  [HEAD]: Head | undefined;
};

const OPTIONS = { highWaterMark: HIGH_WATER_MARK };

export function createResponse(request: Request, output: ResponseOutput, socket: GatewaySocket): Response {
  // The internals are Node's, in all the versions that the tests name; the types know no options.
  const response = new (ServerResponse as unknown as new (request: Request, options: object) => OwnResponse)(
    request,
    OPTIONS,
  );

  response[OUTPUT] = output;
  response[HEAD] = undefined;
  // Own properties, because Express replaces the prototype.
  response._storeHeader = storeHeader;
  response._send = send;
  response._writeRaw = writeRaw;
  response._finish = finish;
  // As for HTTP/1.1: the front end speaks it for us.
  response.useChunkedEncodingByDefault = true;
  response.on('finish', onFinish);
  response.on('error', onError);
  response.assignSocket(socket);
  return response;
}

/** 'drain', unless nobody waits for it. */
export function emitDrain(response: Response): void {
  if (response.writableNeedDrain && NEED_DRAIN !== undefined) {
    (response as unknown as Record<symbol, boolean>)[NEED_DRAIN] = false;
    response.emit('drain');
  }
}

// The functions below are the response's own methods and listeners: `this` is the response.

const prototype = ServerResponse.prototype as unknown as OutgoingInternals;

/** How `writableNeedDrain` knows, and where the headers are: both are Node's, and private. */
const [NEED_DRAIN, OUT_HEADERS] = privateSymbols(['kNeedDrain', 'kOutHeaders']);

/** In place of Node's own: the same rules, but the head stays a list, and says nothing about connection and framing. */
function storeHeader(this: OwnResponse, firstLine: string, headers: unknown): void {
  const builder = new HeadBuilder(this, firstLine);

  if (headers != null) {
    builder.addAll(headers);
  }
  if (builder.hasTrailer && (builder.hasLength || !this._hasBody)) {
    throwNodesError(this, firstLine, headers);
  }
  builder.addLength();
  this[HEAD] = { status: statusOf(this), headers: builder.headers };
  this._header = `${builder.text}\r\n`;
  this._headerSent = false;
}

/** Node says what is wrong with such a head. */
function throwNodesError(response: Response, firstLine: string, headers: unknown): void {
  prototype._storeHeader.call(response, firstLine, headers);
}

function send(
  this: OwnResponse,
  data: Data,
  encoding?: BufferEncoding | null,
  callback?: Callback | null,
): boolean {
  const socket = this.socket as GatewaySocket | null;

  if (socket === null || socket.destroyed) {
    return false;
  }

  const head = this[HEAD];

  if (head !== undefined) {
    this[HEAD] = undefined;
    this._headerSent = true;
    this[OUTPUT].startResponse(head.status, head.headers);
  }
  return socket.write(data, encoding, callback ?? undefined);
}

/** Interim responses (writeContinue, writeProcessing, writeEarlyHints): CGI cannot carry them. */
function writeRaw(
  this: OwnResponse,
  _data: Data,
  encoding?: BufferEncoding | Callback | null,
  callback?: Callback | null,
): boolean {
  const done = typeof encoding === 'function' ? encoding : callback;

  if (typeof done === 'function') {
    process.nextTick(done);
  }
  return true;
}

function finish(this: OwnResponse): void {
  prototype._finish.call(this);
  this[OUTPUT].onEnded();
}

function onFinish(this: OwnResponse): void {
  this[OUTPUT].onFinished();
}

/** Such as a write after the end. Without a listener it would end the process. */
function onError(this: OwnResponse, error: unknown): void {
  if (this.listenerCount('error') === 1) {
    this[OUTPUT].onError(error);
  }
}

/** Names in lower case that are about this hop (RFC 9110 §7.6.1), or CGI's own (RFC 3875 §6.3). */
const DROPPED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'status',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** One head in the making, by the rules of http.OutgoingMessage. */
class HeadBuilder {
  readonly headers: Header[] = [];
  /** For `res._header`, which some loggers read. */
  text: string;
  hasLength = false;
  hasTrailer = false;
  #hasTransferEncoding = false;
  readonly #response: Response;

  constructor(response: Response, firstLine: string) {
    this.#response = response;
    this.text = firstLine;
  }

  /** @param headers `setHeader`'s, or what `writeHead` was given: an object, pairs, or names and values in turn. */
  addAll(headers: unknown): void {
    if (
      OUT_HEADERS !== undefined &&
      headers === (this.#response as unknown as Record<symbol, unknown>)[OUT_HEADERS]
    ) {
      this.#addSet(headers as Record<string, [name: string, value: unknown]>);
    } else if (!Array.isArray(headers)) {
      for (const name of Object.keys(headers as object)) {
        this.#addUnchecked(name, (headers as Record<string, unknown>)[name]);
      }
    } else if (Array.isArray(headers[0])) {
      for (const [name, value] of headers as [string, unknown][]) {
        this.#addUnchecked(name, value);
      }
    } else {
      if (headers.length % 2 !== 0) {
        throwNodesError(this.#response, '', headers);
      }
      for (let index = 0; index < headers.length; index += 2) {
        this.#addUnchecked(headers[index] as string, headers[index + 1]);
      }
    }
  }

  /** The length of a body that was given to `end` as a whole. */
  addLength(): void {
    const { _hasBody: hasBody, _removedContLen: isRemoved, _contentLength: length } = this.#response;

    if (
      hasBody &&
      !isRemoved &&
      !this.hasLength &&
      !this.hasTrailer &&
      !this.#hasTransferEncoding &&
      typeof length === 'number'
    ) {
      this.#push('Content-Length', String(length));
    }
  }

  /** Checked by `setHeader`. */
  #addSet(headers: Record<string, [name: string, value: unknown]>): void {
    for (const lowerName in headers) {
      // The object has no prototype, and an entry for each of its keys.
      const [name, value] = headers[lowerName] as [string, unknown];

      this.#add(lowerName, name, value);
    }
  }

  #addUnchecked(name: string, value: unknown): void {
    validateHeaderName(name);
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      validateHeaderValue(name, one as string);
    }
    this.#add(name.toLowerCase(), name, value);
  }

  #add(lowerName: string, name: string, value: unknown): void {
    if (DROPPED.has(lowerName)) {
      this.hasTrailer ||= lowerName === 'trailer';
      this.#hasTransferEncoding ||= lowerName === 'transfer-encoding';
      return;
    }
    if (lowerName === 'content-length') {
      this.hasLength = true;
      this.#response._contentLength = Number(value);
      this.#response._removedContLen = false;
    }
    if (Array.isArray(value)) {
      for (const one of value) {
        this.#push(name, String(one));
      }
    } else {
      this.#push(name, String(value));
    }
  }

  #push(name: string, value: string): void {
    this.headers.push([name, value]);
    this.text += `${name}: ${value}\r\n`;
  }
}

/** Node allows a reason that is empty, CGI does not. */
function statusOf({ statusCode, statusMessage }: ServerResponse): string {
  const reason = statusMessage.trim() === '' ? (STATUS_CODES[statusCode] ?? 'Unknown') : statusMessage;

  return `${String(statusCode)} ${reason}`;
}

function privateSymbols(names: readonly string[]): (symbol | undefined)[] {
  const symbols = Object.getOwnPropertySymbols(new ServerResponse(new IncomingMessage(new Socket())));

  return names.map((name) => symbols.find(({ description }) => description === name));
}
