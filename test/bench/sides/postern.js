'use strict';
const { serve } = require('../../../dist/adapters/fastcgi');

serve(
  (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain'], ['Content-Length', '12']]); // prettier-ignore
    return 'hello world\n';
  },
  { socket: process.argv[2] },
);
