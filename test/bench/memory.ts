/**
 * How much a FastCGI process grows while 200 MiB flow through it slowly, in each direction:
 *
 *     npm run build && npx ts-node test/bench/memory.ts
 *
 * The application is in a process of its own, so that the client's memory does not count. Ends with an error if the
 * growth passes the limit.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { beginRequest, params, record, RecordType } from '../support/records';
import { withTemporaryFolder } from '../support/temporary-folder';

const MIB = 1024 * 1024;
const SIZE = 200 * MIB;
const LIMIT = 32 * MIB;

/** The slow reader takes so much, then rests for a millisecond. */
const GULP_BYTES = 256 * 1024;

/** The first requests fill caches and compile code; that is no growth. */
const WARM_UP_SIZE = 16 * MIB;

const CHUNK = Buffer.alloc(65528, 'x');

/** The most that it had since it was last asked. */
async function measure(server: ChildProcess): Promise<number> {
  const answer = once(server, 'message') as Promise<[number]>; // what the side sends

  server.send('how much?');
  return (await answer)[0];
}

function start(socket: Socket, method: string, size: number): void {
  socket.write(
    Buffer.concat([
      beginRequest(1),
      params(1, [
        ['REQUEST_METHOD', method],
        ['QUERY_STRING', String(size)],
        ['CONTENT_LENGTH', method === 'POST' ? String(size) : ''],
      ]),
    ]),
  );
}

/** As fast as the gateway takes it, to an application that is slow. */
async function up(path: string, size: number): Promise<void> {
  const socket = connect(path);
  const closed = once(socket, 'close');

  socket.resume();
  start(socket, 'POST', size);
  for (let sent = 0; sent < size; sent += CHUNK.length) {
    if (!socket.write(record(RecordType.STDIN, 1, CHUNK.subarray(0, size - sent)))) {
      await once(socket, 'drain');
    }
  }
  socket.write(record(RecordType.STDIN, 1));
  await closed;
}

/** As fast as the application makes it, to a reader that is slow. */
async function down(path: string, size: number): Promise<void> {
  const socket = connect(path);
  let received = 0;
  let gulped = 0;

  start(socket, 'GET', size);
  socket.write(record(RecordType.STDIN, 1));
  for await (const chunk of socket) {
    const bytes = (chunk as Buffer).length; // bytes: nobody sets an encoding

    received += bytes;
    gulped += bytes;
    if (gulped >= GULP_BYTES) {
      gulped = 0;
      await wait(1);
    }
  }
  if (received < size) {
    throw new Error(`only ${String(received)} bytes arrived`);
  }
}

async function main(): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 's');
    // Plain Node: a process that has compiled TypeScript has so much room that nothing makes it grow.
    const server = fork(join(__dirname, 'sides', 'slow-flows.js'), [path], { execArgv: [] });

    try {
      await once(server, 'message');
      for (const [direction, flow] of [
        ['up to a slow application', up],
        ['down to a slow reader', down],
      ] as const) {
        await flow(path, WARM_UP_SIZE);

        const before = await measure(server);

        await flow(path, SIZE);

        const growth = (await measure(server)) - before;

        process.stdout.write(
          `200 MiB ${direction}: ${(before / MIB).toFixed(1)} MiB resident before, grown by ${(growth / MIB).toFixed(1)} MiB\n`,
        );
        if (growth > LIMIT) {
          process.exitCode = 1;
        }
      }
    } finally {
      server.kill();
    }
  });
}

void main();
