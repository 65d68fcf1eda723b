/** `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling"). */
import type { Readable } from 'node:stream';
import type { FileHandle } from 'node:fs/promises';
import type { FileSource, FileWrapper } from '../../src/gateway/types';
import { filePromisesModule } from './builtin';

/** Bytes read at a time unless the application says otherwise: the size of a Linux pipe, and near a full record. */
const DEFAULT_BLOCK_SIZE = 65536;

export const fileWrapper: FileWrapper = (source, blockSize = DEFAULT_BLOCK_SIZE) =>
  new FileBody(source, blockSize);

/** A body that reads a file block by block and closes it in every ending. */
class FileBody implements AsyncIterable<Uint8Array> {
  readonly #source: FileSource;
  readonly #blockSize: number;
  #handle: FileHandle | undefined;
  #isClosed = false;

  constructor(source: FileSource, blockSize: number) {
    this.#source = source;
    // A block of nothing would look like the end of the file.
    this.#blockSize = blockSize >= 1 ? blockSize : DEFAULT_BLOCK_SIZE;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const source = this.#source;

    return isReadable(source) ? source[Symbol.asyncIterator]() : this.#blocks(source);
  }

  async close(): Promise<void> {
    this.#isClosed = true;

    const source = this.#source;

    if (isReadable(source)) {
      // It may not even be open yet, and when that fails nobody is left to hear of it.
      source.on('error', () => undefined);
      source.destroy();
      return;
    }

    const handle = typeof source === 'string' ? this.#handle : source;
    this.#handle = undefined;
    await handle?.close();
  }

  async *#blocks(source: string | FileHandle): AsyncGenerator<Uint8Array, void> {
    const handle = typeof source === 'string' ? await this.#open(source) : source;

    while (!this.#isClosed) {
      // A new buffer for each block: the last one may still be on its way to the peer.
      const { bytesRead, buffer } = await handle.read(
        Buffer.allocUnsafe(this.#blockSize),
        0,
        this.#blockSize,
      );

      if (bytesRead === 0) {
        return;
      }
      yield buffer.subarray(0, bytesRead);
    }
  }

  async #open(path: string): Promise<FileHandle> {
    const handle = await filePromisesModule().open(path);

    if (this.#isClosed) {
      await handle.close();
    } else {
      this.#handle = handle;
    }
    return handle;
  }
}

function isReadable(source: FileSource): source is Readable {
  return typeof source === 'object' && Symbol.asyncIterator in source && 'pipe' in source;
}
