/**
 * A FastCGI responder written by hand from the specification, to test web servers and their configurations
 * without the code under test: it answers every request with its own PARAMS, one `NAME=VALUE` line each.
 *
 * In a process of its own it listens on file descriptor 0, as web servers start FastCGI programs (§2.2).
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

// FastCGI §8.
const RecordType = { BEGIN_REQUEST: 1, END_REQUEST: 3, PARAMS: 4, STDIN: 5, STDOUT: 6 } as const;
const HEADER_LENGTH = 8;
const FLAG_KEEP_CONN = 1;

/** Far below the 65535 bytes of a record; the PARAMS of a test request fit in one. */
const MAX_CONTENT_LENGTH = 65_528;

interface PendingRequest {
  readonly keepConnection: boolean;
  readonly params: Buffer[];
}

/** Listens on the path of a Unix socket, or on file descriptor 0. */
export async function startResponder(where: string | { readonly fd: 0 }): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, serve).listen(
    typeof where === 'string' ? { path: where, readableAll: true, writableAll: true } : where,
  );
  await once(server, 'listening');
  return server;
}

function serve(socket: Socket): void {
  const requests = new Map<number, PendingRequest>();
  let unread = Buffer.alloc(0);

  // A web server that goes away is not this program's concern.
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end());
  socket.on('data', (bytes: Buffer) => {
    unread = Buffer.concat([unread, bytes]);

    while (unread.length >= HEADER_LENGTH) {
      const contentLength = unread.readUInt16BE(4);
      const recordLength = HEADER_LENGTH + contentLength + unread.readUInt8(6);
      if (unread.length < recordLength) {
        return;
      }
      const content = unread.subarray(HEADER_LENGTH, HEADER_LENGTH + contentLength);
      onRecord(socket, requests, unread.readUInt8(1), unread.readUInt16BE(2), content);
      unread = unread.subarray(recordLength);
    }
  });
}

function onRecord(
  socket: Socket,
  requests: Map<number, PendingRequest>,
  type: number,
  requestId: number,
  content: Buffer,
): void {
  if (type === RecordType.BEGIN_REQUEST) {
    const keepConnection = (content.readUInt8(2) & FLAG_KEEP_CONN) !== 0;
    requests.set(requestId, { keepConnection, params: [] });
    return;
  }

  const request = requests.get(requestId);
  if (request === undefined) {
    return;
  }
  if (type === RecordType.PARAMS) {
    request.params.push(content);
    return;
  }
  if (type === RecordType.STDIN && content.length === 0) {
    requests.delete(requestId);
    socket.write(answer(requestId, Buffer.concat(request.params)));
    if (!request.keepConnection) {
      socket.end();
    }
  }
}

function answer(requestId: number, params: Buffer): Buffer {
  const lines = [...decodePairs(params)].map(([name, value]) => `${name}=${value}\n`);
  const head = 'Content-Type: text/plain\r\nStatus: 200 OK\r\n\r\n';
  const content = Buffer.from(head + lines.join(''), 'latin1').subarray(0, MAX_CONTENT_LENGTH);
  // §5.5: appStatus 0 in four bytes, protocolStatus FCGI_REQUEST_COMPLETE, three reserved bytes.
  return Buffer.concat([
    record(RecordType.STDOUT, requestId, content),
    record(RecordType.STDOUT, requestId, Buffer.alloc(0)),
    record(RecordType.END_REQUEST, requestId, Buffer.alloc(8)),
  ]);
}

function record(type: number, requestId: number, content: Buffer): Buffer {
  const header = Buffer.from([
    1,
    type,
    requestId >> 8,
    requestId & 255,
    content.length >> 8,
    content.length & 255,
    0,
    0,
  ]);
  return Buffer.concat([header, content]);
}

/** §3.4. */
function* decodePairs(bytes: Buffer): Generator<readonly [name: string, value: string]> {
  let offset = 0;
  const readLength = (): number => {
    const isLong = bytes.readUInt8(offset) > 127;
    const length = isLong ? bytes.readUInt32BE(offset) & 0x7fffffff : bytes.readUInt8(offset);
    offset += isLong ? 4 : 1;
    return length;
  };

  while (offset < bytes.length) {
    const nameLength = readLength();
    const valueLength = readLength();
    const name = bytes.toString('latin1', offset, offset + nameLength);
    offset += nameLength;
    const value = bytes.toString('latin1', offset, offset + valueLength);
    offset += valueLength;
    yield [name, value];
  }
}

if (require.main === module) {
  void startResponder({ fd: 0 });
}
