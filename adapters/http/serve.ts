/** `postern/http`: an HTTP/1.1 front for development and tests. In production a web server stands there. */
import type { AddressInfo } from 'node:net';
import { GatewayError } from '../../src/errors';
import type { Application } from '../../src/gateway/types';
import { errorLogOf, normalizeMount, type GatewayOptions } from '../exchange/gateway-options';
import { FrontServer } from './front-server';

export interface HttpOptions extends GatewayOptions {
  /** Default 8080; 0 takes any free one. */
  readonly port?: number | undefined;
  /** Default `127.0.0.1`: nobody but this machine. */
  readonly host?: string | undefined;
}

export interface HttpServer {
  /** `http://127.0.0.1:8080/` */
  readonly url: string;
  readonly address: AddressInfo;
  /** Takes no more requests; resolves when every response is out and `postern.after_response` is done. */
  close(): Promise<void>;
  /** Closes every connection at once, so that `close` waits for nothing any longer. */
  abort(): void;
}

const DEFAULT_PORT = 8080;
const DEFAULT_HOST = '127.0.0.1';

/** @throws {GatewayError} `ERR_SOCKET_IN_USE`, `ERR_LISTEN` */
export async function serve(application: Application, options: HttpOptions = {}): Promise<HttpServer> {
  const { port = DEFAULT_PORT, host = DEFAULT_HOST } = options;
  const server = new FrontServer(application, {
    mount: normalizeMount(options.mount),
    maxBodyBytes: options.maxBodyBytes ?? Infinity,
    development: options.development ?? false,
    errorLog: errorLogOf(options),
  });
  const address = await listen(server, port, host);

  return {
    url: urlOf(address),
    address,
    close: () => server.stop(),
    abort: () => server.abort(),
  };
}

function listen(server: FrontServer, port: number, host: string): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, port, host));

    server.once('error', onError);
    server.listen({ port, host }, () => {
      server.off('error', onError);
      // A TCP server that listens has an address of this kind.
      resolve(server.address() as AddressInfo);
    });
  });
}

function listenError(error: NodeJS.ErrnoException, port: number, host: string): GatewayError {
  if (error.code === 'EADDRINUSE') {
    return new GatewayError('ERR_SOCKET_IN_USE', `port ${String(port)} on ${host} is in use`, {
      cause: error,
    });
  }
  return new GatewayError(
    'ERR_LISTEN',
    `cannot listen on port ${String(port)} of ${host}: ${error.message}`,
    { cause: error },
  );
}

function urlOf({ address, port }: AddressInfo): string {
  return `http://${hostOf(address)}:${String(port)}/`;
}

/** A browser cannot go to "every address of this machine". */
function hostOf(address: string): string {
  if (address === '0.0.0.0' || address === '::') {
    return 'localhost';
  }
  return address.includes(':') ? `[${address}]` : address;
}
