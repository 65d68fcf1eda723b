/** Node's applications as gateway applications: Express, Connect, Koa, Fastify, `http.Server`, or a plain handler. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../../src/errors';
import type { Application, Body } from '../../src/gateway/types';
import { NodeExchange } from './node-exchange';

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** What `fromNode` takes besides a function. */
interface NodeApplication {
  readonly callback?: unknown; // Koa
  readonly routing?: unknown; // Fastify
  readonly ready?: unknown;
  readonly emit?: unknown; // http.Server
  readonly handle?: unknown; // Connect and its kind, when it is an object
}

/**
 * Makes a gateway application of a Node one. `req` and `res` are node:http's own classes; the CGI variables are on
 * `req.environ`. A handler that throws, or whose promise is rejected, costs a 500.
 *
 * @param handler a `(req, res)` function, an Express or Connect application, a Koa or Fastify instance, an `http.Server`.
 * @throws {GatewayError} `ERR_APPLICATION` for anything else.
 */
export function fromNode(handler: RequestListener | object): Application {
  const listener = listenerOf(handler);

  return (environ, startResponse) => {
    const exchange = new NodeExchange(environ, startResponse);

    return call(listener, exchange);
  };
}

function call(listener: RequestListener, exchange: NodeExchange): Body {
  const result = listener(exchange.request, exchange.response);

  exchange.onHandled();
  if (isThenable(result)) {
    Promise.resolve(result).catch((error: unknown) => {
      exchange.fail(error);
    });
  }
  // A response that is already complete needs no body to wait for.
  return exchange.hasEnded ? null : exchange;
}

function listenerOf(handler: RequestListener | object): RequestListener {
  if (typeof handler === 'function') {
    return handler as RequestListener;
  }

  const application = handler as NodeApplication;

  if (typeof application.callback === 'function') {
    return (application.callback as () => RequestListener)();
  }
  if (typeof application.routing === 'function' && typeof application.ready === 'function') {
    return fastifyListener(
      application.routing as RequestListener,
      application.ready as () => PromiseLike<unknown>,
    );
  }
  if (typeof application.emit === 'function') {
    const emit = application.emit as (event: string, ...args: unknown[]) => boolean;

    return (request, response) => emit.call(handler, 'request', request, response);
  }
  throw new GatewayError(
    'ERR_APPLICATION',
    'neither a (req, res) function nor an Express, Koa or Fastify application',
  );
}

/** Fastify has no routes before its plugins are loaded. */
function fastifyListener(routing: RequestListener, ready: () => PromiseLike<unknown>): RequestListener {
  let isReady = false;

  return (request, response) => {
    if (isReady) {
      return routing(request, response);
    }
    return Promise.resolve(ready()).then(() => {
      isReady = true;
      return routing(request, response);
    });
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
