/**
 * Node's modules at the moment they are needed. A CGI process lives for one request: what its application does not
 * touch is not loaded (`stream` alone costs about as much as the rest of the gateway).
 */
type Stream = typeof import('node:stream'); // eslint-disable-line @typescript-eslint/consistent-type-imports -- the module itself
type Net = typeof import('node:net'); // eslint-disable-line @typescript-eslint/consistent-type-imports -- the module itself
type FilePromises = typeof import('node:fs/promises'); // eslint-disable-line @typescript-eslint/consistent-type-imports -- the module itself

export function streamModule(): Stream {
  return process.getBuiltinModule('node:stream');
}

export function netModule(): Net {
  return process.getBuiltinModule('node:net');
}

export function filePromisesModule(): FilePromises {
  return process.getBuiltinModule('node:fs/promises');
}
