/** Node applications on a FastCGI server of their own, asked by a client that sends the variables it is told to. */
import { join } from 'node:path';
import { Client, createServer } from '../../../../adapters/fastcgi';
import { fromNode, type RequestListener } from '../../../../adapters/node';
import { withTemporaryFolder } from '../../../support/temporary-folder';

export interface Answer {
  readonly status: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface Hosted {
  readonly log: readonly string[];
  /** @throws when the response is not complete. */
  readonly ask: (variables?: Readonly<Record<string, string>>, body?: string) => Promise<Answer>;
  /** The same, on a connection that is closed when the signal says so. */
  readonly leave: (variables: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<unknown>;
}

const VARIABLES = {
  REQUEST_METHOD: 'GET',
  REQUEST_URI: '/',
  SCRIPT_NAME: '',
  PATH_INFO: '/',
  QUERY_STRING: '',
  SERVER_PROTOCOL: 'HTTP/1.1',
  SERVER_NAME: 'app.example.test',
  SERVER_PORT: '80',
  HTTP_HOST: 'app.example.test',
};

export async function host(
  handler: RequestListener | object,
  use: (hosted: Hosted) => Promise<void>,
  options: { readonly maxBodyBytes?: number } = {},
): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 's');
    const log: string[] = [];
    const server = createServer(fromNode(handler), { ...options, errorLog: (text) => log.push(text) });

    await server.listen(path);

    const client = new Client({ path });
    const request = (variables: Readonly<Record<string, string>>, body?: string, signal?: AbortSignal) =>
      client.request(
        Object.entries({
          ...VARIABLES,
          ...(body === undefined ? {} : { CONTENT_LENGTH: String(Buffer.byteLength(body)) }),
          ...variables,
        }),
        { ...(body === undefined ? {} : { body: Buffer.from(body) }), signal },
      );

    try {
      await use({
        log,
        ask: async (variables = {}, body) => {
          const response = await request(variables, body);
          const chunks: Uint8Array[] = [];

          for await (const chunk of response.body) {
            chunks.push(chunk);
          }
          return {
            status: response.status,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          };
        },
        leave: (variables, signal) => request(variables, undefined, signal).catch((error: unknown) => error),
      });
    } finally {
      client.close();
      await server.close({ graceMs: 0 });
    }
  });
}
