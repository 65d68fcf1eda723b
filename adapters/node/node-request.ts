/** `req`: Node's own IncomingMessage, filled from an environ. */
import { IncomingMessage } from 'node:http';
import { contentLengthOf, requestDetails } from '../../src/gateway/environ';
import { requestTarget } from '../../src/gateway/request-target';
import type { Environ } from '../../src/gateway/types';
import type { GatewaySocket } from './gateway-socket';
import { rawHeadersOf } from './request-headers';

/** `req` as the handler gets it. */
export interface GatewayRequest extends IncomingMessage {
  /** The raw CGI variables, and the gateway's. */
  environ: Environ;
  /** As Express and Connect set them, for an application below a mount point. */
  baseUrl?: string;
  originalUrl?: string;
}

/** The parts of http.IncomingMessage that are not in its types; what http.Server itself uses. */
export interface IncomingInternals {
  _addHeaderLines(headers: string[], count: number): void;
  _dump(): void;
  upgrade: boolean;
  readonly _consuming: boolean;
  readonly _dumped: boolean;
  readonly _readableState: { readonly resumeScheduled: boolean };
}

export type Request = GatewayRequest & IncomingInternals;

export function createRequest(environ: Environ, socket: GatewaySocket): Request {
  // The internals are Node's, in all the versions that the tests name.
  const request = new IncomingMessage(socket) as Request;
  const rawHeaders = rawHeadersOf(environ);
  const isOld = environ.SERVER_PROTOCOL === 'HTTP/1.0';

  request.method = environ.REQUEST_METHOD;
  request.url = requestTarget(environ);
  // These classes speak HTTP/1; behind a proxy they see 1.1 for a client that speaks HTTP/2, too.
  request.httpVersionMajor = 1;
  request.httpVersionMinor = isOld ? 0 : 1;
  request.httpVersion = isOld ? '1.0' : '1.1';
  request._addHeaderLines(rawHeaders, rawHeaders.length);
  request.upgrade = false;
  request.environ = environ;
  if (environ.SCRIPT_NAME !== '') {
    request.baseUrl = environ.SCRIPT_NAME;
    request.originalUrl = environ.REQUEST_URI ?? environ.SCRIPT_NAME + request.url;
  }
  return request;
}

export function hasBody(environ: Environ): boolean {
  const length = contentLengthOf(environ);

  return length === undefined ? requestDetails(environ)?.isChunked === true : length > 0;
}

/** Whether somebody reads, or is about to. */
export function isRead(request: Request): boolean {
  return request._consuming || request._readableState.resumeScheduled;
}
