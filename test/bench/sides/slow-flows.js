'use strict';
// For memory.ts: takes an upload slowly, makes a download as fast as it may; tells how much memory it had at most.
const { setTimeout: wait } = require('node:timers/promises');
const { createServer } = require('../../../dist/adapters/fastcgi');

/** It takes so much, then rests for a millisecond. */
const GULP_BYTES = 256 * 1024;
const CHUNK_BYTES = 65528;

async function takeSlowly(input) {
  let length = 0;
  let gulped = 0;

  for await (const chunk of input) {
    length += chunk.length;
    gulped += chunk.length;
    if (gulped >= GULP_BYTES) {
      gulped = 0;
      await wait(1);
    }
  }
  return String(length);
}

function* make(size) {
  for (let made = 0; made < size; made += CHUNK_BYTES) {
    // A new one each time, as most applications do.
    yield Buffer.alloc(Math.min(CHUNK_BYTES, size - made), 'x');
  }
}

let peak = 0;

function sample() {
  peak = Math.max(peak, process.memoryUsage.rss());
}

setInterval(sample, 5);
process.on('message', () => {
  sample();
  process.send(peak);
  peak = 0;
});
createServer(async (environ, startResponse) => {
  startResponse('200 OK', []);
  return environ.REQUEST_METHOD === 'GET'
    ? make(Number(environ.QUERY_STRING))
    : takeSlowly(environ['wsgi.input']);
})
  .listen(process.argv[2])
  .then(() => process.send(0));
