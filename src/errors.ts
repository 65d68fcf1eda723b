/**
 * Every error this package throws. `code` is the contract, and docs/errors.md lists each code with its cause
 * and cure. The class says whose fault it is: the peer's (front end or client), or the application's.
 */

export type PeerErrorCode =
  | 'ERR_BODY_TOO_LARGE'
  | 'ERR_BODY_TRUNCATED'
  | 'ERR_CONTENT_LENGTH'
  | 'ERR_LENGTH_REQUIRED'
  | 'ERR_OVERLOADED'
  | 'ERR_PARAMS_MALFORMED'
  | 'ERR_PARAMS_TOO_LARGE'
  | 'ERR_PATH'
  | 'ERR_PEER_GONE'
  | 'ERR_REQUEST_EMPTY'
  | 'ERR_ROLE_UNKNOWN'
  | FastCgiErrorCode;

export type FastCgiErrorCode = 'ERR_FCGI_BEGIN_REQUEST' | 'ERR_FCGI_VERSION';

export type ApplicationErrorCode =
  | 'ERR_BODY_LENGTH'
  | 'ERR_BODY_TYPE'
  | 'ERR_CHUNK_TYPE'
  | 'ERR_HEADER'
  | 'ERR_NO_RESPONSE'
  | 'ERR_RESPONSE_DESTROYED'
  | 'ERR_RESPONSE_ENDED'
  | 'ERR_START_RESPONSE_TWICE'
  | 'ERR_STATUS';

export type SetupErrorCode =
  'ERR_APPLICATION' | 'ERR_BACKEND' | 'ERR_LISTEN' | 'ERR_SOCKET_IN_USE' | 'ERR_SOCKET_PATH' | 'ERR_USAGE';

export type GatewayErrorCode = PeerErrorCode | ApplicationErrorCode | SetupErrorCode;

/* eslint-disable @typescript-eslint/no-useless-constructor -- each narrows the codes its class can have */

/** Base class of every error this package throws. Branch on `code`, not on `message`. */
export class GatewayError extends Error {
  override readonly name: string = 'GatewayError';
  readonly code: GatewayErrorCode;

  constructor(code: GatewayErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The status a peer's fault is answered with while the head has not been sent (RFC 9110 §15). */
const STATUS_OF: Readonly<Partial<Record<GatewayErrorCode, string>>> = {
  ERR_BODY_TOO_LARGE: '413 Content Too Large',
  ERR_LENGTH_REQUIRED: '411 Length Required',
  ERR_OVERLOADED: '503 Service Unavailable',
  ERR_PARAMS_TOO_LARGE: '431 Request Header Fields Too Large',
  ERR_ROLE_UNKNOWN: '501 Not Implemented',
};

/** The front end or the client did something wrong, or left. */
export class PeerError extends GatewayError {
  override readonly name: string = 'PeerError';
  declare readonly code: PeerErrorCode;

  constructor(code: PeerErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }

  /** What the client is told, such as `"413 Content Too Large"`. */
  get status(): string {
    return STATUS_OF[this.code] ?? '400 Bad Request';
  }
}

/** The bytes are not FastCGI: nothing after them can be trusted, the connection is closed. */
export class FastCgiProtocolError extends PeerError {
  override readonly name = 'FastCgiProtocolError';
  declare readonly code: FastCgiErrorCode;

  constructor(code: FastCgiErrorCode, message: string) {
    super(code, message);
  }
}

/** The application broke the interface (PEP 3333 as adapted in docs/spec.md). */
export class ApplicationError extends GatewayError {
  override readonly name = 'ApplicationError';
  declare readonly code: ApplicationErrorCode;

  constructor(code: ApplicationErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
