/** The response's head: every form of making one. */
import type { Behaviour, Scene } from '../behaviour';
import type { HttpRequest } from '../../support/http-client';

function answers(name: string, handle: (scene: Scene) => unknown, request?: HttpRequest): Behaviour {
  return { name, handle, ...(request === undefined ? {} : { request }) };
}

/** Logs what is thrown. */
function tried({ log }: Scene, action: () => unknown): void {
  try {
    action();
    log('nothing thrown');
  } catch (error) {
    log(error);
  }
}

export const heads: readonly Behaviour[] = [
  answers('writeHead(status)', ({ response }) => response.writeHead(202).end('x')),
  answers('writeHead(status, object)', ({ response }) =>
    response.writeHead(201, { 'X-A': 'b', 'x-n': 5 }).end('x'),
  ),
  answers('writeHead(status, reason)', ({ response }) => response.writeHead(200, 'Very Well').end('x')),
  answers('writeHead(status, reason, object)', ({ response }) =>
    response.writeHead(404, 'Gone Fishing', { 'X-A': 'b' }).end('x'),
  ),
  answers('writeHead(status, flat array)', ({ response }) =>
    response.writeHead(200, ['X-A', '1', 'X-A', '2', 'x-B', '3']).end('x'),
  ),
  answers('writeHead(status, array of pairs)', ({ response }) =>
    response
      .writeHead(200, [
        ['X-A', '1'],
        ['X-A', '2'],
      ] as unknown as string[])
      .end('x'),
  ),
  answers('writeHead(status, reason, flat array)', ({ response }) =>
    response.writeHead(200, 'Fine', ['X-A', '1', 'x-B', '3']).end('x'),
  ),
  answers('writeHead with an odd array', (scene) => {
    tried(scene, () => scene.response.writeHead(200, ['X-A', '1', 'X-B']));
    scene.response.end('after');
  }),
  answers('writeHead over setHeader: object', ({ response }) => {
    response.setHeader('X-A', 'set');
    response.setHeader('X-B', 'set');
    response.writeHead(200, { 'x-a': 'written' }).end('x');
  }),
  answers('writeHead over setHeader: flat array', ({ response }) => {
    response.setHeader('X-A', 'set');
    response.writeHead(200, ['x-a', '1', 'X-C', '2']).end('x');
  }),
  answers('writeHead twice', (scene) => {
    scene.response.writeHead(200);
    tried(scene, () => scene.response.writeHead(201));
    scene.response.end('x');
  }),
  ...[0, 99, 1000, -1, NaN].map((status) =>
    answers(`writeHead(${String(status)})`, (scene) => {
      tried(scene, () => scene.response.writeHead(status));
      scene.response.statusCode = 200;
      scene.response.end('after');
    }),
  ),
  ...[200, 201, 203, 206, 299, 301, 400, 418, 451, 500, 599, 600, 799, 999].map((status) =>
    answers(`status ${String(status)}`, ({ response }) => {
      response.statusCode = status;
      response.setHeader('Content-Type', 'text/plain');
      response.end('body');
    }),
  ),
  answers('statusMessage', ({ response }) => {
    response.statusMessage = 'Custom Reason';
    response.end('x');
  }),
  answers('latin-1 in statusMessage', ({ response }) => {
    response.statusMessage = 'caf\xe9';
    response.end(Buffer.from('x'));
  }),
  answers('statusMessage with a line break', (scene) => {
    scene.response.statusMessage = 'a\nb';
    tried(scene, () => scene.response.writeHead(200));
    scene.response.statusMessage = 'OK';
    scene.response.end('after');
  }),
  answers('implicit head after write', ({ response, log }) => {
    log(response.headersSent, typeof response.statusMessage);
    response.write('a');
    log(response.headersSent, response.statusMessage);
    response.end('b');
  }),
  answers('setHeader after the head', (scene) => {
    scene.response.write('a');
    tried(scene, () => scene.response.setHeader('X', 'y'));
    tried(scene, () => scene.response.removeHeader('X'));
    tried(scene, () => scene.response.appendHeader('X', 'y'));
    scene.response.end();
  }),
  answers('setHeader, getHeader, hasHeader, removeHeader', ({ response, log }) => {
    response.setHeader('X-One', '1');
    response.setHeader('X-Two', ['a', 'b']);
    response.setHeader('X-Gone', '1');
    response.removeHeader('x-gone');
    log(response.getHeader('x-ONE'), response.getHeader('X-TWO'), response.hasHeader('X-Gone'));
    log(response.getHeaderNames(), { ...response.getHeaders() });
    response.end('x');
  }),
  answers('appendHeader', ({ response, log }) => {
    response.setHeader('X-A', '1');
    response.appendHeader('x-a', '2').appendHeader('X-A', ['3', '4']).appendHeader('X-B', '5');
    log(response.getHeader('X-A'), response.getHeader('X-B'));
    response.end('x');
  }),
  answers('setHeaders of a Map and of Headers', ({ response }) => {
    response.setHeaders(new Map([['X-A', '1']]));
    response.setHeaders(new Headers({ 'X-B': '2', 'Set-Cookie': 'a=b' }));
    response.end('x');
  }),
  answers('numbers and booleans as values', ({ response }) => {
    response.setHeader('X-N', 42);
    response.setHeader('X-B', true as unknown as string);
    response.end('x');
  }),
  answers('invalid names and values are refused', (scene) => {
    const { response } = scene;

    tried(scene, () => response.setHeader('a b', 'x'));
    tried(scene, () => response.setHeader('', 'x'));
    tried(scene, () => response.setHeader('X', undefined as unknown as string));
    tried(scene, () => response.setHeader('X', 'a\r\nSet-Cookie: b'));
    tried(scene, () => response.setHeader('X', '\u20ac'));
    tried(scene, () => response.writeHead(200, { 'a b': 'x' }));
    tried(scene, () => response.writeHead(200, { X: 'a\nb' }));
    tried(scene, () => response.writeHead(200, { X: undefined }));
    response.end('after');
  }),
  answers('several Set-Cookie', ({ response }) => {
    response.setHeader('Set-Cookie', [
      'a=1; Path=/',
      'b=2; HttpOnly',
      'c=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
    ]);
    response.end('x');
  }),
  answers('Set-Cookie in writeHead', ({ response }) =>
    response.writeHead(200, { 'Set-Cookie': ['a=1', 'b=2'] }).end('x'),
  ),
  answers('a latin-1 value, body in bytes', ({ response }) => {
    response.setHeader('X-L', 'caf\xe9');
    response.end(Buffer.from('x'));
  }),
  {
    name: 'a latin-1 value, body in a string',
    difference: {
      why: 'node writes head and string together, in the string’s encoding: the value becomes UTF-8',
    },
    handle: ({ response }) => {
      response.setHeader('X-L', 'caf\xe9');
      response.end('x');
    },
  },
  answers('an empty value', ({ response }) => {
    response.setHeader('X-E', '');
    response.end('x');
  }),
  answers('Content-Length from end(string)', ({ response }) => response.end('h\u00e9llo')),
  answers('Content-Length from end(bytes)', ({ response }) => response.end(Buffer.from('hello'))),
  answers('Content-Length of an empty end()', ({ response }) => response.end()),
  answers('no Content-Length after write', ({ response }) => {
    response.write('a');
    response.end('b');
  }),
  answers('Content-Length, then removed', ({ response }) => {
    response.setHeader('Content-Length', 5);
    response.removeHeader('Content-Length');
    response.end('hello');
  }),
  answers('a Content-Length of its own', ({ response }) => {
    response.setHeader('Content-Length', '5');
    response.write('he');
    response.end('llo');
  }),
  answers('Transfer-Encoding: chunked by hand', ({ response }) => {
    response.setHeader('Transfer-Encoding', 'chunked');
    response.write('a');
    response.end('b');
  }),
  answers('Transfer-Encoding: chunked in writeHead', ({ response }) => {
    response.writeHead(200, { 'Transfer-Encoding': 'chunked' });
    response.end('body');
  }),
  answers('Connection, Keep-Alive and Upgrade stay here', ({ response }) => {
    response.setHeader('Connection', 'close');
    response.setHeader('Keep-Alive', 'timeout=5');
    response.end('x');
  }),
  answers('Date by the application', ({ response }) => {
    response.setHeader('Date', 'Thu, 01 Jan 1970 00:00:00 GMT');
    response.end('x');
  }),
  answers('trailers are dropped', ({ response }) => {
    response.write('body');
    response.addTrailers({ 'X-T': 'v' });
    response.end();
  }),
  {
    name: 'the header Trailer',
    difference: { why: 'there are no trailers, so they are not announced' },
    handle: ({ response }) => {
      response.writeHead(200, { Trailer: 'X-T' });
      response.end('body');
    },
  },
  answers('Trailer with Content-Length is refused', (scene) => {
    tried(scene, () => scene.response.writeHead(200, { Trailer: 'X-T', 'Content-Length': 1 }));
    scene.response.end('x');
  }),
  answers('HEAD: no body, no invented length', ({ response }) => response.end('body'), { method: 'HEAD' }),
  answers(
    'HEAD with a Content-Length',
    ({ response }) => {
      response.setHeader('Content-Length', 1234);
      response.write('body');
      response.end();
    },
    { method: 'HEAD' },
  ),
  ...[204, 304].flatMap((status) => [
    answers(`${String(status)} with a body that nobody gets`, ({ response, log }) => {
      response.statusCode = status;
      log(response.write('body'));
      response.end('more');
    }),
    answers(`${String(status)} with headers`, ({ response }) => {
      response.writeHead(status, { ETag: '"x"', 'X-A': 'b' }).end();
    }),
  ]),
  answers('205', ({ response }) => response.writeHead(205).end()),
  answers('redirect', ({ response }) => response.writeHead(302, { Location: '/other?x=1' }).end()),
  answers('201 with Location', ({ response }) => response.writeHead(201, { Location: '/new' }).end('made')),
  answers('flushHeaders, then end', ({ response, log }) => {
    response.setHeader('X-A', 'b');
    response.flushHeaders();
    log(response.headersSent);
    response.end('x');
  }),
  answers(
    'Expect: 100-continue',
    async ({ request, response }) => {
      let body = '';
      for await (const chunk of request) {
        body += String(chunk);
      }
      response.end(body);
    },
    { method: 'POST', body: 'expected', headers: [['Expect', '100-continue']] },
  ),
  answers('many headers', ({ response }) => {
    for (let index = 0; index < 100; index++) {
      response.setHeader(`X-Header-${String(index)}`, `value ${String(index)}`);
    }
    response.end('x');
  }),
  answers('a long header', ({ response }) => {
    response.setHeader('X-Long', 'x'.repeat(6000));
    response.end('x');
  }),
  answers('strictContentLength: too long', (scene) => {
    scene.response.strictContentLength = true;
    scene.response.setHeader('Content-Length', 3);
    tried(scene, () => scene.response.end('four'));
    scene.response.strictContentLength = false;
    scene.response.end('thr');
  }),
];
