/** The daemon on its socket, spoken to in raw records. */
import {
  KEEP_CONN,
  abortRequest,
  beginRequest,
  params,
  record,
  RecordType,
  Role,
  stdin,
} from '../../support/records';
import { RawClient } from '../../support/raw-client';
import type { Exchange, HttpRequest } from '../../support/http-client';
import { openTemporaryFolder } from '../../support/temporary-folder';
import type { Host, RunningHost } from '../behaviour';
import { CgiStyleExchange } from './cgi-style-exchange';
import { Daemon } from './daemon';
import { install } from './installation';
import { madeUpRequest, PORT } from './made-up-request';

/** No server is called so; what the gateway does for certain servers it must not do here. */
const SOFTWARE = 'conformance/1.0';

const MAX_RECORD_BYTES = 65528;

export const fastCgiHosts: readonly Host[] = [
  { name: 'fastcgi', kind: 'fastcgi', mount: '', start: () => start('', undefined) },
  { name: 'fastcgi mounted', kind: 'fastcgi', mount: '/app', start: () => start('/app', '/app') },
  {
    name: 'fastcgi keep-conn',
    kind: 'fastcgi',
    mount: '',
    start: () => start('', undefined, new SharedConnection()),
  },
];

async function start(
  mount: string,
  mountOption: string | undefined,
  shared?: SharedConnection,
): Promise<RunningHost> {
  const folder = await openTemporaryFolder();
  const installation = await install(folder.path);
  const daemon = await Daemon.start(installation, 'app', mountOption);
  const startRequest: RunningHost['startRequest'] = (request, origin = 'plain') =>
    new FastCgiExchangeRequest(daemon.socketPath, request, mount, origin, shared).exchange;

  return {
    marks: installation.marks,
    port: PORT,
    startRequest,
    connect: () => ({ request: (request) => startRequest(request).response, close: () => undefined }),
    stop: async () => {
      await shared?.close();
      await daemon.stop();
      await folder.remove();
    },
  };
}

/** All requests of a host at once on one connection, as HAProxy's mpxs-conns; a new one when it was closed. */
class SharedConnection {
  #client: Promise<RawClient> | undefined;
  #lastId = 0;

  async open(socketPath: string): Promise<RawClient> {
    const client = await this.#client;
    if (client === undefined || client.readEnded) {
      this.#client = RawClient.connect(socketPath);
    }
    return this.#client ?? RawClient.connect(socketPath);
  }

  nextId(): number {
    return (this.#lastId = (this.#lastId % 65535) + 1);
  }

  async close(): Promise<void> {
    (await this.#client)?.socket.destroy();
  }
}

class FastCgiExchangeRequest {
  readonly exchange: Exchange;
  readonly #exchange: CgiStyleExchange;
  readonly #shared: SharedConnection | undefined;
  readonly #id: number;
  #client: RawClient | undefined;
  #seenRecords = 0;

  constructor(
    socketPath: string,
    request: HttpRequest,
    mount: string,
    origin: 'plain' | 'tls',
    shared: SharedConnection | undefined,
  ) {
    this.exchange = this.#exchange = new CgiStyleExchange(() => this.#leave(), request.timeoutMs);
    this.#shared = shared;
    this.#id = shared?.nextId() ?? 1;
    this.#run(socketPath, request, mount, origin).catch((error: unknown) =>
      this.#exchange.fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  async #run(
    socketPath: string,
    request: HttpRequest,
    mount: string,
    origin: 'plain' | 'tls',
  ): Promise<void> {
    const client = await (this.#shared?.open(socketPath) ?? RawClient.connect(socketPath));
    const made = madeUpRequest(request, mount, origin, SOFTWARE);
    const id = this.#id;

    this.#client = client;
    this.#seenRecords = client.records.length;
    client.socket.on('data', this.#onData).on('close', this.#onClose).on('end', this.#onClose);
    await client.write(
      Buffer.concat([
        beginRequest(id, Role.RESPONDER, this.#shared === undefined ? 0 : KEEP_CONN),
        params(id, made.pairs),
      ]),
    );
    try {
      await this.#send(client, made.body);
    } catch {
      // An early answer may close the connection under the upload; how it ended is what counts.
    }
  }

  async #send(client: RawClient, body: AsyncIterable<Buffer>): Promise<void> {
    for await (const piece of body) {
      for (let offset = 0; offset < piece.length; offset += MAX_RECORD_BYTES) {
        if (this.#exchange.isOver) {
          return;
        }
        const content = piece.subarray(offset, offset + MAX_RECORD_BYTES);
        await client.write(record(RecordType.STDIN, this.#id, content));
      }
    }
    await client.write(stdin(this.#id));
  }

  readonly #onData = (): void => {
    const client = this.#client;
    if (client === undefined) {
      return;
    }
    const fresh = client.records.slice(this.#seenRecords);
    this.#seenRecords = client.records.length;
    for (const { type, requestId, content } of fresh) {
      if (requestId !== this.#id) {
        continue;
      }
      if (type === RecordType.STDOUT) {
        this.#exchange.push(content);
      } else if (type === RecordType.END_REQUEST) {
        this.#finish(undefined);
      }
    }
  };

  readonly #onClose = (): void => {
    this.#onData();
    this.#finish('the connection was closed without END_REQUEST');
  };

  #finish(failure: string | undefined): void {
    const client = this.#client;
    client?.socket.off('data', this.#onData).off('close', this.#onClose).off('end', this.#onClose);
    if (this.#shared === undefined) {
      client?.socket.destroy();
    }
    this.#exchange.end(failure);
  }

  /** FastCGI §5.4 on a shared connection, else what every front end does. */
  #leave(): void {
    if (this.#shared === undefined) {
      this.#client?.socket.destroy();
    } else {
      this.#client?.write(abortRequest(this.#id)).catch(() => undefined);
    }
  }
}
