/** An application as a listener of 'request' on a server that is somebody else's. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Application } from '../../src/gateway/types';
import { errorLogOf, normalizeMount, type GatewayOptions } from '../exchange/gateway-options';
import { HttpExchange, type RequestSource } from './http-exchange';

/** @returns undefined where node:http knows all there is to know. */
export type SourceOf = (request: IncomingMessage) => RequestSource | undefined;

export function requestListener(
  application: Application,
  options: GatewayOptions,
  sourceOf: SourceOf,
): (request: IncomingMessage, response: ServerResponse) => void {
  const settings = {
    mount: normalizeMount(options.mount),
    maxBodyBytes: options.maxBodyBytes ?? Infinity,
    development: options.development ?? false,
    errorLog: errorLogOf(options),
  };

  return (request, response) => {
    const exchange = new HttpExchange(request, response, settings, {
      keepAlive: () => response.shouldKeepAlive,
      onSettled: () => undefined,
    });

    // After the end of a response it says nothing new.
    response.once('close', () => exchange.onGone());
    exchange.start(application, sourceOf(request));
  };
}
