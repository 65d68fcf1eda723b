/** The conformance table: every row of it. */
import type { Behaviour } from './behaviour';
import { methods } from './table/methods';
import { targets } from './table/targets';
import { requestHeaders } from './table/request-headers';
import { requestBodies } from './table/request-bodies';
import { responseHeads } from './table/response-heads';
import { responseBodies } from './table/response-bodies';
import { failures } from './table/failures';
import { connections } from './table/connections';

export const behaviours: readonly Behaviour[] = [
  ...methods,
  ...targets,
  ...requestHeaders,
  ...requestBodies,
  ...responseHeads,
  ...responseBodies,
  ...failures,
  ...connections,
];
