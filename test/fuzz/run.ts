/**
 * The full run: `npx ts-node test/fuzz/run.ts --records 10000000 --seed 1`. Prints what was tried; ends with an error,
 * and the seed that shows it, at the first rule that is broken.
 */
import { parseArgs } from 'node:util';
import { Random } from './random';
import { generateStream } from './record-generator';
import { tryStream } from './trial';

/** Records of one connection; longer streams reach nothing more, for an error ends them. */
const RECORDS_PER_STREAM = 120;

const MIB = 1024 * 1024;

export interface FuzzFigures {
  records: number;
  streams: number;
  requests: number;
  bytes: number;
  protocolErrors: number;
  /** The most that was held outside the heap at once. */
  peakArrayBufferBytes: number;
}

/** @throws {Error} that names the seed of the stream, if any rule is broken. */
export function fuzz(records: number, seed: number): FuzzFigures {
  const figures: FuzzFigures = {
    records: 0,
    streams: 0,
    requests: 0,
    bytes: 0,
    protocolErrors: 0,
    peakArrayBufferBytes: 0,
  };

  for (let stream = 0; figures.records < records; stream++) {
    const random = new Random(seed * 1_000_003 + stream);
    const bytes = generateStream(random, RECORDS_PER_STREAM);

    try {
      const result = tryStream(bytes, cutAnywhere(random, bytes));

      figures.records += result.records;
      figures.requests += result.requests;
      figures.protocolErrors += result.errorCode === undefined ? 0 : 1;
    } catch (error) {
      throw new Error(`seed ${String(seed)}, stream ${String(stream)}`, { cause: error });
    }
    figures.streams++;
    figures.bytes += bytes.length;
    if (stream % 256 === 0) {
      figures.peakArrayBufferBytes = Math.max(
        figures.peakArrayBufferBytes,
        process.memoryUsage().arrayBuffers,
      );
    }
  }
  return figures;
}

/** Small pieces or large ones, and now and then single bytes. */
function* cutAnywhere(random: Random, bytes: Buffer): Generator<Buffer> {
  const largest = random.pick([1, 9, 100, 4000, 70_000]);
  let at = 0;

  while (at < bytes.length) {
    const length = 1 + random.below(largest);

    yield bytes.subarray(at, at + length);
    at += length;
  }
}

function main(): void {
  const { values } = parseArgs({
    options: { records: { type: 'string', default: '10000000' }, seed: { type: 'string', default: '1' } },
  });
  const began = performance.now();
  const figures = fuzz(Number(values.records), Number(values.seed));
  const seconds = (performance.now() - began) / 1000;

  process.stdout.write(
    `${String(figures.records)} records in ${String(figures.streams)} streams (${(figures.bytes / MIB).toFixed(0)} MiB), ` +
      `${String(figures.requests)} requests, ${String(figures.protocolErrors)} protocol errors, ` +
      `no other exception; at most ${(figures.peakArrayBufferBytes / MIB).toFixed(1)} MiB of buffers; ` +
      `seed ${values.seed}, ${seconds.toFixed(0)} s\n`,
  );
}

if (require.main === module) {
  main();
}
