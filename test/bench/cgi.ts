/** A CGI request from start to finish, beside a bare `node` script that writes a fixed answer. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { median, type Result } from './result';

const CGI_ENVIRONMENT = {
  PATH: process.env['PATH'],
  GATEWAY_INTERFACE: 'CGI/1.1',
  REQUEST_METHOD: 'GET',
  SCRIPT_NAME: '/cgi-bin/app.cgi',
  PATH_INFO: '/hello',
  QUERY_STRING: '',
  REQUEST_URI: '/cgi-bin/app.cgi/hello',
  SERVER_NAME: 'app.example.test',
  SERVER_PORT: '80',
  SERVER_PROTOCOL: 'HTTP/1.1',
  SERVER_SOFTWARE: 'Apache/2.4',
  REMOTE_ADDR: '127.0.0.1',
  HTTP_HOST: 'app.example.test',
  HTTP_USER_AGENT: 'bench/1',
};

export function measureCgi(rounds: number): Result[] {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'));

  try {
    const sides = [
      [
        'bare node',
        'process.stdout.write("Status: 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\nhello world\\n")',
      ],
      ['postern', posternScript()],
    ].map(([side = '', script = '']) => {
      const file = join(folder, `${side.replace(' ', '-')}.js`);
      writeFileSync(file, script);
      return { side, file, timesMs: [] as number[] };
    });

    for (let round = 0; round < rounds; round++) {
      for (const { file, timesMs } of sides) {
        timesMs.push(timeOf(file));
      }
    }

    const base = median(sides[0]?.timesMs ?? []);

    return sides.map(({ side, timesMs }) => {
      const time = median(timesMs);
      return { work: 'CGI, small GET', side, median: time, unit: 'ms', ratio: time / base };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function posternScript(): string {
  return `require(${JSON.stringify(resolve('dist/run.js'))}).run((environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return 'hello world\\n';
  });`;
}

function timeOf(file: string): number {
  const start = process.hrtime.bigint();
  const { status, stdout } = spawnSync(process.execPath, [file], {
    env: CGI_ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const elapsed = Number(process.hrtime.bigint() - start) / 1e6;

  if (status !== 0 || !stdout.toString().endsWith('hello world\n')) {
    throw new Error(`${file} answered ${String(status)}: ${stdout.toString()}`);
  }
  return elapsed;
}
