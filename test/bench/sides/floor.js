'use strict';
// What Node's sockets cost at least: a canned FastCGI answer to whatever comes, nothing is parsed.
const head = 'Content-Type: text/plain\r\nContent-Length: 12\r\nStatus: 200 OK\r\n\r\nhello world\n';
const answer = Buffer.concat([
  Buffer.from([1, 6, 0, 1, 0, head.length, 0, 0]),
  Buffer.from(head),
  Buffer.from([1, 6, 0, 1, 0, 0, 0, 0]),
  Buffer.from([1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
]);

require('node:net')
  .createServer((socket) => {
    socket.on('data', () => socket.write(answer));
    socket.on('error', () => undefined);
  })
  .listen(process.argv[2]);
