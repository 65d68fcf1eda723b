/**
 * The rows of the conformance table, and the hosts they are run by. A behaviour is a request, a fixture application
 * and what must come back; a host is anything that can run the application: in memory, as a CGI child, on a FastCGI
 * socket, or behind a real web server.
 */
import type { Exchange, HttpRequest, HttpResponse } from '../support/http-client';
import type { Marks } from './marks';

/** What a row may depend on. */
export interface HostFacts {
  readonly name: string;
  readonly kind: 'memory' | 'cgi' | 'fastcgi';
  /** Where the application is mounted, without a slash at the end: `''` is the root of the site. */
  readonly mount: string;
}

export interface Host extends HostFacts {
  start(): Promise<RunningHost>;
}

/** Requests go through as they are: the mount point is in the target, and `X-Fixture` among the headers. */
export interface RunningHost {
  readonly marks: Marks;
  /** On a connection of its own. */
  startRequest(request: HttpRequest, origin?: 'plain' | 'tls'): Exchange;
  /** A connection of a client: one request after the other. */
  connect(): KeptConnection;
  /** Ports of the two origins. */
  readonly port: number;
  stop(): Promise<void>;
}

export interface KeptConnection {
  request(request: HttpRequest): Promise<HttpResponse>;
  close(): void;
}

/** What was seen, or must be seen: plain data. Of an expectation only the keys that it has are compared. */
export interface Observation {
  readonly [key: string]: unknown;
}

export type Expectation = Observation | ((host: HostFacts) => Observation);

/** What a row asks: the target is below the mount point. */
export interface BehaviourRequest extends HttpRequest {
  readonly tls?: boolean;
}

export interface Behaviour {
  /** With the host's name before it, a sentence. */
  readonly name: string;
  /** A file of `fixtures/apps`. */
  readonly app: string;
  /** Default: `GET /`. */
  readonly request?: BehaviourRequest;
  /** What to do and to look at. Default: one request, and its response by `describeResponse`. */
  readonly observe?: (scene: Scene) => Promise<Observation>;
  readonly expect: Expectation;
  /** Rows that make sense on some hosts only. */
  readonly only?: (host: HostFacts) => boolean;
  /** Where a server itself cannot. The first that names the host counts. */
  readonly exceptions?: readonly Exception[];
  /** Milliseconds; default 15,000. */
  readonly timeoutMs?: number;
}

export interface Exception {
  readonly hosts: RegExp;
  /** What the server does instead, and who says so. */
  readonly why: string;
  /** What really comes back; a test of its own, which fails when the exception is no longer one. */
  readonly expect: Expectation;
  /** A race in the server decides between the rule and this: nothing else may come back. */
  readonly isRace?: true;
}

/** One row on one host. */
export interface Scene {
  readonly facts: HostFacts;
  readonly host: RunningHost;
  /** A name that no other scene has, for its marks. */
  readonly id: string;
  /** The row has an exception for this host. */
  readonly isException: boolean;
  /** The row's request with mount point, fixture and mark; changed by `changes`. */
  start(changes?: BehaviourRequest & { readonly app?: string }): Exchange;
  request(changes?: BehaviourRequest & { readonly app?: string }): Promise<HttpResponse>;
  /** The same for a kept connection. */
  prepare(changes?: BehaviourRequest & { readonly app?: string }): HttpRequest;
}
