/** Every way a test feeds the same bytes: whole, byte by byte, and cut at each offset. */
export function* chunkings(bytes: Buffer): Generator<{ how: string; chunks: Buffer[] }> {
  yield { how: 'whole', chunks: [bytes] };
  yield { how: 'byte by byte', chunks: Array.from(bytes, (byte) => Buffer.from([byte])) };
  for (let cut = 1; cut < bytes.length; cut++) {
    yield { how: `cut at ${String(cut)}`, chunks: [bytes.subarray(0, cut), bytes.subarray(cut)] };
  }
}
