// wsgi.file_wrapper: a path, an open file or a stream; closed in every ending.
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { fileWrapper } from '../../../../adapters/exchange/file-wrapper';
import { PeerError } from '../../../../src/errors';
import type { Body, FileSource } from '../../../../src/gateway/types';
import { record, RecordedRun, turns } from '../../gateway/recorded-run';

const CONTENT = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
const GONE = new PeerError('ERR_PEER_GONE', 'gone');

let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-'));
  path = join(folder, 'file');
  await writeFile(path, CONTENT);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

const sources: [string, () => FileSource | Promise<FileSource>][] = [
  ['a path', () => path],
  ['a FileHandle', () => open(path)],
  ['a stream', () => createReadStream(path)],
];

function isClosed(source: FileSource): boolean {
  if (typeof source === 'string') {
    return true;
  }
  return source instanceof Readable ? source.destroyed : source.fd === -1;
}

function answerWith(body: () => Body): (recorded: RecordedRun) => RecordedRun {
  return (recorded) =>
    recorded.start((_environ, startResponse) => {
      startResponse('200 OK', []);
      return body();
    });
}

describe('a file', () => {
  for (const [kind, openSource] of sources) {
    test(`from ${kind} is sent whole, then closed`, async () => {
      const source = await openSource();
      const recorded = await record((_environ, startResponse) => {
        startResponse('200 OK', []);
        return fileWrapper(source);
      });

      expect(recorded.body.equals(CONTENT)).toBe(true);
      expect(recorded.errors).toEqual([]);
      expect(isClosed(source)).toBe(true);
    });

    test(`from ${kind} is closed when the peer goes, read or not`, async () => {
      for (const waiting of [0, 1, 5]) {
        const source = await openSource();
        const recorded = answerWith(() => fileWrapper(source))(new RecordedRun({ blockAfter: 1 }));
        for (let turn = 0; turn < waiting; turn++) {
          await turns();
        }
        recorded.run.abort(GONE);
        await recorded.whenSettled;

        expect(isClosed(source)).toBe(true);
        expect(recorded.errors).toEqual([]);
      }
    });

    test(`from ${kind} is closed after HEAD, and when it is longer than was promised`, async () => {
      for (const [method, contentLength] of [
        ['HEAD', CONTENT.length],
        ['GET', 10],
      ] as const) {
        const source = await openSource();
        const recorded = await record(
          (_environ, startResponse) => {
            startResponse('200 OK', [['Content-Length', String(contentLength)]]);
            return fileWrapper(source);
          },
          { method },
        );

        expect(recorded.body).toHaveLength(method === 'HEAD' ? 0 : 10);
        expect(isClosed(source)).toBe(true);
      }
    });

    test(`from ${kind} is closed when the peer went before there was a body`, async () => {
      const source = await openSource();
      const recorded = new RecordedRun().start(async (_environ, startResponse) => {
        startResponse('200 OK', []);
        await turns();
        return fileWrapper(source);
      });
      recorded.run.abort(GONE);
      await recorded.whenSettled;

      expect(isClosed(source)).toBe(true);
    });
  }

  test('leaves no descriptor open that it opened itself', async () => {
    const before = process.getActiveResourcesInfo().length;
    for (let count = 0; count < 20; count++) {
      const recorded = answerWith(() => fileWrapper(path))(new RecordedRun({ blockAfter: 1 }));
      if (count % 2 === 0) {
        await turns();
      }
      recorded.run.abort(GONE);
      await recorded.whenSettled;
    }

    // A handle that is collected while open warns, and in later Nodes throws.
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before + 1);
  });
});

describe('a file that is not there', () => {
  test.each<[string, () => FileSource]>([
    ['a path', () => join(folder, 'missing')],
    ['a stream', () => createReadStream(join(folder, 'missing'))],
  ])('by %s is a 500', async (_kind, source) => {
    const recorded = await record((_environ, startResponse) => {
      startResponse('200 OK', []);
      return fileWrapper(source());
    });

    expect(recorded.head?.status).toBe('500 Internal Server Error');
    expect(recorded.codes).toEqual(['ENOENT']);
    expect(recorded.text).not.toContain('missing');
  });

  test('does not end the process when nobody wants it any more', async () => {
    const recorded = new RecordedRun().start(async (_environ, startResponse) => {
      startResponse('200 OK', []);
      await Promise.resolve();
      return fileWrapper(createReadStream(join(folder, 'missing')));
    });
    recorded.run.abort(GONE);
    await recorded.whenSettled;
    await new Promise((resolve) => setTimeout(resolve, 50));

    expect(recorded.log).toEqual(['settled']);
  });

  test('but a folder is a 500, too', async () => {
    const recorded = await record((_environ, startResponse) => {
      startResponse('200 OK', []);
      return fileWrapper(folder);
    });

    expect(recorded.codes).toEqual(['EISDIR']);
  });
});

describe('the block size', () => {
  async function chunkSizes(blockSize?: number): Promise<number[]> {
    const sizes: number[] = [];
    const recorded = new RecordedRun();
    recorded.write = (chunk) => {
      sizes.push(chunk.length);
      return true;
    };
    answerWith(() => fileWrapper(path, blockSize))(recorded);
    await recorded.whenSettled;
    return sizes;
  }

  test('is what the application says', async () => {
    expect(await chunkSizes(100_000)).toEqual([100_000, 100_000]);
  });

  test('is 65536 by default', async () => {
    expect(await chunkSizes()).toEqual([65536, 65536, 65536, 200_000 - 3 * 65536]);
  });

  test('of 0 does not make the file an empty one', async () => {
    expect((await chunkSizes(0)).reduce((sum, size) => sum + size, 0)).toBe(200_000);
  });
});

test('an open file is read from where it is', async () => {
  const handle = await open(path);
  await handle.read(Buffer.alloc(199_990), 0, 199_990);
  const recorded = await record((_environ, startResponse) => {
    startResponse('200 OK', []);
    return fileWrapper(handle);
  });

  expect(recorded.body.equals(CONTENT.subarray(199_990))).toBe(true);
});

test('the file is read at the pace of the peer', async () => {
  let writes = 0;
  const recorded = new RecordedRun();
  recorded.write = () => {
    writes++;
    return false;
  };
  answerWith(() => fileWrapper(path, 1000))(recorded);
  while (writes === 0) {
    await turns();
  }
  await turns();

  expect(writes).toBe(1);
  recorded.run.abort(GONE);
  await recorded.whenSettled;
});

test('blocks do not share memory: one may still be on its way when the next is read', async () => {
  const blocks: Uint8Array[] = [];
  const recorded = new RecordedRun();
  recorded.write = (chunk) => {
    blocks.push(chunk as Uint8Array); // a file gives bytes
    return true;
  };
  answerWith(() => fileWrapper(path, 1000))(recorded);
  await recorded.whenSettled;

  expect(Buffer.concat(blocks).equals(CONTENT)).toBe(true);
});
