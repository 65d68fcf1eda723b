import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { RequestBody } from '../../../../adapters/exchange/request-body';

test('a request body that was thrown away is an error to whoever touches it later', async () => {
  const body = new RequestBody({ contentLength: 5, maxBodyBytes: 10, onRoom: () => undefined });

  body.push(Buffer.from('abc'));
  body.discard();

  const emitted: unknown[] = await once(body.stream, 'error');

  expect(emitted[0]).toMatchObject({ code: 'ERR_BODY_TRUNCATED' });
});
