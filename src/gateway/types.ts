/**
 * The application interface: PEP 3333 in TypeScript, with two changes. Everything may be asynchronous, and
 * `excInfo` is the caught error itself.
 */
import type { Readable, Writable } from 'node:stream';
import type { FileHandle } from 'node:fs/promises';

/** One block of a body. A string is sent as UTF-8. Bytes are not copied: they must not be changed afterwards. */
export type Chunk = string | Uint8Array;

/** A bare string or `Uint8Array` is one chunk and is never iterated. */
export type Body = null | undefined | Chunk | Iterable<Chunk> | AsyncIterable<Chunk>;

/** PEP 3333's imperative `write()`: passes a chunk on at once, without waiting for the peer. */
export type Write = (chunk: Chunk) => void;

export type Header = readonly [name: string, value: string];
export type Headers = readonly Header[];

/**
 * Begins the response; nothing is sent before the first non-empty chunk, the first `write()`, or the end.
 *
 * @param status three digits 100–999, a space and a reason: `"200 OK"`.
 * @param excInfo the error that made the application change its mind; replaces status and headers while
 *   they have not been sent, and is thrown back at the caller after that.
 * @throws {ApplicationError} `ERR_STATUS`, `ERR_HEADER`, `ERR_START_RESPONSE_TWICE`
 */
export type StartResponse = (status: string, headers: Headers, excInfo?: unknown) => Write;

export type Application = (environ: Environ, startResponse: StartResponse) => Body | Promise<Body>;

/** What `wsgi.file_wrapper` takes: a stream, an open file, or a path. */
export type FileSource = Readable | FileHandle | string;

/** @param blockSize bytes read at a time; default 65536. */
export type FileWrapper = (source: FileSource, blockSize?: number) => Body;

/** FastCGI §6: what the front end asks of the application. */
export type RoleName = 'RESPONDER' | 'AUTHORIZER' | 'FILTER';

/**
 * One request: a null-prototype object of own enumerable properties. CGI variables (RFC 3875 §4.1) and
 * `HTTP_*` are native strings as in PEP 3333: each code point is one byte, 0x00–0xFF.
 */
export interface Environ {
  REQUEST_METHOD: string;
  /** The mount point, decoded; `""` at the root. */
  SCRIPT_NAME: string;
  /** The path below the mount point, decoded; `""` or begins with a slash. */
  PATH_INFO: string;
  QUERY_STRING: string;
  SERVER_NAME: string;
  SERVER_PORT: string;
  SERVER_PROTOCOL: string;
  /** The request target as the client wrote it, path and query; absent on a few CGI hosts. */
  REQUEST_URI?: string;
  CONTENT_TYPE?: string;
  /** Decimal digits; absent while the length is not known. */
  CONTENT_LENGTH?: string;
  REMOTE_ADDR?: string;
  HTTP_HOST?: string;

  'wsgi.version': readonly [1, 0];
  'wsgi.url_scheme': 'http' | 'https';
  /** Exactly the request body. A body that stops short of its length is an error on the stream. */
  'wsgi.input': Readable;
  /** The error log. */
  'wsgi.errors': Writable;
  'wsgi.multithread': boolean;
  'wsgi.multiprocess': boolean;
  'wsgi.run_once': boolean;
  'wsgi.file_wrapper': FileWrapper;
  /** Aborted when the client or the front end gives up. */
  'postern.signal': AbortSignal;
  /** Registers work for when the response is complete; a graceful stop waits for it. */
  'postern.after_response': (task: () => unknown) => void;
  'fastcgi.role'?: RoleName;
  /** The file a FILTER works on (FastCGI §6.4). */
  'fastcgi.data'?: Readable;

  [header: `HTTP_${string}`]: string | undefined;
  [variable: string]: unknown;
}
