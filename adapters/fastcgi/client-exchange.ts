/** One request of the client and its response, apart from the socket: what was asked, and what becomes of the answer. */
import { GatewayError } from '../../src/errors';
import { ProtocolStatus } from '../../src/fastcgi/constants';
import { CgiResponseParser } from '../../src/gateway/cgi-response';
import type { Headers, RoleName } from '../../src/gateway/types';
import { ClientBody, type ClientBodyEvents } from './client-body';

export type ByteSource = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface ClientRequestOptions {
  /** The request body; bytes alone are one chunk. CONTENT_LENGTH is the caller's to set. */
  readonly body?: Uint8Array | ByteSource | undefined;
  /** The file of a FILTER (FastCGI §6.4). */
  readonly data?: Uint8Array | ByteSource | undefined;
  /** Default RESPONDER. */
  readonly role?: RoleName | undefined;
  /** Gives the request up: ABORT_REQUEST is sent, and its reason is what the promise and the body fail with. */
  readonly signal?: AbortSignal | undefined;
  /** Takes FCGI_STDERR as it comes; default: dropped. */
  readonly onStderr?: ((bytes: Uint8Array) => void) | undefined;
}

export interface ClientResponse {
  /** `"200 OK"` */
  readonly status: string;
  readonly headers: Headers;
  /**
   * To be read to its end or left by `return` or `close`: until then the connection is kept for it. It fails if the
   * server closes the connection before END_REQUEST.
   */
  readonly body: ClientBody;
  /** Of END_REQUEST (FastCGI §5.5). */
  readonly appStatus: Promise<number>;
}

/** How END_REQUEST says no (FastCGI §5.5). */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [ProtocolStatus.CANT_MPX_CONN, 'it cannot multiplex (CANT_MPX_CONN)'],
  [ProtocolStatus.OVERLOADED, 'it is overloaded (OVERLOADED)'],
  [ProtocolStatus.UNKNOWN_ROLE, 'it does not know the role (UNKNOWN_ROLE)'],
]);

export class ClientExchange {
  readonly options: ClientRequestOptions;
  readonly response: Promise<ClientResponse>;
  readonly #parser: CgiResponseParser;
  readonly #body: ClientBody;
  readonly #appStatus: Promise<number>;
  #isHeadComplete = false;
  #resolve: (response: ClientResponse) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  #resolveAppStatus: (appStatus: number) => void = ignore;
  #rejectAppStatus: (error: unknown) => void = ignore;

  constructor(options: ClientRequestOptions, maxHeadBytes: number | undefined, events: ClientBodyEvents) {
    this.options = options;
    this.#parser = new CgiResponseParser({ maxHeadBytes });
    this.#body = new ClientBody(events);
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#appStatus = new Promise((resolve, reject) => {
      this.#resolveAppStatus = resolve;
      this.#rejectAppStatus = reject;
    });
    // Few ask for it, and what it fails with the body fails with, too.
    this.#appStatus.catch(ignore);
  }

  /** Bytes of the response that nobody has read yet. */
  get bufferedBytes(): number {
    return this.#body.bufferedBytes;
  }

  /**
   * @param bytes kept until they are read.
   * @throws {GatewayError} `ERR_BACKEND` when they are no response head.
   */
  onStdout(bytes: Buffer): void {
    if (this.#isHeadComplete) {
      this.#body.push(bytes);
      return;
    }

    const head = this.#parser.push(bytes);

    if (head !== undefined) {
      const { status, headers, rest } = head;

      this.#isHeadComplete = true;
      this.#body.push(rest);
      this.#resolve({ status, headers, body: this.#body, appStatus: this.#appStatus });
    }
  }

  onEnd(appStatus: number, protocolStatus: number): void {
    if (protocolStatus !== ProtocolStatus.REQUEST_COMPLETE) {
      const reason = REFUSALS.get(protocolStatus) ?? `protocol status ${String(protocolStatus)}`;
      this.fail(new GatewayError('ERR_BACKEND', `the FastCGI server refused the request: ${reason}`));
      return;
    }
    if (!this.#isHeadComplete) {
      this.fail(
        new GatewayError(
          'ERR_BACKEND',
          `the FastCGI server ended the request without a complete response head (appStatus ${String(appStatus)})`,
        ),
      );
      return;
    }
    this.#body.end();
    this.#resolveAppStatus(appStatus);
  }

  fail(error: unknown): void {
    this.#reject(error);
    this.#body.fail(error);
    this.#rejectAppStatus(error);
  }
}

function ignore(): void {
  // Nothing to do.
}
