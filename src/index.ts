export * from './errors';
export type * from './gateway/types';
export { statusText } from './gateway/status';
