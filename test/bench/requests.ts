/** Requests per second and backend CPU behind one nginx, each side in turn. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, type Result } from './result';

interface Work {
  readonly name: string;
  readonly path: 'kept' | 'once';
  readonly clients: number;
  readonly sides: readonly string[];
}

const WORKS: readonly Work[] = [
  { name: 'small GET, kept alive, 16 clients', path: 'kept', clients: 16, sides: ['http', 'postern', 'node-fastcgi', 'floor'] }, // prettier-ignore
  { name: 'small GET, connection per request, 16 clients', path: 'once', clients: 16, sides: ['http', 'postern', 'node-fastcgi'] }, // prettier-ignore
];

const SIDES = ['postern', 'http', 'node-fastcgi', 'floor'] as const;

/** Clock ticks per second of /proc/PID/stat on every Linux. */
const TICKS_PER_SECOND = 100;

interface Sample {
  readonly requestsPerSecond: number;
  readonly cpuMicroseconds: number;
}

export async function measureRequests(rounds: number, seconds: number): Promise<Result[]> {
  assertInstalled('nginx', 'wrk');

  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const processes: ChildProcess[] = [];

  try {
    const pids = new Map<string, number>();

    for (const side of SIDES) {
      const socket = join(folder, `${side}.sock`);
      const child = spawn(process.execPath, [join(__dirname, 'sides', `${side}.js`), socket], {
        stdio: 'ignore',
      });
      processes.push(child);
      pids.set(side, child.pid ?? 0);
      await until(() => existsSync(socket), `${side} listens`);
    }

    const port = await freePort();
    const config = join(folder, 'nginx.conf');
    const template = readFileSync(join(__dirname, 'nginx.conf'), 'utf8');

    writeFileSync(
      config,
      `${process.getuid?.() === 0 ? 'user root;\n' : ''}${template.replaceAll('@FOLDER@', folder).replaceAll('@PORT@', String(port))}`,
    );
    processes.push(spawn('nginx', ['-c', config], { stdio: 'ignore' }));
    await until(() => existsSync(join(folder, 'nginx.pid')), 'nginx runs');

    return WORKS.flatMap((work) => measureWork(work, port, pids, rounds, seconds));
  } finally {
    for (const child of processes) {
      child.kill('SIGTERM');
    }
    await sleep(300);
    rmSync(folder, { recursive: true, force: true });
  }
}

function measureWork(
  work: Work,
  port: number,
  pids: ReadonlyMap<string, number>,
  rounds: number,
  seconds: number,
): Result[] {
  const samples = new Map<string, Sample[]>(work.sides.map((side) => [side, []]));

  for (let round = -1; round < rounds; round++) {
    for (const side of work.sides) {
      const url = `http://127.0.0.1:${String(port)}/${work.path}/${side}`;
      const sample = measureSide(url, pids.get(side) ?? 0, work.clients, round < 0 ? 1 : seconds);

      // The first round warms up.
      if (round >= 0) {
        samples.get(side)?.push(sample);
      }
    }
  }

  const rate = (side: string): number =>
    median((samples.get(side) ?? []).map((sample) => sample.requestsPerSecond));

  return work.sides.map((side) => ({
    work: work.name,
    side,
    median: rate(side),
    unit: 'req/s',
    ratio: rate(side) / rate('http'),
    cpuMicroseconds: median((samples.get(side) ?? []).map((sample) => sample.cpuMicroseconds)),
  }));
}

function measureSide(url: string, pid: number, clients: number, seconds: number): Sample {
  const before = cpuSeconds(pid);
  const { stdout } = spawnSync('wrk', ['-t1', `-c${String(clients)}`, `-d${String(seconds)}s`, url], {
    encoding: 'utf8',
  });
  const cpu = cpuSeconds(pid) - before;
  const [, requests = ''] = /(\d+) requests in/.exec(stdout) ?? [];
  const [, rate = ''] = /Requests\/sec:\s+([\d.]+)/.exec(stdout) ?? [];

  if (requests === '' || /Non-2xx|Socket errors/.test(stdout)) {
    throw new Error(`${url}: ${stdout}`);
  }
  return { requestsPerSecond: Number(rate), cpuMicroseconds: (cpu / Number(requests)) * 1e6 };
}

/** proc(5): utime and stime are fields 14 and 15; the second one, in parentheses, may hold blanks. */
function cpuSeconds(pid: number): number {
  const fields =
    readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ') ?? [];

  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (condition()) {
      return;
    }
    await sleep(50);
  }
  throw new Error(`waited in vain until ${what}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function assertInstalled(...programs: readonly string[]): void {
  for (const program of programs) {
    if (spawnSync('which', [program]).status !== 0) {
      throw new Error(`the benchmark needs ${program}: apt-get install ${program}`);
    }
  }
}
