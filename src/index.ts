export * from './errors';
export { statusText } from './gateway/status';
export type * from './gateway/types';
