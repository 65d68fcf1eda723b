export { createServer, type CloseOptions, type FastCgiServer } from './fastcgi-server';
export type { FastCgiOptions } from './options';
export { serve, type FastCgiServeOptions } from './serve';
