/** Fetch handlers as gateway applications: Hono, h3, any `{ fetch(request) }` of the WinterTC kind. */
import { ApplicationError, GatewayError } from '../../src/errors';
import { isForbiddenHeader } from '../../src/gateway/grammar';
import { hasNoBody } from '../../src/gateway/response';
import { statusText } from '../../src/gateway/status';
import type { Application, Body, Environ, Header, StartResponse } from '../../src/gateway/types';
import { createRequest } from './request';
import { ResponseBody } from './response-body';

/** The second argument of a fetch handler; Hono's `c.env`. */
export interface FetchEnvironment {
  /** The raw CGI variables, and the gateway's. */
  readonly environ: Environ;
  /** Of `@hono/node-server`'s bindings what its `getConnInfo` reads: who the client is. */
  readonly incoming: { readonly socket: ClientAddress };
}

export interface ClientAddress {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly remoteFamily: 'IPv4' | 'IPv6' | undefined;
}

/** The third argument, as Cloudflare Workers have it; Hono's `c.executionCtx`. */
export interface FetchContext {
  /** Work that goes on when the response is complete; a graceful stop waits for it. */
  waitUntil(promise: Promise<unknown>): void;
  /** There is nothing behind the application that could answer for it: does nothing. */
  passThroughOnException(): void;
  readonly props: object;
}

export type FetchHandler = (
  request: Request,
  env: FetchEnvironment,
  context: FetchContext,
) => Response | Promise<Response>;

export interface FetchApplication {
  /** Whatever the handler takes for its environment and context, it is given ours. */
  fetch(request: Request, env: never, context: never): Response | Promise<Response>;
}

/**
 * Makes a gateway application of a fetch handler. `request.url` is the URL below the mount point; the whole one is in
 * `environ`. A rejected promise costs a 500, a body that fails makes the response a truncated one.
 */
export function fromFetch(handler: FetchApplication | FetchHandler): Application {
  const handle = typeof handler === 'function' ? handler : bind(handler);

  return (environ, startResponse) => {
    const answer: unknown = handle(createRequest(environ), environmentOf(environ), contextOf(environ));

    return isThenable(answer)
      ? Promise.resolve(answer).then((response) => respond(response, environ, startResponse))
      : respond(answer, environ, startResponse);
  };
}

function bind(application: FetchApplication): FetchHandler {
  if (typeof (application as Partial<FetchApplication> | null)?.fetch !== 'function') {
    throw new GatewayError('ERR_APPLICATION', 'neither a function fetch(request) nor an object that has one');
  }
  // `never` is how the type says that it takes anything.
  return (request, env, context) => application.fetch(request, env as never, context as never);
}

function environmentOf(environ: Environ): FetchEnvironment {
  return {
    environ,
    get incoming() {
      return { socket: clientAddress(environ) };
    },
  };
}

function clientAddress(environ: Environ): ClientAddress {
  const { REMOTE_ADDR: address, REMOTE_PORT: port } = environ;

  return {
    remoteAddress: address,
    remotePort: typeof port === 'string' ? Number(port) : undefined,
    remoteFamily: address === undefined ? undefined : address.includes(':') ? 'IPv6' : 'IPv4',
  };
}

function contextOf(environ: Environ): FetchContext {
  return {
    waitUntil: (promise) => {
      // Until the gateway waits for it, nobody else would hear of its failure, and that ends a process.
      promise.catch(() => undefined);
      environ['postern.after_response'](() => promise);
    },
    passThroughOnException: () => undefined,
    props: {},
  };
}

function respond(value: unknown, environ: Environ, startResponse: StartResponse): Body | Promise<Body> {
  const response = checkResponse(value);
  const status = `${String(response.status)} ${response.statusText === '' ? statusText(response.status) : response.statusText}`;
  const headers = headersOf(response);

  if (response.body === null) {
    startResponse(status, headers);
    return null;
  }
  return respondWithBody(new ResponseBody(response.body), environ, (length) => {
    if (length !== undefined && !response.headers.has('content-length')) {
      headers.push(['content-length', String(length)]);
    }
    return startResponse(status, headers);
  });
}

async function respondWithBody(
  body: ResponseBody,
  environ: Environ,
  start: (length: number | undefined) => (chunk: string) => void,
): Promise<Body> {
  try {
    await body.lookAhead();

    const write = start(body.length);

    if (hasNoBody(environ.REQUEST_METHOD, '200')) {
      await body.return();
      return null;
    }
    if (!body.hasStarted) {
      // Its headers are what `fetch()` and EventSource wait for on the other side; the first chunk may take long.
      write('');
    }
    return body;
  } catch (error) {
    await body.return();
    throw error;
  }
}

/** By its looks: polyfills and `@hono/node-server` have classes of their own. */
function checkResponse(value: unknown): Response {
  if (!isResponse(value)) {
    throw new ApplicationError(
      'ERR_NO_RESPONSE',
      `a fetch handler answers with a Response; this one answered with ${nameOf(value)}`,
    );
  }
  return value;
}

function isResponse(value: unknown): value is Response {
  return (
    typeof value === 'object' &&
    value !== null &&
    'status' in value &&
    typeof value.status === 'number' &&
    'headers' in value &&
    typeof value.headers === 'object' &&
    'body' in value
  );
}

function nameOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) {
    return value === null ? 'null' : typeof value;
  }

  // Objects without a prototype have no constructor.
  const { constructor } = value as { readonly constructor?: { readonly name?: unknown } };

  return typeof constructor?.name === 'string' ? `an object of class ${constructor.name}` : 'an object';
}

function headersOf({ headers }: Response): Header[] {
  const pairs: Header[] = [];

  for (const [name, value] of headers) {
    // A fetch handler may pass on what another server said of its own connection.
    if (name !== 'set-cookie' && !isForbiddenHeader(name)) {
      pairs.push([name, value]);
    }
  }
  for (const cookie of headers.getSetCookie()) {
    pairs.push(['set-cookie', cookie]);
  }
  return pairs;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
