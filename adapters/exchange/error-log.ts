/** Where errors go: the process's standard error, which every web server keeps for its programs. */
import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { describeError, describeRequest, escapeControls } from '../../src/gateway/failure';
import type { Environ } from '../../src/gateway/types';
import { streamModule } from './builtin';

/** Takes whole lines. Must not throw. */
export type ErrorLog = (text: string) => void;

export const logToStderr: ErrorLog = (text) => {
  writeToStderr(text);
};

/**
 * One entry: the request line, then the error with its stack. Further lines are indented, for a message may quote
 * what a client sent, and must not pass for an entry of its own.
 */
export function formatError(error: unknown, environ: Environ | undefined): string {
  const text = describeError(error)
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]+/g, escapeControls)
    .replace(/\n(?! {2})/g, '\n  ');

  return `postern: ${describeRequest(environ)}: ${text}\n`;
}

/** A `wsgi.errors`. */
export function createErrorStream(write: (bytes: Buffer) => void): Writable {
  const { Writable } = streamModule();
  const stream = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      write(chunk);
      callback();
    },
  });

  // An application that has ended it (`pipe` does) and writes again must not end the process.
  stream.on('error', () => undefined);
  return stream;
}

export function writeToStderr(text: string | Uint8Array): void {
  try {
    // process.stderr would load tty or net; a log line that cannot be written has nowhere else to go.
    writeSync(2, typeof text === 'string' ? Buffer.from(text) : text);
  } catch {
    return;
  }
}
