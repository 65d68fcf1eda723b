/** A case of HTTP or Node semantics: a handler that writes down what happens to it, and a client. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Exchange, HttpRequest } from '../support/http-client';

/** What a handler of a case is given. */
export interface Scene {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Writes one line into the case's log. */
  readonly log: (...words: readonly unknown[]) => void;
  /** Logs the events of request, response and socket, but for data. */
  readonly watch: (...which: readonly ('request' | 'response' | 'socket')[]) => void;
  /** Tells the client that this has been reached. */
  readonly reach: (mark: string) => void;
  /** Resolves when the client has reached it. */
  readonly clientReached: (mark: string) => Promise<void>;
}

export interface Client {
  readonly exchange: Exchange;
  /** Resolves when the handler has reached it. */
  readonly handlerReached: (mark: string) => Promise<void>;
  readonly reach: (mark: string) => void;
  /** Logs what the client saw. */
  readonly log: (...words: readonly unknown[]) => void;
}

export interface Behaviour {
  readonly name: string;
  readonly handle: (scene: Scene) => unknown;
  /** Default: `GET /`. */
  readonly request?: HttpRequest;
  /** What the client does besides waiting for the response. */
  readonly client?: (client: Client) => Promise<void>;
  /** The client leaves, so there is no response to compare. */
  readonly noResponse?: true;
  /** Only where nginx passes on what comes as it comes. */
  readonly unbufferedOnly?: true;
  /** Why it is not the same as on node:http; what it is instead. docs/apps.md has them all. */
  readonly difference?: { readonly why: string; readonly log?: readonly string[] };
}

/** What one run of a case shows. */
export interface Observation {
  readonly response: unknown;
  readonly log: readonly string[];
}
