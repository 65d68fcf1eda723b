/** Byte streams that are nearly FastCGI: each part is right more often than not, so that much of a stream is reached. */
import { streamFixtures } from '../support/fixtures';
import type { Pair } from '../support/records';
import { beginRequest, encodePairs, getValues, record, RecordType, VERSION } from '../support/records';
import type { Random } from './random';

const { ABORT_REQUEST, BEGIN_REQUEST, DATA, GET_VALUES, PARAMS, STDIN } = RecordType;

/** Few, so that they meet again: 0 is management. */
const IDS = [1, 1, 1, 2, 3, 255, 256, 65535, 0] as const;
const ROLES = [1, 1, 1, 2, 3, 3, 0, 4, 257, 65535] as const;
const PADDINGS = [0, 0, 0, 1, 7, 8, 255] as const;
const TYPES = [0, 3, 6, 7, 9, 10, 11, 12, 99, 255] as const;
const NAMES = [
  '',
  'REQUEST_METHOD',
  'FCGI_MAX_REQS',
  'FCGI_MPXS_CONNS',
  '__proto__',
  'N'.repeat(130),
] as const;
const VALUES = ['', 'GET', 'x'.repeat(127), 'y'.repeat(128), 'z'.repeat(700), '\0\xff'] as const;

/** Recorded streams are cut into pieces; longer ones add time and nothing new. */
const MAX_RECORDED_BYTES = 5000;

const recorded = streamFixtures()
  .map(({ bytes }) => bytes)
  .filter((bytes) => bytes.length <= MAX_RECORDED_BYTES);

/** About so many records; a protocol error may be among them. */
export function generateStream(random: Random, records: number): Buffer {
  const parts: Buffer[] = [];

  while (parts.length < records) {
    parts.push(random.oneIn(150) ? recordedPart(random) : generateRecord(random));
  }
  return Buffer.concat(parts);
}

function generateRecord(random: Random): Buffer {
  const id = random.pick(IDS);
  const padding = random.pick(PADDINGS);

  switch (random.below(16)) {
    case 0:
    case 1:
    case 2:
      return begin(random, id);
    case 3:
    case 4:
    case 5:
      return record(PARAMS, id, pairs(random), padding);
    case 6:
    case 7:
    case 8:
      return record(PARAMS, id, '', padding);
    case 9:
    case 10:
      return record(STDIN, id, content(random), padding);
    case 11:
      return record(STDIN, id, '', padding);
    case 12:
      return record(DATA, id, content(random), padding);
    case 13:
      return record(ABORT_REQUEST, id, random.oneIn(4) ? content(random) : '', padding);
    case 14:
      return random.oneIn(4)
        ? record(GET_VALUES, id, pairs(random), padding)
        : getValues(['FCGI_MAX_REQS', random.pick(NAMES)]);
    default:
      return random.oneIn(30) ? broken(random, id) : record(random.pick(TYPES), id, content(random), padding);
  }
}

function begin(random: Random, id: number): Buffer {
  // A second BEGIN for an open id and a short body end the connection: they must be rare.
  if (random.oneIn(400)) {
    return record(BEGIN_REQUEST, id, content(random).subarray(0, random.below(12)));
  }
  return random.oneIn(80) || id === 0
    ? beginRequest(id, random.pick(ROLES), random.below(2))
    : Buffer.concat([record(ABORT_REQUEST, id), beginRequest(id, random.pick(ROLES), 1)]);
}

function pairs(random: Random): Buffer {
  const list: Pair[] = [];

  for (let count = random.below(5); count > 0; count--) {
    list.push([random.pick(NAMES), random.pick(VALUES)]);
  }

  const bytes = encodePairs(list);

  if (random.oneIn(8)) {
    // Cut inside a pair: what comes next completes it, or not.
    return bytes.subarray(0, random.below(bytes.length + 1));
  }
  if (random.oneIn(40)) {
    return Buffer.from([random.next() & 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  }
  return bytes;
}

function content(random: Random): Buffer {
  const length = random.oneIn(400) ? 65535 - random.below(9) : random.below(30);

  return Buffer.alloc(length, random.next() & 0xff);
}

/** A version that does not exist, or a header whose lengths are anything. */
function broken(random: Random, id: number): Buffer {
  const bytes = record(STDIN, id, content(random));

  bytes[random.oneIn(2) ? 0 : 4 + random.below(3)] = random.next() & 0xff;
  return bytes;
}

/** A piece of a recorded stream, sometimes with a byte changed. */
function recordedPart(random: Random): Buffer {
  const source = recorded[random.below(recorded.length)] ?? Buffer.alloc(0);
  const part = Buffer.from(random.oneIn(3) ? source.subarray(0, random.below(source.length)) : source);

  for (let changes = random.oneIn(3) ? 1 + random.below(3) : 0; changes > 0 && part.length > 0; changes--) {
    part[random.below(part.length)] = random.oneIn(3) ? VERSION : random.next() & 0xff;
  }
  return part;
}
