export * from './errors';
export type * from './gateway/types';
