export { variablesOf, type RequestSource } from './http-exchange';
export { requestListener, type SourceOf } from './request-listener';
export type { HttpOptions, HttpServer } from './serve';
export { serve } from './serve';
