/** Request bodies that a front end wants to be rid of before it goes on. */
import { describe, expect, test } from '@jest/globals';
import type { Application } from '../../../../src/index';
import {
  abortRequest,
  beginRequest,
  params,
  RecordType,
  responseOf,
  stdin,
  stream,
} from '../../../support/records';
import { pairsOf, settled, withServer } from './running-server';

const { STDIN, STDOUT, END_REQUEST } = RecordType;
const MIB = 1024 * 1024;

const early: Application = (_environ, startResponse) => {
  startResponse('413 Content Too Large', []);
  return 'too large';
};

const echo: Application = (environ, startResponse) => {
  startResponse('200 OK', []);
  return environ['wsgi.input'];
};

function upload(id: number, length: number, software: string): Buffer {
  const pairs = pairsOf({ CONTENT_LENGTH: String(length), SERVER_SOFTWARE: software });

  return Buffer.concat([beginRequest(id, 1, 1), params(id, pairs)]);
}

describe('an answer that comes before the end of the body', () => {
  test('is ended for HAProxy only when STDIN has ended, for it forgets the rest of the body then', async () => {
    await withServer(early, async ({ connect, server }) => {
      const client = await connect();

      await client.write(upload(1, 10, 'HAProxy 2.6.12'));
      await client.waitForRecord(({ type, content }) => type === STDOUT && content.length === 0);
      await client.write(stream(STDIN, 1, '01234', { end: false }));
      await settled(() => client.receivedBytes);
      expect(client.records.some(({ type }) => type === END_REQUEST)).toBe(false);
      expect(server.activeRequests).toBe(0);

      await client.write(stdin(1, '56789'));
      expect((await client.waitForEnd(1)).stdout.toString()).toContain('too large');
    });
  });

  test('is ended for HAProxy when it gives the request up', async () => {
    await withServer(early, async ({ connect }) => {
      const client = await connect();

      await client.write(upload(1, 10, 'HAProxy 2.6.12'));
      await client.waitForRecord(({ type, content }) => type === STDOUT && content.length === 0);
      await client.write(abortRequest(1));
      await client.waitForEnd(1);
      expect(responseOf(client.records, 1).stdoutEnded).toBe(true);
    });
  });

  test('is ended at once for a body of no bytes, which HAProxy need not end', async () => {
    await withServer(early, async ({ connect }) => {
      const client = await connect();

      await client.write(upload(1, 0, 'HAProxy 2.6.12'));
      await client.waitForEnd(1);
    });
  });

  test('is ended at once for all others: nginx may never send the rest', async () => {
    await withServer(early, async ({ connect }) => {
      const client = await connect();

      await client.write(upload(1, 10, 'nginx/1.22.1'));
      await client.waitForEnd(1);
    });
  });
});

describe('a front end that reads nothing before it has delivered the body', () => {
  test('is rid of 8 MiB, though the application sends back what it reads', async () => {
    const body = Buffer.alloc(8 * MIB, 'e');

    await withServer(echo, async ({ connect }) => {
      const client = await connect();

      // As Caddy 2.6.2 and mod_fcgid 2.3.9.
      client.pause();
      await client.write(upload(1, body.length, 'Caddy/v2.6.2'));
      await client.write(stdin(1, body));
      client.resume();
      expect((await client.waitForEnd(1)).stdout.subarray(-body.length).equals(body)).toBe(true);
    });
  });

  test('is stopped when 16 MiB wait', async () => {
    await withServer(echo, async ({ connect }) => {
      const client = await connect();
      const piece = stream(STDIN, 1, Buffer.alloc(65528), { end: false });
      let delivered = 0;
      const deliver = (): void => {
        void client.write(piece).then(() => {
          delivered += piece.length;
          deliver();
        }, ignore);
      };

      client.pause();
      await client.write(upload(1, 32 * MIB, 'Caddy/v2.6.2'));
      deliver();

      const left = await settled(() => delivered);

      // What the system holds between the two of them is counted as delivered.
      expect(left).toBeGreaterThan(16 * MIB);
      expect(left).toBeLessThan(20 * MIB);
    });
  });
});

function ignore(): void {
  // The test is over.
}
