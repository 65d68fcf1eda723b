/** Before all tests: the real servers, and proof that what the child processes run is built. */
import { existsSync } from 'node:fs';
import { installServers } from '../e2e/install-servers';

// Jest wants a default export here.
// eslint-disable-next-line no-restricted-exports
export default async function globalSetup(): Promise<void> {
  if (!existsSync('dist/postern.js')) {
    throw new Error('dist is missing: run the tests with `npm test`, or `npm run build` first');
  }
  await installServers();
}
