/**
 * `npm run bench`: requests per second behind one nginx, and the start of a CGI process. Sides take turns within one
 * run, so that a shared machine's weather falls on all of them; what counts is the ratio of the medians.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { measureCgi } from './cgi';
import { measureRequests } from './requests';
import type { Result } from './result';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 3);

async function main(): Promise<void> {
  const results = [...(await measureRequests(ROUNDS, SECONDS)), ...measureCgi(ROUNDS * 10)];
  const report = [
    `Node ${process.version}, ${String(cpus().length)} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${String(ROUNDS)} rounds`,
    '',
    '| work | side | median | × node:http or bare node | CPU per request |',
    '|---|---|---|---|---|',
    ...results.map(row),
    '',
  ].join('\n');

  process.stdout.write(report);
  const json = process.env['BENCH_JSON'];
  if (json !== undefined) {
    writeFileSync(json, JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, results }, null, 2));
  }
}

function row({ work, side, median, unit, ratio, cpuMicroseconds }: Result): string {
  const cpu = cpuMicroseconds === undefined ? '' : `${cpuMicroseconds.toFixed(1)} µs`;

  return `| ${work} | ${side} | ${median.toFixed(1)} ${unit} | ${ratio.toFixed(2)} | ${cpu} |`;
}

void main();
