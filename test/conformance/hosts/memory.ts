/** The gateway without a protocol: made-up variables in, chunks out. */
import { createRequire } from 'node:module';
import { PeerError } from '../../../src/errors';
import { contentLengthOf, EnvironBuilder, type RequestObjects } from '../../../src/gateway/environ';
import { ApplicationRun, type ResponseWriter, type RunObserver } from '../../../src/gateway/run-application';
import { encodeCgiHead } from '../../../src/gateway/response-head';
import type { ResponseHead } from '../../../src/gateway/response';
import type { Application, Chunk } from '../../../src/gateway/types';
import { createErrorStream } from '../../../adapters/exchange/error-log';
import { fileWrapper } from '../../../adapters/exchange/file-wrapper';
import { RequestBody } from '../../../adapters/exchange/request-body';
import type { Exchange, HttpRequest } from '../../support/http-client';
import { openTemporaryFolder } from '../../support/temporary-folder';
import type { Host, RunningHost } from '../behaviour';
import { CgiStyleExchange } from './cgi-style-exchange';
import { install } from './installation';
import { madeUpRequest, PORT } from './made-up-request';

export const memoryHosts: readonly Host[] = [
  { name: 'memory', kind: 'memory', mount: '', start: () => start('') },
  { name: 'memory mounted', kind: 'memory', mount: '/app', start: () => start('/app') },
];

async function start(mount: string): Promise<RunningHost> {
  const folder = await openTemporaryFolder();
  const { applicationFile, marks } = await install(folder.path);
  // Jest's own require: the application shares the test's process and its modules.
  const application = createRequire(__filename)(applicationFile) as Application;
  const startRequest: RunningHost['startRequest'] = (request, origin = 'plain') =>
    new MemoryRequest(application, request, mount, origin).exchange;

  return {
    marks,
    port: PORT,
    startRequest,
    connect: () => ({ request: (request) => startRequest(request).response, close: () => undefined }),
    stop: () => folder.remove(),
  };
}

class MemoryRequest implements RequestObjects, ResponseWriter, RunObserver {
  readonly exchange: Exchange;
  readonly #exchange: CgiStyleExchange;
  readonly #run: ApplicationRun;
  #body: RequestBody | undefined;
  #hasRoom: () => void = () => undefined;

  constructor(application: Application, request: HttpRequest, mount: string, origin: 'plain' | 'tls') {
    const made = madeUpRequest(request, mount, origin, 'conformance/1.0');
    const builder = new EnvironBuilder(this, {
      protocol: 'http',
      mount: undefined,
      multiprocess: false,
      runOnce: false,
      fileWrapper,
    });

    this.exchange = this.#exchange = new CgiStyleExchange(() => this.#leave(), request.timeoutMs);
    this.#run = new ApplicationRun(this, this, { development: false });
    try {
      for (const [name, value] of made.pairs) {
        builder.add(name, value);
      }
      const environ = builder.finish();
      this.#body = new RequestBody({
        contentLength: contentLengthOf(environ),
        maxBodyBytes: Infinity,
        onRoom: () => this.#hasRoom(),
      });
      this.#run.start(application, environ);
    } catch (error) {
      // Anything else is a fault of the gateway's.
      this.#run.refuse(error as PeerError, builder.environ.REQUEST_METHOD, builder.environ);
    }
    void this.#receive(made.body);
  }

  // RequestObjects

  get input(): RequestObjects['input'] {
    if (this.#body === undefined) {
      throw new Error('a refused request has no body');
    }
    return this.#body.stream;
  }

  readonly errors = createErrorStream(() => undefined);

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  afterResponse(task: () => unknown): void {
    this.#run.afterResponse(task);
  }

  // ResponseWriter

  writeHead(head: ResponseHead): void {
    this.#exchange.push(Buffer.from(encodeCgiHead(head), 'latin1'));
  }

  write(chunk: Chunk): boolean {
    this.#exchange.push(Buffer.from(chunk));
    // A peer that takes each chunk a turn later.
    setImmediate(() => this.#run.resume());
    return false;
  }

  end(): void {
    this.#exchange.end();
  }

  truncate(): void {
    this.#exchange.end('the gateway cut the response');
  }

  // RunObserver

  onError(): void {
    return;
  }

  onSettled(): void {
    return;
  }

  async #receive(body: AsyncIterable<Buffer>): Promise<void> {
    for await (const piece of body) {
      if (this.#exchange.isOver) {
        return;
      }
      this.#body?.push(piece);
      if ((this.#body?.bufferedBytes ?? 0) > 65536) {
        await new Promise<void>((resolve) => (this.#hasRoom = resolve));
      }
    }
    this.#body?.end();
  }

  #leave(): void {
    const reason = new PeerError('ERR_PEER_GONE', 'the client has left');
    this.#body?.fail(reason);
    this.#run.abort(reason);
  }
}
