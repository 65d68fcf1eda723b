export { fromNode } from './from-node';
export type { GatewayRequest } from './node-request';
export type { NodeServer, RequestListener } from './node-server';
export { toNode } from './to-node';
