/** Passes requests on to a FastCGI server: the other end of `serve`. */
import type { Application, Environ, StartResponse } from '../../src/gateway/types';
import type { Client } from './client';
import type { ClientBody } from './client-body';

/** Keys of the gateway itself; every other string is a parameter. */
const RESERVED = /^(?:wsgi|postern|fastcgi)\./;

/**
 * A server that cannot be reached, or ends without a response head, is 502; one that closes the connection within its
 * response makes the response truncated. Its FCGI_STDERR goes to `wsgi.errors`.
 */
export function fastCgiApplication(client: Client): Application {
  return (environ, startResponse) => forward(client, environ, startResponse);
}

async function forward(client: Client, environ: Environ, startResponse: StartResponse): Promise<ClientBody> {
  const response = await client.request(paramsOf(environ), {
    role: environ['fastcgi.role'],
    // Streams of bytes give Buffers.
    body: environ['wsgi.input'] as AsyncIterable<Buffer>,
    data: environ['fastcgi.data'] as AsyncIterable<Buffer> | undefined,
    signal: environ['postern.signal'],
    onStderr: (bytes) => environ['wsgi.errors'].write(bytes),
  });

  try {
    startResponse(response.status, response.headers);
  } catch (error) {
    response.body.close();
    throw error;
  }
  return response.body;
}

function* paramsOf(environ: Environ): Generator<readonly [string, string]> {
  // By names: an entry of wsgi.input would be the stream.
  for (const name of Object.keys(environ)) {
    const value = RESERVED.test(name) ? undefined : environ[name];

    if (typeof value === 'string') {
      yield [name, value];
    }
  }
}
