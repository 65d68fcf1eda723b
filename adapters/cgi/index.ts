export { cgiApplication, type CgiApplicationOptions } from './cgi-application';
export { serve } from './serve';
export type { CgiOptions } from './serve';
