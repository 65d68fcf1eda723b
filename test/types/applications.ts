// Applications of every kind, as their authors write them: each must type-check against the package as it is packed.
import type { Application, Body, Chunk, Environ, StartResponse, Write } from 'postern';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';

export const string: Application = (_environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return 'hello';
};

export const bytes: Application = (_environ, startResponse) => {
  startResponse('200 OK', []);
  return Buffer.from('hello');
};

export const nothing: Application = (_environ, startResponse) => {
  startResponse('204 No Content', []);
  return null;
};

export const array: Application = (_environ, startResponse) => {
  startResponse('200 OK', []);
  return ['a', new Uint8Array(1)];
};

export const set: Application = (_environ, startResponse) => {
  startResponse('200 OK', []);
  return new Set(['a']);
};

export const asynchronous: Application = async (_environ, startResponse) => {
  await Promise.resolve();
  startResponse('200 OK', []);
  return 'hello';
};

export const generator: Application = function* (_environ, startResponse) {
  startResponse('200 OK', []);
  yield 'a';
  yield Buffer.from('b');
};

export const asyncGenerator: Application = async function* (environ, startResponse) {
  startResponse('200 OK', []);
  for await (const chunk of environ['wsgi.input']) {
    yield chunk as Buffer;
  }
};

export const nodeStream: Application = (_environ, startResponse) => {
  startResponse('200 OK', []);
  return Readable.from(['a']);
};

export const imperative: Application = (_environ, startResponse) => {
  const write: Write = startResponse('200 OK', []);
  write('a');
  write(new Uint8Array(1));
  return undefined;
};

export const fileOf: Application = async (environ, startResponse) => {
  startResponse('200 OK', []);
  const wrap = environ['wsgi.file_wrapper'];
  const bodies: Body[] = [wrap('/path'), wrap(createReadStream('/path')), wrap(await open('/path'), 4096)];
  return bodies[0];
};

export const replacing: Application = (_environ, startResponse) => {
  try {
    startResponse('200 OK', []);
    return 'a';
  } catch (error) {
    startResponse('500 Internal Server Error', [], error);
    return 'b';
  }
};

export function middleware(application: Application): Application {
  return (environ, startResponse) =>
    application({ ...environ, SCRIPT_NAME: '/x', 'my.key': 1 }, startResponse);
}

export function headers(startResponse: StartResponse): void {
  const pairs: [string, string][] = [['A', 'b']];
  const constants = [['A', 'b']] as const;
  startResponse('200 OK', pairs);
  startResponse('200 OK', constants);
}

export function keys(environ: Environ): unknown[] {
  const method: string = environ.REQUEST_METHOD;
  const type: string | undefined = environ.CONTENT_TYPE;
  const accept: string | undefined = environ['HTTP_ACCEPT'];
  const scheme: 'http' | 'https' = environ['wsgi.url_scheme'];
  const version: readonly [1, 0] = environ['wsgi.version'];
  const input: Readable = environ['wsgi.input'];
  const errors: Writable = environ['wsgi.errors'];
  const signal: AbortSignal = environ['postern.signal'];
  const role: 'RESPONDER' | 'AUTHORIZER' | 'FILTER' | undefined = environ['fastcgi.role'];
  environ['postern.after_response'](() => undefined);
  environ['postern.after_response'](async () => Promise.resolve());
  environ['wsgi.input'] = Readable.from([]);
  environ['my.middleware'] = { any: 'thing' };
  const own: unknown = environ['my.middleware'];
  return [method, type, accept, scheme, version, input, errors, signal, role, own];
}

export const chunks: Chunk[] = ['a', Buffer.from('b'), new Uint8Array(1)];
