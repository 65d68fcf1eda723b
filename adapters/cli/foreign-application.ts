/** Applications of other kinds than the gateway's own: recognised by their looks, for the classes are the user's. */
import { GatewayError } from '../../src/errors';
import type { Application } from '../../src/gateway/types';
import type { FetchApplication } from '../fetch/index';
import type { Style } from './load-application';

/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */
/** Each application needs one of them. */
const modules = {
  fetch: () => require('../fetch/index') as typeof import('../fetch/index'),
  node: () => require('../node/index') as typeof import('../node/index'),
};
/* eslint-enable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */

/** @returns undefined for a bare function, and for what is no application. */
export function recognize(value: object): 'node' | 'fetch' | undefined {
  const has = (...names: string[]): boolean =>
    names.every((name) => typeof (value as Readonly<Record<string, unknown>>)[name] === 'function');

  if (has('fetch')) {
    return 'fetch'; // Hono, h3, `export default { fetch }`
  }
  if (
    has('handle', 'use') || // Express, Connect
    (has('callback', 'use') && 'middleware' in value) || // Koa
    has('routing', 'ready') || // Fastify
    has('emit', 'listen', 'address') // http.Server
  ) {
    return 'node';
  }
  return undefined;
}

/**
 * @param what names the value in messages.
 * @param style undefined: found out.
 * @throws {GatewayError} `ERR_APPLICATION`
 */
export function adapt(
  value: unknown,
  what: string,
  style: Style | undefined,
): Application | Promise<Application> {
  // Fastify has a `then`, too.
  if (isObject(value) && recognize(value) === undefined && isThenable(value)) {
    return Promise.resolve(value).then((later) => adaptNow(later, what, style));
  }
  return adaptNow(value, what, style);
}

function adaptNow(value: unknown, what: string, style: Style | undefined): Application {
  if (!isObject(value)) {
    throw new GatewayError(
      'ERR_APPLICATION',
      `${what} is ${value === null ? 'null' : `a ${typeof value}`}, not an application`,
    );
  }
  switch (style ?? styleOf(value, what)) {
    case 'gateway':
      return asGatewayApplication(value, what);
    case 'node':
      return asNodeApplication(value, what);
    case 'fetch':
      return asFetchApplication(value, what);
  }
}

function asGatewayApplication(value: object, what: string): Application {
  if (typeof value !== 'function') {
    throw new GatewayError('ERR_APPLICATION', `${what} is not a function app(environ, startResponse)`);
  }
  // Whatever else it is will show when it is called.
  return value as Application;
}

function asNodeApplication(value: object, what: string): Application {
  if (typeof value !== 'function' && recognize(value) !== 'node') {
    throw new GatewayError(
      'ERR_APPLICATION',
      `${what} is neither a (req, res) function nor an Express, Koa or Fastify application`,
    );
  }
  return modules.node().fromNode(value);
}

function asFetchApplication(value: object, what: string): Application {
  if (typeof value !== 'function' && recognize(value) !== 'fetch') {
    throw new GatewayError(
      'ERR_APPLICATION',
      `${what} is neither a function fetch(request) nor an object that has one`,
    );
  }

  // A function that has a method fetch() is the object of that.
  const application = value as FetchApplication | ((request: Request) => Response);

  return modules
    .fetch()
    .fromFetch('fetch' in application ? { fetch: (...args) => application.fetch(...args) } : application);
}

/** @throws {GatewayError} for what could be one thing or another, or nothing. */
function styleOf(value: object, what: string): Style {
  const style = recognize(value);

  if (style !== undefined) {
    return style;
  }
  if (typeof value === 'function') {
    return styleOfFunction(value, what);
  }
  throw new GatewayError(
    'ERR_APPLICATION',
    Object.keys(value).length === 0
      ? `${what} exports nothing; a script that listens by itself runs with: postern server <script>`
      : `${what} is not an application: neither a function app(environ, startResponse), nor an Express, Koa or Fastify application, nor an object with fetch()`,
  );
}

function styleOfFunction(value: { readonly length: number }, what: string): Style {
  if (/^class\b/.test(Function.prototype.toString.call(value))) {
    throw new GatewayError('ERR_APPLICATION', `${what} is a class, not an application`);
  }
  switch (value.length) {
    case 0: // …args
    case 2:
      return 'gateway';
    case 1:
      throw new GatewayError(
        'ERR_APPLICATION',
        `${what} takes one argument: say --as fetch if that is a Request, else --as gateway or --as node`,
      );
    default:
      throw new GatewayError(
        'ERR_APPLICATION',
        `${what} takes ${String(value.length)} arguments: say --as node if they are (req, res, next), else --as gateway`,
      );
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function isThenable(value: object): value is PromiseLike<unknown> {
  return 'then' in value && typeof value.then === 'function';
}
