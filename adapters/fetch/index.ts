export {
  fromFetch,
  type FetchApplication,
  type FetchContext,
  type FetchEnvironment,
  type FetchHandler,
} from './from-fetch';
export { toFetch, type CgiVariables } from './to-fetch';
