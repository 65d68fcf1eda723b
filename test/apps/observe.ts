/** Runs a case one way, and gives what its client and its handler saw. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { types } from 'node:util';
import { startRequest, type HeaderField, type HttpOrigin, type HttpResponse } from '../support/http-client';
import type { Behaviour, Observation, Scene } from './behaviour';

/** How long a case may leave `req` or `res` open; most are closed when the response has come. */
const CLOSE_TIMEOUT_MS = 1500;

/** The header that says which run a request belongs to. */
const RUN = 'x-run';

const EVENTS = {
  request: ['aborted', 'end', 'error', 'close', 'timeout'],
  response: ['prefinish', 'finish', 'close', 'error', 'drain', 'timeout', 'pipe', 'unpipe'],
  socket: ['close', 'error', 'timeout'],
} as const;

/** Of the front end, or of the hop. */
const IGNORED_HEADERS: ReadonlySet<string> = new Set([
  'date',
  'server',
  'connection',
  'keep-alive',
  'transfer-encoding',
]);

class Run {
  readonly lines: string[] = [];
  readonly #marks = new Map<string, { readonly promise: Promise<void>; readonly resolve: () => void }>();
  readonly #behaviour: Behaviour;

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
  }

  readonly log = (...words: readonly unknown[]): void => {
    this.lines.push(words.map(describe).join(' '));
  };

  mark(name: string): { readonly promise: Promise<void>; readonly resolve: () => void } {
    let mark = this.#marks.get(name);

    if (mark === undefined) {
      let resolve = (): void => undefined;
      const promise = new Promise<void>((fulfil) => (resolve = fulfil));

      this.#marks.set(name, (mark = { promise, resolve }));
    }
    return mark;
  }

  handle(request: IncomingMessage, response: ServerResponse): unknown {
    const scene: Scene = {
      request,
      response,
      log: this.log,
      watch: (...which) => {
        for (const name of which) {
          const emitter: EventEmitter = { request, response, socket: request.socket }[name];

          for (const event of EVENTS[name]) {
            emitter.on(event, (...values: unknown[]) =>
              this.log(`${name} ${event}`, ...(event === 'error' ? values : [])),
            );
          }
        }
      },
      reach: (mark) => this.mark(mark).resolve(),
      clientReached: (mark) => this.mark(`client ${mark}`).promise,
    };

    request.once('close', () => this.mark('request closed').resolve());
    response.once('close', () => this.mark('response closed').resolve());

    const result = this.#behaviour.handle(scene);

    void Promise.resolve(result).then(this.mark('handler done').resolve, () => undefined);
    return result;
  }
}

const runs = new Map<string, Run>();
let lastRun = 0;

/** The one handler of all cases. */
export function handleRun(request: IncomingMessage, response: ServerResponse): unknown {
  const run = runs.get(String(request.headers[RUN]));

  if (run === undefined) {
    response.statusCode = 404;
    return response.end();
  }
  return run.handle(request, response);
}

export async function observe(behaviour: Behaviour, origin: HttpOrigin): Promise<Observation> {
  const id = String(++lastRun);
  const run = new Run(behaviour);
  const { request = {}, client, noResponse } = behaviour;

  runs.set(id, run);
  try {
    const exchange = startRequest(origin, {
      timeoutMs: 8000,
      ...request,
      headers: [...withHost(request.headers ?? []), [RUN, id]],
    });

    await client?.({
      exchange,
      handlerReached: (mark) => run.mark(mark).promise,
      reach: (mark) => run.mark(`client ${mark}`).resolve(),
      log: run.log,
    });

    const response =
      noResponse === true
        ? undefined
        : await exchange.response.then(describeResponse, (error: unknown) =>
            /ended by|was closed/.test(String(error)) ? 'cut' : `none: ${String(error)}`,
          );

    await closed(run, 'request closed');
    await closed(run, 'response closed');
    await closed(run, 'handler done');
    // What is emitted after the last 'close'.
    await nextTurn();
    await nextTurn();
    return { response, log: run.lines };
  } finally {
    runs.delete(id);
  }
}

function withHost(headers: readonly HeaderField[]): readonly HeaderField[] {
  return headers.some(([name]) => name === 'Host') ? headers : [['Host', 'app.example.test'], ...headers];
}

async function closed(run: Run, mark: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      run.log(`NOT ${mark}`);
      resolve();
    }, CLOSE_TIMEOUT_MS);
  });

  await Promise.race([run.mark(mark).promise, late]);
  clearTimeout(timer);
}

export function describeResponse({ status, reason, headers, text, body, complete }: HttpResponse): unknown {
  if (status === 502) {
    // The front end's own page, or ours.
    return { status };
  }
  if (!complete) {
    // How much of it comes through depends on what nginx had read when it learned of the end.
    return 'cut';
  }
  return {
    status,
    reason,
    headers: headers
      .filter(([name]) => !IGNORED_HEADERS.has(name.toLowerCase()))
      .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
      .sort(),
    // nginx's own pages name its version and nothing else that matters.
    body: body.length > 2000 ? `${String(body.length)} bytes` : /<center>nginx/.test(text) ? 'nginx' : text,
  };
}

function describe(word: unknown): string {
  if (types.isNativeError(word)) {
    const { code } = word as NodeJS.ErrnoException;

    return `${word.name} ${code ?? ''} ${word.message}`;
  }
  return typeof word === 'string' ? word : word === undefined ? 'undefined' : JSON.stringify(word);
}
