'use strict';
// What the applications here have in common, so that each of them shows its framework and nothing else.
const { randomBytes } = require('node:crypto');
const { mkdtempSync, writeFileSync, utimesSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const LONG_TEXT = 'All work and no play makes Jack a dull boy.\n'.repeat(200);
const BIG = Buffer.alloc(1024 * 1024, '0123456789abcdef');

/** A folder of files to serve, always the same. */
function makeFolder() {
  const folder = process.env.APPS_FOLDER ?? mkdtempSync(join(tmpdir(), 'postern-apps-'));
  for (const [name, content] of [
    ['file.txt', LONG_TEXT],
    ['big.bin', BIG],
    ['page.html', '<p>page</p>\n'],
    ['with space.txt', 'space\n'],
  ]) {
    writeFileSync(join(folder, name), content);
    utimesSync(join(folder, name), 1600000000, 1600000000);
  }
  return folder;
}

async function* pieces() {
  for (const piece of ['one ', 'two ', 'three']) {
    yield Buffer.from(piece);
    await sleep(5);
  }
}

async function* events() {
  for (let index = 1; index <= 3; index++) {
    yield `data: event ${index}\n\n`;
    await sleep(5);
  }
}

async function* brokenPieces() {
  yield Buffer.alloc(100000, 'x');
  await sleep(30);
  throw new Error('broken in the middle');
}

/** What a handler sees of its request. */
function describe(req) {
  const { method, url, headers, httpVersion } = req;
  const {
    'x-one': one,
    'x-dup': dup,
    cookie,
    host,
    accept,
    'content-type': type,
    'content-length': length,
  } = headers;
  return { method, url, httpVersion, one, dup, cookie, host, accept, type, length };
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

module.exports = {
  BIG,
  LONG_TEXT,
  brokenPieces,
  describe,
  events,
  makeFolder,
  pieces,
  randomBytes,
  read,
  sleep,
};
