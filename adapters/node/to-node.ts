/** A gateway application as a request listener: for http.createServer, Express and Connect, and node-fastcgi. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Application } from '../../src/gateway/types';
import type { GatewayOptions } from '../exchange/gateway-options';
import { requestListener, variablesOf, type RequestSource } from '../http/index';

/** What may be on a request besides node's own. */
interface HostedRequest extends IncomingMessage {
  /** Express, Connect: where the listener is mounted, and the target before that was cut off. */
  readonly baseUrl?: unknown;
  readonly originalUrl?: unknown;
  /** node-fastcgi: the variables as the web server sent them. */
  readonly cgiParams?: unknown;
}

/**
 * Makes a request listener of a gateway application. Below a mount point of Express or Connect SCRIPT_NAME is that
 * point, and nothing is passed on to `next`. On node-fastcgi the environ has the web server's own variables.
 *
 * It reads the body itself: mount it before `express.json()` and its kind.
 */
export function toNode(
  application: Application,
  options: GatewayOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  return requestListener(application, options, (request) => sourceOf(request, options.mount));
}

function sourceOf(request: HostedRequest, mount: string | undefined): RequestSource | undefined {
  const { cgiParams, originalUrl } = request;

  if (typeof cgiParams === 'object' && cgiParams !== null) {
    return { protocol: 'fastcgi', mount, variables: () => pairsOf(cgiParams) };
  }
  if (typeof originalUrl === 'string') {
    return {
      protocol: 'http',
      mount: mount ?? mountOf(request, originalUrl),
      variables: () => variablesOf(request, originalUrl),
    };
  }
  return undefined;
}

function* pairsOf(params: object): Generator<readonly [string, string]> {
  for (const [name, value] of Object.entries(params)) {
    if (typeof value === 'string') {
      // node-fastcgi reads them as UTF-8; an environ has bytes.
      yield [name, Buffer.from(value).toString('latin1')];
    }
  }
}

/** Connect says only what is left: the rest of the target before it is the mount point. */
function mountOf(request: HostedRequest, originalUrl: string): string {
  if (typeof request.baseUrl === 'string') {
    return decodedPath(request.baseUrl);
  }

  const whole = pathOf(originalUrl);
  const below = pathOf(request.url ?? '/');
  const mount = whole.endsWith(below) ? whole.slice(0, whole.length - below.length) : whole;

  return decodedPath(mount);
}

function pathOf(target: string): string {
  return target.split('?', 1)[0] ?? '';
}

function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
