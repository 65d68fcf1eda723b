/** Loads fixtures/environ and fixtures/streams; fixtures/README.md says what they are. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Pair } from './records';

const FIXTURES = join(__dirname, '..', '..', 'fixtures');

/** What is common to all fixtures: where the recording comes from. */
export interface Origin {
  /** The front end and its variant, as the folder is called: `nginx-plain`. */
  readonly server: string;
  readonly version: string;
  readonly config: string;
  readonly case: string;
  readonly about: string;
}

/** A byte stream by its measures, for streams that are too long to write down. */
export interface Measured {
  readonly length: number;
  readonly sha256: string;
  /** FastCGI: the empty record came. CGI: stdin reached end-of-file. */
  readonly ended: boolean;
}

export interface EnvironFixture extends Origin {
  readonly protocol: 'fastcgi' | 'cgi';
  /** The head of the client's HTTP/1 request, byte for byte (latin-1). */
  readonly request?: string;
  /** HTTP/2 requests were made by curl: its arguments. */
  readonly curl?: readonly string[];
  /** In the order sent, names that came twice twice. Latin-1: one character is one byte. */
  readonly pairs: readonly Pair[];
  readonly stdin: Measured;
  /** CGI only: the words after the script's name. */
  readonly argv?: readonly string[];
}

export interface StreamRequest {
  readonly id: number;
  readonly role: number;
  readonly flags: number;
  readonly pairs: readonly Pair[];
  readonly paramsEnded: boolean;
  readonly stdin: Measured;
  /** Filter requests only. */
  readonly data?: Measured;
  readonly aborted: boolean;
}

export interface StreamExpectation extends Origin {
  /**
   * `recorded`: the recorder's bytes. `restored`: put together from its description, proved by its digest.
   * `derived`: built from recorded parameters, because no recording of that kind is at hand.
   */
  readonly source: 'recorded' | 'restored' | 'derived';
  /** Too long to be cut at every offset in each test run. */
  readonly big?: true;
  readonly length: number;
  readonly sha256: string;
  readonly records: readonly (readonly [
    type: number,
    requestId: number,
    contentLength: number,
    padding: number,
  ])[];
  /** The names that each GET_VALUES record asks for. */
  readonly getValues: readonly (readonly string[])[];
  readonly requests: readonly StreamRequest[];
}

export interface StreamFixture extends StreamExpectation {
  /** `nginx-plain/bare`: folder and file name. */
  readonly name: string;
  readonly bytes: Buffer;
}

function namesIn(kind: 'environ' | 'streams'): string[] {
  const root = join(FIXTURES, kind);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.json')).sort();
}

function readJson(kind: 'environ' | 'streams', name: string): unknown {
  return JSON.parse(readFileSync(join(FIXTURES, kind, name), 'utf8'));
}

/** All of them, or those of one front end (`nginx-plain`). */
export function environFixtures(server?: string): EnvironFixture[] {
  const names = namesIn('environ').filter((name) => server === undefined || name.startsWith(`${server}/`));
  // The files are made by fixtures/regenerate.ts from this very type.
  return names.map((name) => readJson('environ', name) as EnvironFixture);
}

/** One fixture; `name` is `nginx-plain/hdr-dup`. */
export function environFixture(name: string): EnvironFixture {
  return readJson('environ', `${name}.json`) as EnvironFixture;
}

/** All of them; `bytes` is read at the same time (3 MB at most). */
export function streamFixtures(): StreamFixture[] {
  return namesIn('streams').map((file) => {
    const name = file.slice(0, -'.json'.length);
    const expectation = readJson('streams', file) as StreamExpectation;
    return { ...expectation, name, bytes: readFileSync(join(FIXTURES, 'streams', `${name}.bin`)) };
  });
}
