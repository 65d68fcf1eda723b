'use strict';
require('node-fastcgi')
  .createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '12' });
    response.end('hello world\n');
  })
  .listen(process.argv[2]);
