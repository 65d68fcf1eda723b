// The errors: `code` is the contract, and TypeScript knows every one.
import { ApplicationError, GatewayError, PeerError, statusText, type GatewayErrorCode } from 'postern';

export function statusOf(error: unknown): string {
  if (error instanceof PeerError) {
    return error.status;
  }
  if (error instanceof ApplicationError && error.code === 'ERR_HEADER') {
    return statusText(500);
  }
  if (error instanceof GatewayError) {
    const code: GatewayErrorCode = error.code;
    return code;
  }
  return 'unknown';
}

export function mistaken(error: GatewayError): boolean {
  // @ts-expect-error -- no such code
  return error.code === 'ERR_NO_SUCH_CODE';
}

// @ts-expect-error -- an application's fault has another class
new PeerError('ERR_HEADER', 'x');
