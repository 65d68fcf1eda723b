/** Applications as their users write them: the same answers by FastCGI as on node:http, behind one nginx. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { installed } from '../e2e/install-servers';
import { request } from '../support/http-client';
import { openTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder';
import { checks, type Check } from './checks';
import { describeResponse } from './observe';
import { openStage, type Stage, type Way } from './stage';

const STAGE_TIMEOUT_MS = 30_000;

const NAMES = ['plain', 'connect', 'express4', 'express5', 'koa', 'fastify'] as const;

interface FrameworkApplication {
  readonly callback?: () => RequestListener;
  readonly routing?: RequestListener;
  readonly ready?: () => PromiseLike<unknown>;
}

/** As its documentation says that it runs on node:http. */
async function nodeListener(application: RequestListener & FrameworkApplication): Promise<RequestListener> {
  await application.ready?.();
  return application.callback?.() ?? application.routing ?? application;
}

const describeIt = installed('nginx') ? describe : describe.skip;

for (const name of NAMES) {
  describeIt(`${name}:`, () => {
    let folder: TemporaryFolder | undefined;
    let stage: Stage | undefined;

    beforeAll(async () => {
      folder = await openTemporaryFolder();
      process.env['APPS_FOLDER'] = folder.path;

      // The applications are JavaScript, as users have them.
      const application = createRequire(__filename)(
        join(__dirname, 'applications', name),
      ) as RequestListener & FrameworkApplication;

      stage = await openStage({ node: await nodeListener(application), postern: application });
    }, STAGE_TIMEOUT_MS);

    afterAll(async () => {
      await stage?.stop();
      await folder?.remove();
    }, STAGE_TIMEOUT_MS);

    const answer = async (check: Check, way: Way): Promise<unknown> => {
      if (stage === undefined) {
        throw new Error('the stage did not open');
      }
      return request(stage.origin(way), {
        ...check,
        headers:
          check.headers?.some(([field]) => field === 'Host') === true
            ? check.headers
            : [['Host', 'app.example.test'], ...(check.headers ?? [])],
      }).then(describeResponse, (error: unknown) =>
        /ended by|was closed/.test(String(error)) ? 'cut' : String(error),
      );
    };

    for (const check of checks) {
      test(check.name, async () => {
        // On node:http it would end the process.
        if (name === 'plain' && (check.target === '/throw' || check.target === '/reject')) {
          expect(await answer(check, 'FastCGI')).toMatchObject({ status: 500 });
          return;
        }

        const expected = await answer(check, 'node:http');

        expect(await answer(check, 'FastCGI')).toEqual(expected);
        expect(await answer(check, 'FastCGI keep-conn')).toEqual(expected);
        expect(await answer(check, 'FastCGI unbuffered')).toEqual(expected);
      });
    }

    test('20 slow requests at once', async () => {
      const slow: Check = { name: 'slow', target: '/slow' };
      const answers = await Promise.all(Array.from({ length: 20 }, () => answer(slow, 'FastCGI')));

      expect(new Set(answers.map((one) => JSON.stringify(one)))).toEqual(
        new Set([JSON.stringify(await answer(slow, 'node:http'))]),
      );
    });
  });
}
