/** What a client and a log are told when something fails. The only place where a failure becomes bytes. */
import { GatewayError, PeerError } from '../errors';
import type { Environ, Headers } from './types';

export interface FailureResponse {
  readonly status: string;
  readonly headers: Headers;
  readonly body: string;
}

/**
 * @param development show the error to the client, stack and all. In production details go to the log only.
 */
export function failureResponse(error: unknown, development: boolean): FailureResponse {
  const status = statusOf(error);

  if (development) {
    return page(status, 'text/html; charset=utf-8', developmentPage(status, error));
  }
  return page(status, 'text/plain; charset=utf-8', `${status}\n`);
}

function statusOf(error: unknown): string {
  if (error instanceof PeerError) {
    return error.status;
  }
  // RFC 9110 §15.6.3: the program behind an application that passes requests on, or a Node application that has
  // destroyed its socket, for which every proxy answers so.
  return error instanceof GatewayError && /^ERR_(?:BACKEND|RESPONSE_DESTROYED)$/.test(error.code)
    ? '502 Bad Gateway'
    : '500 Internal Server Error';
}

function page(status: string, contentType: string, body: string): FailureResponse {
  const headers: [string, string][] = [
    ['Content-Type', contentType],
    ['Content-Length', String(Buffer.byteLength(body))],
    ['Cache-Control', 'no-store'],
  ];

  // RFC 9110 §15.6.4; a second is enough for a request or two to end.
  if (status.startsWith('503')) {
    headers.push(['Retry-After', '1']);
  }
  return { status, headers, body };
}

function developmentPage(status: string, error: unknown): string {
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8">',
    `<title>${escapeHtml(status)}</title>`,
    '<style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:60rem;padding:0 1rem}',
    'h1{font-size:1.3rem;color:#a40000}pre{background:#f6f6f6;padding:1rem;overflow:auto;font-size:.85rem}</style>',
    `<h1>${escapeHtml(status)}</h1>`,
    `<pre>${escapeHtml(describeError(error))}</pre>`,
    '<p>This page is shown in development only.</p></html>\n',
  ].join('\n');
}

/** A cause of a cause …; errors can be their own. */
const MAX_CAUSES = 8;

/** The error with its stack and causes. Never throws. */
export function describeError(error: unknown): string {
  try {
    return describe(error, MAX_CAUSES);
  } catch {
    return `thrown: ${typeof error}`;
  }
}

function describe(error: unknown, causes: number): string {
  if (!isErrorLike(error)) {
    return `thrown: ${String(error)}`;
  }

  // The stack begins with name and message, unless somebody took it away.
  const own = error.stack ?? `${String(error.name)}: ${String(error.message)}`;
  const withCode = typeof error.code === 'string' ? `[${error.code}] ${own}` : own;

  return error.cause === undefined || causes === 0
    ? withCode
    : `${withCode}\ncaused by ${describe(error.cause, causes - 1)}`;
}

interface ErrorLike {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly stack?: string;
  readonly code?: unknown;
  readonly cause?: unknown;
}

/** An error of another realm (node:vm, jest) is no instance of this one's Error. */
function isErrorLike(error: unknown): error is ErrorLike {
  return error instanceof Error || (typeof error === 'object' && error !== null && 'stack' in error);
}

/** One request line for a log: method and target, control characters escaped so that no client can forge a line. */
export function describeRequest(environ: Partial<Environ> | undefined): string {
  if (environ === undefined) {
    return '-';
  }

  const {
    REQUEST_METHOD = '-',
    SCRIPT_NAME = '',
    PATH_INFO = '',
    REQUEST_URI = SCRIPT_NAME + PATH_INFO,
  } = environ;

  return escapeControls(`${REQUEST_METHOD} ${REQUEST_URI}`);
}

export function escapeControls(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\\]/g, (char) =>
    char === '\\' ? '\\\\' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${String(char.charCodeAt(0))};`);
}
