/** Where errors go: the process's standard error, which every web server keeps for its programs. */
import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { describeError, describeRequest } from '../../src/gateway/failure';
import type { Environ } from '../../src/gateway/types';
import { streamModule } from './builtin';

/** Takes whole lines. Must not throw. */
export type ErrorLog = (text: string) => void;

export const logToStderr: ErrorLog = (text) => {
  writeToStderr(text);
};

/** One entry: the request line, then the error with its stack. */
export function formatError(error: unknown, environ: Environ | undefined): string {
  return `postern: ${describeRequest(environ)}: ${describeError(error)}\n`;
}

/** A `wsgi.errors`. */
export function createErrorStream(write: (bytes: Buffer) => void): Writable {
  const { Writable } = streamModule();

  return new Writable({
    write(chunk: Buffer, _encoding, callback) {
      write(chunk);
      callback();
    },
  });
}

export function writeToStderr(text: string | Uint8Array): void {
  try {
    // process.stderr would load tty or net; a log line that cannot be written has nowhere else to go.
    writeSync(2, typeof text === 'string' ? Buffer.from(text) : text);
  } catch {
    return;
  }
}
