/** Finds the application in a file: `path[:export]`. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { GatewayError } from '../../src/errors';
import type { Application } from '../../src/gateway/types';
import { brokenApplication } from './broken-application';

/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */
/** A CGI process with an application of the gateway's own kind needs none of them. */
const modules = {
  foreignApplication: () => require('./foreign-application') as typeof import('./foreign-application'),
  typeScript: () => require('./type-script') as typeof import('./type-script'),
};
/* eslint-enable @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports */

/** `gateway`: (environ, startResponse); `node`: (req, res), Express, Koa, Fastify; `fetch`: (request) → Response. */
export type Style = 'gateway' | 'node' | 'fetch';

/** The exports that are looked for, in this order, when none is named. */
const EXPORT_NAMES = ['application', 'app', 'default', 'handler'] as const;

interface ApplicationName {
  readonly path: string;
  readonly exportName: string | undefined;
}

/** `--as`. @throws {GatewayError} `ERR_USAGE` */
export function parseStyle(text: string | undefined): Style | undefined {
  switch (text) {
    case undefined:
    case 'gateway':
    case 'node':
    case 'fetch':
      return text;
    default:
      throw new GatewayError('ERR_USAGE', `--as takes gateway, node or fetch, not ${text}`);
  }
}

/**
 * Loads a CommonJS, ES or TypeScript module. Synchronous for CommonJS, so that a CGI script does not pay for the
 * ES module loader.
 *
 * @param style what kind of application it is; undefined: found out.
 * @throws {GatewayError} `ERR_APPLICATION`, with a message that says it all: no file, no such export, an error in it.
 */
export function loadApplication(name: string, style?: Style): Application | Promise<Application> {
  const target = parseApplicationName(name);
  const loaded = loadModule(target.path);

  const chosen =
    loaded instanceof Promise
      ? loaded.then((exports) => chooseExport(exports, target, style))
      : chooseExport(loaded, target, style);

  if (!(chosen instanceof Promise)) {
    return chosen;
  }
  return chosen.catch((error: unknown) => {
    throw brokenApplication(target.path, error);
  });
}

/** @throws {GatewayError} `ERR_APPLICATION` when there is no such file. */
export function parseApplicationName(name: string): ApplicationName {
  const whole = resolve(name);

  if (existsSync(whole)) {
    return { path: whole, exportName: undefined };
  }

  const [, path = '', exportName] = /^(.+):([^:/]+)$/.exec(name) ?? [];

  if (path !== '' && existsSync(resolve(path))) {
    return { path: resolve(path), exportName };
  }
  throw new GatewayError('ERR_APPLICATION', `no such file: ${path === '' ? name : path}`);
}

function loadModule(path: string): unknown {
  try {
    if (/^\.[cm]?ts$/.test(extname(path))) {
      return loadTypeScript(path);
    }
    return isEsModule(path) ? importModule(path) : requireModule(path);
  } catch (error) {
    throw brokenApplication(path, error);
  }
}

/** Node's own rule: `.mjs`, or `.js` below a package.json that says so. */
function isEsModule(path: string): boolean {
  const extension = extname(path);

  return extension === '.mjs' || (extension === '.js' && packageType(dirname(path)) === 'module');
}

function packageType(folder: string): string | undefined {
  const file = join(folder, 'package.json');

  if (existsSync(file)) {
    return (JSON.parse(readFileSync(file, 'utf8')) as { type?: string }).type;
  }

  const parent = dirname(folder);

  return parent === folder ? undefined : packageType(parent);
}

function requireModule(path: string): unknown {
  try {
    return require(path); // eslint-disable-line @typescript-eslint/no-require-imports -- the path is known at run time only
  } catch (error) {
    // ES module syntax in a .js file that no package.json speaks for.
    if (/^ERR_REQUIRE_(?:ESM|ASYNC_MODULE)$/.test((error as NodeJS.ErrnoException | null)?.code ?? '')) {
      return importModule(path);
    }
    throw error;
  }
}

async function importModule(path: string): Promise<unknown> {
  const { pathToFileURL } = process.getBuiltinModule('node:url');

  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    throw brokenApplication(path, error);
  }
}

function loadTypeScript(path: string): unknown {
  const { prepareTypeScript, stripsTypes } = modules.typeScript();

  if (stripsTypes()) {
    return importModule(path);
  }
  prepareTypeScript(path);
  return requireModule(path);
}

function chooseExport(
  exports: unknown,
  { path, exportName }: ApplicationName,
  style: Style | undefined,
): Application | Promise<Application> {
  if (exportName !== undefined) {
    const found = exportOf(exports, exportName);

    if (found === undefined) {
      throw new GatewayError('ERR_APPLICATION', `${path} has no export ${exportName}`);
    }
    return asApplication(found, `the export ${exportName} of ${path}`, style);
  }
  // A framework's application may have properties of any name.
  if (!isFramework(exports)) {
    for (const name of EXPORT_NAMES) {
      const found = exportOf(exports, name);

      if (found !== undefined) {
        return asApplication(found, `the export ${name} of ${path}`, style);
      }
    }
  }
  return asApplication(exports, path, style);
}

/** A CommonJS module that was imported has its exports below `default`. */
function exportOf(exports: unknown, name: string): unknown {
  const fallback = propertyOf(exports, 'default');
  const own = name === 'default' ? fallback : propertyOf(exports, name);

  if (isFramework(fallback)) {
    return own;
  }
  if (name === 'default' && typeof own === 'object' && own !== null) {
    return EXPORT_NAMES.map((nested) => propertyOf(own, nested)).find((found) => found !== undefined) ?? own;
  }
  return own ?? propertyOf(fallback, name);
}

function propertyOf(value: unknown, name: string): unknown {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** Not a bare function, and not what merely holds exports. */
function isFramework(value: unknown): boolean {
  if (typeof value === 'function') {
    return !isBareFunction(value);
  }
  if (typeof value !== 'object' || value === null) {
    return false;
  }

  const prototype: unknown = Object.getPrototypeOf(value);

  return (
    prototype !== null &&
    prototype !== Object.prototype &&
    modules.foreignApplication().recognize(value) !== undefined
  );
}

/** Express and Connect applications are functions with methods, and so might be an application with `fetch`. */
function isBareFunction(value: object): boolean {
  return !('handle' in value || 'fetch' in value);
}

function asApplication(
  value: unknown,
  what: string,
  style: Style | undefined,
): Application | Promise<Application> {
  // Nothing more is loaded for the gateway's own kind.
  if (
    typeof value === 'function' &&
    (style === 'gateway' || (style === undefined && value.length === 2 && isBareFunction(value)))
  ) {
    // Whatever else it is will show when it is called.
    return value as Application;
  }
  return modules.foreignApplication().adapt(value, what, style);
}
