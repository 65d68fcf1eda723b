/** Methods, and the responses that have no body. */
import type { Behaviour, Exception, Observation, Scene } from '../behaviour';
import { APACHE_NO_LENGTH, LIGHTTPD } from '../hosts-by-name';
import { describeResponse } from '../observation';

function passesMethod(method: string, body?: string, exceptions: readonly Exception[] = []): Behaviour {
  return {
    name: `passes the method ${method}`,
    app: 'method',
    request: { method, ...(body === undefined ? {} : { body }) },
    expect: { status: 200, body: `${method}\n`, complete: true },
    exceptions,
  };
}

/** The row's request, then an ordinary one on the same connection: bytes too many would be its beginning. */
async function thenHello(scene: Scene): Promise<Observation> {
  const connection = scene.host.connect();
  try {
    const first = await connection.request(scene.prepare());
    const second = await connection.request(scene.prepare({ app: 'hello', method: 'GET' }));
    return { first: describeResponse(first), second: describeResponse(second) };
  } finally {
    connection.close();
  }
}

const hello = { status: 200, body: 'Hello, world!\n', complete: true };

export const methods: readonly Behaviour[] = [
  {
    name: 'answers a GET with head and body as the application gave them',
    app: 'hello',
    expect: {
      status: 200,
      reason: 'OK',
      headers: { 'content-type': 'text/plain', 'x-answer': 'hello' },
      body: 'Hello, world!\n',
      complete: true,
      surplus: '',
    },
  },
  passesMethod('GET'),
  passesMethod('POST', 'body'),
  passesMethod('PUT', 'body'),
  passesMethod('DELETE'),
  passesMethod('PATCH', 'body'),
  passesMethod('OPTIONS'),
  passesMethod('PROPFIND'),
  passesMethod('BREW', undefined, [
    {
      hosts: LIGHTTPD,
      why: 'lighttpd 1.4.69 answers 501 to a method that it does not know',
      expect: { status: 501 },
    },
  ]),
  {
    name: 'answers a HEAD with the head alone, and keeps its Content-Length',
    app: 'hello',
    request: { method: 'HEAD' },
    observe: thenHello,
    expect: {
      first: {
        status: 200,
        headers: { 'content-type': 'text/plain', 'content-length': '14', 'x-answer': 'hello' },
        body: '',
        complete: true,
      },
      second: hello,
    },
    exceptions: [
      {
        hosts: APACHE_NO_LENGTH,
        why: 'Apache 2.4.71 forgets a Content-Length from behind it (CVE-2024-24795)',
        expect: {
          first: {
            status: 200,
            headers: { 'content-type': 'text/plain', 'content-length': undefined, 'x-answer': 'hello' },
            body: '',
            complete: true,
          },
          second: hello,
        },
      },
    ],
  },
  {
    name: 'answers a HEAD with the head alone when the body is generated',
    app: 'generator-body',
    request: { method: 'HEAD' },
    observe: thenHello,
    expect: {
      first: { status: 200, headers: { 'x-answer': 'late' }, body: '', complete: true },
      second: hello,
    },
  },
  {
    name: 'sends no body with a 204',
    app: 'no-content',
    observe: thenHello,
    expect: {
      first: { status: 204, headers: { 'x-answer': 'nothing' }, body: '', complete: true },
      second: hello,
    },
  },
  {
    name: 'sends no body with a 304',
    app: 'not-modified',
    observe: thenHello,
    expect: {
      first: { status: 304, headers: { etag: '"fixture"' }, body: '', complete: true },
      second: hello,
    },
  },
];
