// What must not type-check. Each line below a @ts-expect-error is a mistake that the types catch.
import type { Application, Environ, StartResponse } from 'postern';

// @ts-expect-error -- a number is no body
export const numberBody: Application = () => 42;

// @ts-expect-error -- nor a promise of one
export const numberLater: Application = async () => Promise.resolve(42);

// @ts-expect-error -- a plain object is no body
export const objectBody: Application = () => ({ a: 1 });

// @ts-expect-error -- a chunk is a string or bytes
export const numberChunks: Application = () => [1, 2];

// @ts-expect-error -- in a generator, too
export const numberGenerator: Application = function* () {
  yield 1;
};

// @ts-expect-error -- and in an asynchronous one
export const numberAsyncGenerator: Application = async function* () {
  yield await Promise.resolve(1);
};

// @ts-expect-error -- two arguments, no third
export const three: Application = (environ, startResponse, next: () => string) => next();

export function startsWrongly(startResponse: StartResponse): void {
  // @ts-expect-error -- the status is a string, with a reason
  startResponse(200, []);
  // @ts-expect-error -- the headers are not optional
  startResponse('200 OK');
  // @ts-expect-error -- nor an object
  startResponse('200 OK', { 'Content-Type': 'text/plain' });
  // @ts-expect-error -- a value is a string
  startResponse('200 OK', [['Content-Length', 5]]);
  // @ts-expect-error -- a header is a pair
  startResponse('200 OK', [['Set-Cookie', 'a=1', 'b=2']]);
  // @ts-expect-error -- a chunk is a string or bytes
  startResponse('200 OK', [])(5);
}

export function usesWrongly(environ: Environ): unknown[] {
  // @ts-expect-error -- a task, not a promise of one
  environ['postern.after_response'](Promise.resolve());
  // @ts-expect-error -- a file is a path, a handle or a stream
  environ['wsgi.file_wrapper'](5);
  return [
    // @ts-expect-error -- CONTENT_TYPE may be absent
    environ.CONTENT_TYPE.length,
    // @ts-expect-error -- as any header may
    environ['HTTP_ACCEPT'].length,
    // @ts-expect-error -- nobody knows what a middleware has put there
    environ['my.key'].length,
  ];
}
