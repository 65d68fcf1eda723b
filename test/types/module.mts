// The same package from an ES module.
import { GatewayError, PeerError, statusText, type Application } from 'postern';

export const application: Application = async function* (_environ, startResponse) {
  startResponse(`404 ${statusText(404)}`, []);
  yield await Promise.resolve('a');
};

export const isOne: boolean = new PeerError('ERR_PATH', 'x') instanceof GatewayError;
