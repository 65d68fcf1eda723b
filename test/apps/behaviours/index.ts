import type { Behaviour } from '../behaviour';
import { endings } from './endings';
import { heads } from './heads';
import { requestBodies } from './request-bodies';
import { requests } from './requests';
import { responseBodies } from './response-bodies';

export const behaviours: readonly Behaviour[] = [
  ...requests,
  ...requestBodies,
  ...heads,
  ...responseBodies,
  ...endings,
];
