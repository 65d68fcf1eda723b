/* eslint-disable @typescript-eslint/no-deprecated -- applications go on using it */
/** What a handler reads on `req`, and on its socket. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { Readable, Stream } from 'node:stream';
import type { Behaviour, Scene } from '../behaviour';
import type { HttpRequest } from '../../support/http-client';

/** A handler that logs some values, and answers. */
function shows(
  name: string,
  values: (scene: Scene) => readonly unknown[],
  request?: HttpRequest,
  difference?: Behaviour['difference'],
): Behaviour {
  return {
    name,
    ...(request === undefined ? {} : { request }),
    ...(difference === undefined ? {} : { difference }),
    handle: (scene) => {
      for (const value of values(scene)) {
        scene.log(value);
      }
      scene.response.end('ok');
    },
  };
}

const without = (names: readonly string[], raw: readonly string[]): string[] =>
  raw.flatMap((value, index) =>
    index % 2 === 0 && !names.includes(value.toLowerCase())
      ? [`${value.toLowerCase()}: ${raw[index + 1] ?? ''}`]
      : [],
  );

const named = (name: string, value: string): HttpRequest => ({ headers: [[name, value]] });

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'PURGE'];

const TARGETS = [
  '/',
  '/?',
  '/?a=1&b=2',
  '/a%2Fb',
  '/a%20b/%C3%A9',
  '/a+b;c=d,e',
  '/UPPER/%aB',
  '/a//b',
  '/?x=/../y',
  '/?q=%00&r=%zz',
  '/%7Euser/~user',
  '/?a?b=c?d',
  "/!$&'()*+,;=:@",
];

export const requests: readonly Behaviour[] = [
  ...METHODS.map((method) => shows(`req.method ${method}`, ({ request }) => [request.method], { method })),
  ...TARGETS.map((target) => shows(`req.url ${target}`, ({ request }) => [request.url], { target })),
  shows('req.httpVersion', ({ request }) => [
    request.httpVersion,
    request.httpVersionMajor,
    request.httpVersionMinor,
  ]),
  shows(
    'req.headers: names in lower case, values as they are',
    ({ request }) => [request.headers['x-some']],
    {
      headers: [['X-Some', 'Va lue, "x"; y=Z']],
    },
  ),
  shows(
    'req.headers of a request without body has neither content-type nor content-length',
    ({ request }) => [
      'content-type' in request.headers,
      'content-length' in request.headers,
      'transfer-encoding' in request.headers,
    ],
  ),
  ...['DELETE', 'OPTIONS', 'POST'].map((method) =>
    shows(
      `no content-length is invented for ${method}`,
      ({ request }) => [
        request.headers['content-length'] ?? 'none',
        request.headers['content-type'] ?? 'none',
      ],
      { method },
    ),
  ),
  shows('content-length: 0 of a POST is passed', ({ request }) => [request.headers['content-length']], {
    method: 'POST',
    headers: [['Content-Length', '0']],
  }),
  shows(
    'content-type and content-length of a body',
    ({ request }) => [request.headers['content-type'], request.headers['content-length']],
    { method: 'POST', body: '{}', headers: [['Content-Type', 'application/json; charset=utf-8']] },
  ),
  shows(
    'content-type without a body',
    ({ request }) => [request.headers['content-type'], request.headers['content-length'] ?? 'none'],
    named('Content-Type', 'text/x'),
  ),
  shows('a repeated header is joined', ({ request }) => [request.headers['x-dup']], {
    headers: [
      ['X-Dup', 'one'],
      ['X-Dup', 'two'],
      ['x-dup', 'three'],
    ],
  }),
  shows('repeated cookies are joined with a semicolon', ({ request }) => [request.headers.cookie], {
    headers: [
      ['Cookie', 'a=1; b=2'],
      ['Cookie', 'c=3'],
    ],
  }),
  shows(
    'of headers that are no lists the first one counts',
    ({ request }) => [request.headers['user-agent'], request.headers.referer, request.headers.from],
    {
      headers: [
        ['User-Agent', 'one'],
        ['User-Agent', 'two'],
        ['Referer', 'http://a.test/'],
        ['Referer', 'http://b.test/'],
        ['From', 'x'],
        ['From', 'y'],
      ],
    },
  ),
  shows(
    'req.headersDistinct',
    ({ request }) => [request.headersDistinct['x-dup'], request.headersDistinct['x-one']],
    {
      headers: [
        ['X-Dup', 'one'],
        ['X-Dup', 'two'],
        ['X-One', 'a, b'],
      ],
    },
  ),
  shows(
    'req.rawHeaders: pairs in the order sent',
    ({ request }) => without(['host', 'x-run', 'connection'], request.rawHeaders),
    {
      headers: [
        ['X-B', '1'],
        ['Accept', '*/*'],
        ['X-A', '2'],
        ['X-C', '3'],
      ],
    },
  ),
  shows(
    'req.rawHeaders of repeated headers',
    ({ request }) => without(['host', 'x-run', 'connection'], request.rawHeaders),
    {
      headers: [
        ['X-B', '1'],
        ['X-A', '2'],
        ['X-B', '3'],
      ],
    },
    { why: 'the lines of a repeated header stand together', log: ['x-b: 1', 'x-b: 3', 'x-a: 2'] },
  ),
  shows(
    'req.url with dot segments',
    ({ request }) => [request.url],
    { target: '/a/./b/../c' },
    { why: 'the web server has decided on the path without them', log: ['/a/c'] },
  ),
  shows('latin-1 header values', ({ request }) => [request.headers['x-l']], named('X-L', 'caf\xe9 \xff')),
  shows('UTF-8 header values are bytes', ({ request }) => [request.headers['x-u']], named('X-U', '\xc3\xa9')),
  shows('a tab within a header value', ({ request }) => [request.headers['x-t']], named('X-T', 'a\tb')),
  shows(
    'authorization',
    ({ request }) => [request.headers.authorization],
    named('Authorization', 'Bearer x.y'),
  ),
  shows('host, with its port', ({ request }) => [request.headers.host], named('Host', 'a.example.test:8080')),
  shows(
    'x-forwarded-for',
    ({ request }) => [request.headers['x-forwarded-for']],
    named('X-Forwarded-For', '1.1.1.1'),
  ),
  shows(
    'an empty header value',
    ({ request }) => [request.headers['x-empty'] ?? 'absent'],
    named('X-Empty', ''),
    { why: 'a CGI variable that is empty is the same as one that is absent', log: ['absent'] },
  ),
  shows(
    'expect: 100-continue is seen',
    ({ request }) => [request.headers.expect ?? 'absent'],
    { method: 'POST', body: 'x', headers: [['Expect', '100-continue']] },
    { why: 'nginx takes the header away from proxy_pass only', log: ['100-continue'] },
  ),
  shows('req.trailers', ({ request }) => [request.trailers, request.rawTrailers, request.trailersDistinct]),
  shows(
    'flags of a request at its beginning',
    ({ request }) =>
      [
        [request.complete, request.aborted, request.destroyed, request.readable, request.readableEnded],
        [request.readableFlowing, request.readableLength, request.errored, request.closed],
        [request.statusCode, request.statusMessage, request.readableAborted, request.readableDidRead],
      ] as readonly unknown[],
  ),
  shows(
    'flags of a response at its beginning',
    ({ response }) =>
      [
        [response.statusCode, response.statusMessage, response.headersSent, response.writableEnded],
        [response.writableFinished, response.writableLength, response.writableCorked, response.destroyed],
        [response.writable, response.writableNeedDrain, response.finished, response.strictContentLength],
        [response.closed, response.errored, response.writableObjectMode, response.sendDate],
        [response.getHeaderNames(), response.chunkedEncoding, response.useChunkedEncodingByDefault],
      ] as readonly unknown[],
  ),
  shows(
    'classes',
    ({ request, response }) =>
      [
        [request instanceof IncomingMessage, request instanceof Readable, request instanceof Stream],
        [response instanceof ServerResponse, response instanceof Stream],
        [request.socket instanceof Socket, request.constructor.name, response.constructor.name],
      ] as readonly unknown[],
  ),
  shows('one socket', ({ request, response }) => [
    request.socket === response.socket,
    request.connection === request.socket,
    response.connection === response.socket,
    response.req === request,
  ]),
  shows(
    'flags of the socket',
    ({ request: { socket } }) =>
      [
        [socket.destroyed, socket.readable, socket.writable, socket.connecting, socket.pending],
        [socket.readyState, socket.writableEnded, socket.writableLength, socket.writableCorked],
        [socket.writableFinished, socket.errored, socket.closed, socket.writableNeedDrain],
        [typeof socket.bytesWritten, typeof socket.bytesRead, socket.timeout ?? 0],
      ] as readonly unknown[],
  ),
  shows('methods of the socket do nothing harmful', ({ request: { socket } }) => [
    socket.setNoDelay(true) === socket,
    socket.setKeepAlive(true, 1000) === socket,
    socket.ref() === socket,
    socket.unref() === socket,
  ]),
  shows(
    'high water marks',
    ({ request, response }) =>
      [
        [request.readableHighWaterMark, response.writableHighWaterMark, request.socket.writableHighWaterMark],
      ] as readonly unknown[],
  ),
  shows(
    'own keys of a request are node’s',
    ({ request }) => [Object.keys(request).filter((key) => key !== 'environ')] as readonly unknown[],
  ),
  {
    name: 'req.complete becomes true after the handler, whether or not somebody reads',
    request: { method: 'POST', body: 'abc' },
    handle: async ({ request, response, log }) => {
      log(request.complete);
      while (!request.complete) {
        await new Promise(setImmediate);
      }
      log(request.complete, request.readableEnded, request.readableLength, request.destroyed);
      response.end();
    },
  },
  {
    name: 'req.complete of a request without body',
    handle: async ({ request, response, log }) => {
      log(request.complete);
      await new Promise(setImmediate);
      log(request.complete, request.readableEnded, request.readableLength, request.destroyed);
      response.end();
    },
  },
];
