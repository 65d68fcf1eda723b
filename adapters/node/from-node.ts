/** Node's applications as gateway applications: Express, Connect, Koa, Fastify, `http.Server`, or a plain handler. */
import { EventEmitter } from 'node:events';
import { GatewayError } from '../../src/errors';
import type { Application } from '../../src/gateway/types';
import { NodeExchange } from './node-exchange';
import { listenerOfServer, type NodeServer, type RequestListener } from './node-server';

/** A handler, and the http.Server it belongs to. */
interface Service {
  readonly handler: RequestListener;
  readonly server: NodeServer | undefined;
}

/** What `fromNode` takes besides a function. */
interface NodeApplication {
  readonly callback?: unknown; // Koa
  readonly routing?: unknown; // Fastify
  readonly ready?: unknown;
  readonly server?: unknown;
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
  const service = serviceOf(handler);

  return (environ, startResponse) => {
    const exchange = new NodeExchange(environ, startResponse, service.server);

    exchange.run(service.handler);
    // A response that is already complete needs no body to wait for.
    return exchange.isOver ? null : exchange;
  };
}

function serviceOf(handler: RequestListener | object): Service {
  if (typeof handler === 'function') {
    return { handler: handler as RequestListener, server: undefined };
  }

  const application = handler as NodeApplication;

  if (typeof application.callback === 'function') {
    return { handler: (application.callback as () => RequestListener)(), server: undefined };
  }
  if (typeof application.routing === 'function' && typeof application.ready === 'function') {
    return {
      handler: fastifyListener(
        application.routing as RequestListener,
        // Fastify 5.12 looks at `this`.
        application.ready.bind(handler) as () => PromiseLike<unknown>,
      ),
      server: application.server as NodeServer | undefined,
    };
  }
  if (handler instanceof EventEmitter) {
    return { handler: listenerOfServer(handler), server: handler };
  }
  if (typeof application.handle === 'function') {
    return { handler: application.handle.bind(handler) as RequestListener, server: undefined };
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
