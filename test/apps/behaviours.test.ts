/** Every case behind one nginx, on node:http and by FastCGI: its client and its handler must see the same. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { installed } from '../e2e/install-servers';
import type { Behaviour, Observation } from './behaviour';
import { behaviours } from './behaviours';
import { handleRun, observe } from './observe';
import { openStage, type Stage, type Way } from './stage';

const STAGE_TIMEOUT_MS = 30_000;
const CASE_TIMEOUT_MS = 30_000;

/** Each way of FastCGI with the one of node:http that nginx treats alike. */
const PAIRS: readonly { readonly fastCgi: Way; readonly node: Way }[] = [
  { fastCgi: 'FastCGI', node: 'node:http' },
  { fastCgi: 'FastCGI keep-conn', node: 'node:http' },
  { fastCgi: 'FastCGI unbuffered', node: 'node:http unbuffered' },
];

// As on any machine without nginx: global-setup has said so loudly, or stopped the run in CI.
const describeIt = installed('nginx') ? describe : describe.skip;

describeIt('the same as on node:http', () => {
  let stage: Stage | undefined;

  beforeAll(async () => {
    stage = await openStage({ node: handleRun, postern: handleRun });
  }, STAGE_TIMEOUT_MS);
  afterAll(() => stage?.stop(), STAGE_TIMEOUT_MS);

  const observeOn = (behaviour: Behaviour, way: Way): Promise<Observation> => {
    if (stage === undefined) {
      throw new Error('the stage did not open');
    }
    return observe(behaviour, stage.origin(way));
  };

  for (const { fastCgi, node } of PAIRS) {
    describe(`${fastCgi}:`, () => {
      for (const behaviour of behaviours) {
        if (behaviour.unbufferedOnly === true && fastCgi !== 'FastCGI unbuffered') {
          continue;
        }
        test(
          behaviour.name,
          async () => {
            const expected = await observeOn(behaviour, node);
            const seen = await observeOn(behaviour, fastCgi);

            if (behaviour.difference === undefined) {
              expect(seen).toEqual(expected);
            } else {
              expect(seen.log).toEqual(behaviour.difference.log ?? seen.log);
              expect(seen.log).not.toContain('NOT response closed');
            }
          },
          CASE_TIMEOUT_MS,
        );
      }
    });
  }
});
