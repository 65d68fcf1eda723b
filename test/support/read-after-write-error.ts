import type { Socket } from 'node:net';

/** What the peer has sent before it reset the connection is here already; it only has to be read. */
const LAST_READ_MS = 50;

/**
 * Lets a socket read on for a moment when writing has failed. A server that answers early resets the connection
 * over what it did not read; Node's own socket stops reading at the failing write, and the answer is lost.
 */
export function readAfterWriteError<T extends Socket>(socket: T): T {
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  // The stream must not hear of the error before: an errored Readable drops what is pushed into it.
  const later =
    (callback: WriteCallback): WriteCallback =>
    (error) =>
      error == null ? callback() : void setTimeout(callback, LAST_READ_MS, error);

  socket._write = (chunk, encoding, callback) => write(chunk, encoding, later(callback));
  if (writev !== undefined) {
    socket._writev = (chunks, callback) => writev(chunks, later(callback));
  }
  return socket;
}

type WriteCallback = (error?: Error | null) => void;
