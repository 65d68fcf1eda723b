export { fromNode, type RequestListener } from './from-node';
export type { GatewayRequest } from './node-exchange';
