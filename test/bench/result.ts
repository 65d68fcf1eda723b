export interface Result {
  readonly work: string;
  readonly side: string;
  readonly median: number;
  readonly unit: string;
  /** To the side that the others are compared with. */
  readonly ratio: number;
  /** Of the backend process, per request; user and system. */
  readonly cpuMicroseconds?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;

  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
