/** A response as plain data, so that a row can say what it expects and a failure shows it. */
import { createHash } from 'node:crypto';
import type { HttpResponse } from '../support/http-client';
import type { Observation } from './behaviour';

/** Longer bodies are compared by length and digest. */
const MAX_SHOWN_BYTES = 1024;

/**
 * Header names in lower case; repeated ones joined with `, ` as HTTP allows, `Set-Cookie` with ` | `. Strings are
 * bytes as latin-1.
 */
export function describeResponse(response: HttpResponse): Observation {
  const headers: Record<string, string> = {};

  for (const [name, value] of response.headers) {
    const key = name.toLowerCase();
    const earlier = headers[key];
    headers[key] = earlier === undefined ? value : `${earlier}${key === 'set-cookie' ? ' | ' : ', '}${value}`;
  }
  return {
    status: response.status,
    reason: response.reason,
    headers,
    body: describeBytes(response.body),
    complete: response.complete,
    surplus: response.surplus.toString('latin1'),
  };
}

export function describeBytes(bytes: Uint8Array): string {
  return bytes.length <= MAX_SHOWN_BYTES ? Buffer.from(bytes).toString('latin1') : digestOf(bytes);
}

/** As the fixture `digest` writes it. */
export function digestOf(bytes: Uint8Array): string {
  return `${String(bytes.length)} ${createHash('sha256').update(bytes).digest('hex')}`;
}

/** What of `seen` the expectation speaks of; a key that is expected to be undefined may be missing. */
export function project(seen: unknown, expected: unknown): unknown {
  if (!isPlain(expected) || !isPlain(seen)) {
    return seen;
  }
  return Object.fromEntries(Object.keys(expected).map((key) => [key, project(seen[key], expected[key])]));
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
