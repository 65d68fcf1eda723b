/**
 * Builds the environ from the name-value pairs a web server sent. This is the border: what passes here is trusted
 * inside, so every rule about names, repetitions and lengths lives in this file. docs/design.md §1 lists the rules.
 */
import type { Readable, Writable } from 'node:stream';
import { PeerError } from '../errors';
import { parseContentLength } from './grammar';
import { repairPaths, repairServer, type RepairOptions } from './quirks';
import type { Environ, FileWrapper, RoleName } from './types';

/** The parts of an environ that are made when the application first touches them. */
export interface RequestObjects {
  readonly input: Readable;
  readonly errors: Writable;
  readonly signal: AbortSignal;
  afterResponse(task: () => unknown): void;
}

/** What a server knows of itself; the same for each of its requests. */
export interface ServerFacts extends RepairOptions {
  readonly multiprocess: boolean;
  readonly runOnce: boolean;
  readonly fileWrapper: FileWrapper;
}

/** PEP 3333: the version of the interface. */
const WSGI_VERSION = Object.freeze([1, 0] as const);

const HEADER_NAME = /^HTTP_[A-Z0-9_]+$/;

/** RFC 3875 §4.1 and PEP 3333 want these, even if they are empty. */
const PRESENT_WHEN_EMPTY: ReadonlySet<string> = new Set(['SCRIPT_NAME', 'PATH_INFO', 'QUERY_STRING']);

/**
 * `HTTP_PROXY` is httpoxy (CVE-2016-5385). The others speak of the hop between client and front end, which has
 * ended there (RFC 9110 §7.6.1); believed here they would contradict CONTENT_LENGTH and CONTENT_TYPE.
 */
const DROPPED: ReadonlySet<string> = new Set([
  'HTTP_PROXY',
  'HTTP_CONNECTION',
  'HTTP_CONTENT_LENGTH',
  'HTTP_CONTENT_TYPE',
  'HTTP_KEEP_ALIVE',
  'HTTP_PROXY_CONNECTION',
  'HTTP_TE',
  'HTTP_TRAILER',
  'HTTP_TRANSFER_ENCODING',
  'HTTP_UPGRADE',
]);

/** Keys that only the gateway sets; a parameter of such a name would be taken for its word. */
const RESERVED = /^(?:wsgi|postern|fastcgi)\./;

/** What PEP 3333 has no key for and a bridge to another interface wants to know. */
export interface RequestDetails {
  /** There is a body whose length nobody knows. */
  readonly isChunked: boolean;
  /** The lines of each header that came more than once. */
  readonly repeatedHeaders: ReadonlyMap<string, readonly string[]> | undefined;
}

/**
 * A symbol, so that `{...environ}` keeps it and nobody meets it by name; a registered one, because the bundles for CGI
 * hold a copy of this module.
 */
const DETAILS = Symbol.for('postern.details');

/** @returns undefined for the ordinary request: a known length or no body, each header once. */
export function requestDetails(environ: Environ): RequestDetails | undefined {
  return (environ as { readonly [DETAILS]?: RequestDetails })[DETAILS];
}

/** What becomes of a pair, by its name. */
const Kind = { LAST_WINS: 0, JOINED: 1, CONTENT_LENGTH: 2, TRANSFER_ENCODING: 3, DROPPED: 4 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

/** Names already judged. They come from clients too, so there is an end to them. */
const KINDS = new Map<string, Kind>();
const MAX_KINDS = 500;
const MAX_NAME_LENGTH = 64;

function learnKind(name: string): Kind {
  const kind = kindOf(name);

  if (KINDS.size < MAX_KINDS && name.length <= MAX_NAME_LENGTH) {
    KINDS.set(name, kind);
  }
  return kind;
}

function kindOf(name: string): Kind {
  if (name === 'CONTENT_LENGTH') {
    return Kind.CONTENT_LENGTH;
  }
  if (name === 'HTTP_TRANSFER_ENCODING') {
    return Kind.TRANSFER_ENCODING;
  }
  if (name.startsWith('HTTP_')) {
    if (DROPPED.has(name) || !HEADER_NAME.test(name)) {
      return Kind.DROPPED;
    }
    return name === 'HTTP_HOST' ? Kind.LAST_WINS : Kind.JOINED;
  }
  // nginx sends its default and then the administrator's value, so the last one counts.
  return name === '' || RESERVED.test(name) ? Kind.DROPPED : Kind.LAST_WINS;
}

/** One environ in the making: `add` for each pair in the order sent, then `finish`. */
export class EnvironBuilder {
  readonly #environ: Environ;
  readonly #facts: ServerFacts;
  #contentLength = '';
  #transferEncoding = '';
  #isLengthUnknown = false;
  #repeatedHeaders: Map<string, string[]> | undefined;

  constructor(objects: RequestObjects, facts: ServerFacts) {
    this.#environ = createEnviron(objects, facts);
    this.#facts = facts;
  }

  /** As far as it is built; for the log when `finish` has thrown. */
  get environ(): Environ {
    return this.#environ;
  }

  /** `HTTP_TRANSFER_ENCODING`, which the application does not see. */
  get transferEncoding(): string {
    return this.#transferEncoding;
  }

  /** @throws {PeerError} `ERR_CONTENT_LENGTH` */
  add(name: string, value: string): void {
    switch (KINDS.get(name) ?? learnKind(name)) {
      case Kind.LAST_WINS:
        this.#set(name, value);
        return;
      case Kind.JOINED:
        this.#addHeader(name, value);
        return;
      case Kind.CONTENT_LENGTH:
        this.#addContentLength(value);
        return;
      case Kind.TRANSFER_ENCODING:
        this.#transferEncoding = value;
        return;
      case Kind.DROPPED:
        return;
    }
  }

  #addHeader(name: string, value: string): void {
    if (value === '') {
      return;
    }

    const environ = this.#environ;
    const earlier = environ[name];

    if (typeof earlier === 'string') {
      this.#noteRepeated(name, earlier, value);
    }
    // RFC 9110 §5.3 for lists, RFC 6265 §5.4 for cookies.
    environ[name] =
      typeof earlier === 'string' ? `${earlier}${name === 'HTTP_COOKIE' ? '; ' : ', '}${value}` : value;
  }

  #noteRepeated(name: string, earlier: string, value: string): void {
    const repeated = (this.#repeatedHeaders ??= new Map<string, string[]>());
    const lines = repeated.get(name);

    if (lines === undefined) {
      repeated.set(name, [earlier, value]);
    } else {
      lines.push(value);
    }
  }

  #addContentLength(value: string): void {
    // Empty: nginx without a body. -1: Caddy's word for a length it does not know.
    if (value === '' || value === '-1') {
      this.#isLengthUnknown ||= value === '-1';
      return;
    }
    if (this.#contentLength !== '' && this.#contentLength !== value) {
      throw new PeerError('ERR_CONTENT_LENGTH', 'two different values of CONTENT_LENGTH');
    }
    this.#contentLength = value;
  }

  #set(name: string, value: string): void {
    if (value !== '' || PRESENT_WHEN_EMPTY.has(name)) {
      this.#environ[name] = value;
    } else if (name in this.#environ) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- a dictionary, by design
      delete this.#environ[name];
    }
  }

  /**
   * @returns the environ, complete.
   * @throws {PeerError} `ERR_CONTENT_LENGTH`, `ERR_PATH`
   */
  finish(): Environ {
    const environ = this.#environ;

    if (this.#contentLength !== '') {
      environ.CONTENT_LENGTH = checkContentLength(this.#contentLength);
    }
    this.#addDetails(environ);
    environ['wsgi.url_scheme'] = schemeOf(environ);
    repairPaths(environ, this.#facts);
    repairServer(environ);
    rejectNul(environ);
    return environ;
  }

  #addDetails(environ: Environ): void {
    const repeatedHeaders = this.#repeatedHeaders;
    const isChunked = this.#contentLength === '' && (this.#isLengthUnknown || this.#transferEncoding !== '');

    if (isChunked || repeatedHeaders !== undefined) {
      (environ as { [DETAILS]?: RequestDetails })[DETAILS] = { isChunked, repeatedHeaders };
    }
  }
}

/** The body's length in bytes, where it is known. */
export function contentLengthOf(environ: Environ): number | undefined {
  return environ.CONTENT_LENGTH === undefined ? undefined : Number(environ.CONTENT_LENGTH);
}

/** FastCGI only. */
export function setRole(environ: Environ, role: RoleName): void {
  environ['fastcgi.role'] = role;
}

/** Where the accessors of an environ find what they give. */
const OBJECTS = Symbol('postern.objects');

interface WithObjects {
  readonly [OBJECTS]: RequestObjects;
}

function getInput(this: WithObjects): Readable {
  return this[OBJECTS].input;
}

function getErrors(this: WithObjects): Writable {
  return this[OBJECTS].errors;
}

function getSignal(this: WithObjects): AbortSignal {
  return this[OBJECTS].signal;
}

function setInput(this: object, value: unknown): void {
  redefine(this, 'wsgi.input', value);
}

function setErrors(this: object, value: unknown): void {
  redefine(this, 'wsgi.errors', value);
}

function setSignal(this: object, value: unknown): void {
  redefine(this, 'postern.signal', value);
}

const INPUT = { get: getInput, set: setInput, enumerable: true, configurable: true };
const ERRORS = { get: getErrors, set: setErrors, enumerable: true, configurable: true };
const SIGNAL = { get: getSignal, set: setSignal, enumerable: true, configurable: true };

/**
 * The accessors are own and enumerable, so that `{...environ}` copies what they give; assigning to one makes it
 * plain data, as a middleware that replaces `wsgi.input` expects. Their functions are the same for all requests:
 * V8 keeps accessors in its old space, and closures there would keep every request alive until the next full
 * collection (a quarter of the CPU time of a small GET).
 */
function createEnviron(objects: RequestObjects, facts: ServerFacts): Environ {
  // A literal with __proto__: null has exactly the keys written here; the CGI variables of the type come by add().
  const environ = {
    __proto__: null,
    [OBJECTS]: objects,
    'wsgi.version': WSGI_VERSION,
    'wsgi.url_scheme': 'http',
    'wsgi.multithread': false,
    'wsgi.multiprocess': facts.multiprocess,
    'wsgi.run_once': facts.runOnce,
    'wsgi.file_wrapper': facts.fileWrapper,
    'postern.after_response': (task: () => unknown) => {
      objects.afterResponse(task);
    },
  } as unknown as Environ;

  Object.defineProperty(environ, 'wsgi.input', INPUT);
  Object.defineProperty(environ, 'wsgi.errors', ERRORS);
  Object.defineProperty(environ, 'postern.signal', SIGNAL);
  return environ;
}

/** Makes `fastcgi.data` an accessor like the others. */
export function defineData(environ: Environ, data: () => Readable): void {
  Object.defineProperty(environ, 'fastcgi.data', {
    get: data,
    set(value) {
      redefine(this as object, 'fastcgi.data', value);
    },
    enumerable: true,
    configurable: true,
  });
}

function redefine(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function checkContentLength(value: string): string {
  const length = parseContentLength(value);

  if (length === undefined) {
    throw new PeerError(
      'ERR_CONTENT_LENGTH',
      'CONTENT_LENGTH is not a number in decimal digits (RFC 3875 §4.1.2)',
    );
  }
  return String(length);
}

/** Only the variable `HTTPS` counts: a client's header `Https: on` arrives as HTTP_HTTPS. */
function schemeOf(environ: Environ): 'http' | 'https' {
  const https = environ['HTTPS'];

  if (typeof https === 'string' && /^(?:on|1|yes)$/i.test(https)) {
    return 'https';
  }
  return environ['REQUEST_SCHEME'] === 'https' ? 'https' : 'http';
}

/** HAProxy 2.6.12 and h2o 2.2.5 deliver `%00` decoded; no file system and no C library downstream survives it. */
function rejectNul(environ: Environ): void {
  if (environ.PATH_INFO.includes('\0') || environ.SCRIPT_NAME.includes('\0')) {
    throw new PeerError('ERR_PATH', 'the path contains a NUL byte');
  }
}
