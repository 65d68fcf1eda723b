export type { HttpOptions, HttpServer } from './serve';
export { serve } from './serve';
