/** Runs an application in memory and writes down, in order, what becomes of its response. */
import { EnvironBuilder } from '../../../src/gateway/environ';
import type { ResponseHead } from '../../../src/gateway/response';
import { ApplicationRun, type ResponseWriter, type RunObserver } from '../../../src/gateway/run-application';
import type { Application, Chunk, Environ } from '../../../src/gateway/types';

export interface RecordOptions {
  readonly method?: string;
  readonly development?: boolean;
  /** Chunks after which `write` says that the peer can take no more. */
  readonly blockAfter?: number;
  readonly onWrite?: (run: ApplicationRun) => void;
}

export class RecordedRun implements ResponseWriter, RunObserver {
  readonly run: ApplicationRun;
  readonly environ: Environ;
  /** `head 200 OK`, `write abc`, `end`, `truncate`, `settled`, and what the test itself notes. */
  readonly log: string[] = [];
  readonly errors: unknown[] = [];
  head: ResponseHead | undefined;
  body = Buffer.alloc(0);
  readonly whenSettled: Promise<void>;
  readonly #options: RecordOptions;
  #chunks = 0;
  #settle: () => void = () => undefined;

  constructor(options: RecordOptions = {}) {
    this.#options = options;
    this.run = new ApplicationRun(this, this, { development: options.development ?? false });
    this.environ = environFor(this.run, options.method ?? 'GET');
    this.whenSettled = new Promise((resolve) => (this.#settle = resolve));
  }

  get text(): string {
    return this.body.toString();
  }

  get codes(): unknown[] {
    return this.errors.map((error) => (error as { code?: unknown }).code);
  }

  start(application: Application): this {
    this.run.start(application, this.environ);
    return this;
  }

  writeHead(head: ResponseHead): void {
    this.head = head;
    this.log.push(`head ${head.status}`);
  }

  write(chunk: Chunk): boolean {
    this.body = Buffer.concat([this.body, Buffer.from(chunk as string)]);
    this.log.push(`write ${Buffer.from(chunk as string).toString()}`);
    this.#chunks++;
    this.#options.onWrite?.(this.run);
    return this.#chunks < (this.#options.blockAfter ?? Infinity);
  }

  end(): void {
    this.log.push('end');
  }

  truncate(): void {
    this.log.push('truncate');
  }

  onError(error: unknown): void {
    this.errors.push(error);
  }

  onSettled(): void {
    this.log.push('settled');
    this.#settle();
  }
}

/** Runs `application` to its very end. */
export async function record(application: Application, options?: RecordOptions): Promise<RecordedRun> {
  const recorded = new RecordedRun(options).start(application);

  await recorded.whenSettled;
  return recorded;
}

/** Runs a synchronous `application`; everything has happened when this returns. */
export function recordSync(application: Application, options?: RecordOptions): RecordedRun {
  return new RecordedRun(options).start(application);
}

/** Lets every promise that can settle do so. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** `startResponse('200 OK', [])`, then `body`. */
export function answer(body: () => unknown): Application {
  return (_environ, startResponse) => {
    startResponse('200 OK', []);
    // Bodies of wrong types are among what is tested.
    return body() as string;
  };
}

function environFor(run: ApplicationRun, method: string): Environ {
  const untouched = (): never => {
    throw new Error('was touched');
  };
  const builder = new EnvironBuilder(
    {
      get input() {
        return untouched();
      },
      get errors() {
        return untouched();
      },
      get signal() {
        return run.signal;
      },
      afterResponse: (task) => run.afterResponse(task),
    },
    {
      protocol: 'fastcgi',
      mount: undefined,
      multiprocess: false,
      runOnce: false,
      fileWrapper: untouched,
    },
  );

  builder.add('REQUEST_METHOD', method);
  builder.add('PATH_INFO', '/');
  return builder.finish();
}
