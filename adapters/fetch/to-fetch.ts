/** A gateway application as a fetch handler: under Hono, in tests, wherever a `Request` is answered with a `Response`. */
import type { Application } from '../../src/gateway/types';
import type { GatewayOptions } from '../exchange/gateway-options';
import { FetchExchange } from './fetch-exchange';

/** What a Request cannot tell, such as REMOTE_ADDR or REMOTE_USER. Only strings count, so any `env` will do. */
export type CgiVariables = Readonly<Record<string, unknown>>;

/**
 * @returns a handler `(request, variables?) => Promise<Response>`. It is rejected only if a Response cannot have the
 *   application's status (a 6xx and above); a failure of the application is a 500.
 */
export function toFetch(
  application: Application,
  options: GatewayOptions = {},
): (request: Request, variables?: CgiVariables) => Promise<Response> {
  return (request, variables = {}) =>
    new Promise((resolve, reject) => {
      new FetchExchange(request, options, { resolve, reject }).start(application, variables);
    });
}
