/** What is said about a file that cannot be loaded: one line. */
import { GatewayError } from '../../src/errors';

export function brokenApplication(path: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) {
    return error;
  }

  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);

  return new GatewayError('ERR_APPLICATION', `cannot load ${path}: ${oneLine(reason)}${placeOf(error)}`, {
    cause: error,
  });
}

function oneLine(text: string): string {
  const lines = text.split('\n');

  // The first one of ts-node only says that something follows.
  return lines.find((line) => line.includes(': error TS')) ?? lines[0] ?? '';
}

/** Where in the user's code it happened: a syntax error's stack begins with it, any other's first frame is it. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const place =
    /^(?:file:\/\/)?(\/[^\n]+:\d+)\n/.exec(stack)?.[1] ??
    /\n\s+at (?:[^\n(]*\()?((?:file:\/\/)?\/[^\n)]+:\d+:\d+)/.exec(stack)?.[1];

  return place === undefined ? '' : ` (${place})`;
}
