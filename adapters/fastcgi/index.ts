export { Client, type ClientAddress, type ClientOptions } from './client';
export type { ClientRequestOptions, ClientResponse } from './client-exchange';
export { fastCgiApplication } from './fastcgi-application';
export { createServer, type CloseOptions, type FastCgiServer } from './fastcgi-server';
export type { FastCgiOptions } from './options';
export { serve, type FastCgiServeOptions } from './serve';
