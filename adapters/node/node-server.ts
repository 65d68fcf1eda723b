/** What http.Server does with a request before and beside the handler. */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from './node-request';
import type { Response } from './node-response';

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** An http.Server, as far as it matters here. */
export interface NodeServer extends EventEmitter {
  /** Milliseconds that a connection may be silent; 0: any time. */
  readonly timeout?: number;
}

/** RFC 9110 §10.1.1 knows one expectation. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/**
 * Calls the handler, or answers in its place, as http.Server does.
 * @returns what the handler returned.
 */
export function dispatch(
  request: Request,
  response: Response,
  handler: RequestListener,
  server: NodeServer | undefined,
): unknown {
  const expect = request.environ['HTTP_EXPECT'];

  if (typeof expect !== 'string' || request.httpVersionMinor === 0) {
    return handler(request, response);
  }
  if (CONTINUE.test(expect)) {
    // The front end has sent the 100 already.
    return server !== undefined && server.listenerCount('checkContinue') > 0
      ? server.emit('checkContinue', request, response)
      : handler(request, response);
  }
  if (server !== undefined && server.listenerCount('checkExpectation') > 0) {
    return server.emit('checkExpectation', request, response);
  }
  response.writeHead(417);
  return response.end();
}

/** An http.Server's listeners of 'request' as one function. */
export function listenerOfServer(server: NodeServer): RequestListener {
  return (request, response) => {
    const [only, ...others] = server.rawListeners('request');

    // Called by hand, because emit() keeps the promise of an asynchronous listener for itself.
    return only !== undefined && others.length === 0 && server.emit === EventEmitter.prototype.emit
      ? (only as RequestListener).call(server, request, response)
      : server.emit('request', request, response);
  };
}
