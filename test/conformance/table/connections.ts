/** Clients that come in numbers, come again, and go away. */
import { createHash } from 'node:crypto';
import type { Behaviour, Exception, Observation, Scene } from '../behaviour';
import { APACHE_FCGID, LIGHTTPD_BUFFERED, LIGHTTPD_UPLOAD_BUFFERED, NGINX_BUFFERED } from '../hosts-by-name';
import { digestOf } from '../observation';

/** How long a mark may take that must come. */
const MARK_TIMEOUT_MS = 8000;

/** How long to wait for the application to be called before the client leaves; a server may never call it. */
const CALL_TIMEOUT_MS = 1000;

async function observeTwenty(scene: Scene): Promise<Observation> {
  const bodies = Array.from({ length: 20 }, (_, index) =>
    Buffer.concat([Buffer.alloc(20_000 + index, index), createHash('sha256').update(String(index)).digest()]),
  );
  const responses = await Promise.all(
    bodies.map((body) => scene.request({ method: 'POST', body, timeoutMs: 25_000 })),
  );

  return {
    statuses: [...new Set(responses.map(({ status }) => status))],
    right: responses.filter(({ text }, index) => text === digestOf(bodies[index] ?? Buffer.alloc(0))).length,
  };
}

async function observeThreeInTurn(scene: Scene): Promise<Observation> {
  const connection = scene.host.connect();
  const texts: string[] = [];
  try {
    for (const method of ['GET', 'DELETE', 'OPTIONS']) {
      texts.push((await connection.request(scene.prepare({ method }))).text);
    }
  } finally {
    connection.close();
  }
  return { texts };
}

async function observeLeavingDownload(scene: Scene): Promise<Observation> {
  const { marks } = scene.host;
  const exchange = scene.start();

  await exchange.bodyReached(100_000);
  exchange.abort();
  const ending = await marks.first(scene.id, ['closed', 'finished'], MARK_TIMEOUT_MS);
  return { ending, signal: marks.isSet(scene.id, 'aborted') };
}

async function observeLeavingUpload(scene: Scene): Promise<Observation> {
  const { marks } = scene.host;
  const exchange = scene.start({
    method: 'POST',
    headers: [['Content-Length', '1000000']],
    body: halfAnUpload(),
  });
  const called = await marks.first(scene.id, ['started'], CALL_TIMEOUT_MS);

  exchange.abort();
  if (called === undefined) {
    // The server is still there, and has no reason to call the application any more.
    await scene.request({ app: 'hello' });
    return { input: marks.isSet(scene.id, 'started') ? 'called late' : 'never called' };
  }
  return { input: await marks.first(scene.id, ['failed', 'failed-otherwise', 'complete'], MARK_TIMEOUT_MS) };
}

/** The other half never comes. */
async function* halfAnUpload(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(500_000);
  await new Promise(() => undefined);
}

async function observeAfterResponse(scene: Scene): Promise<Observation> {
  const response = await scene.request();
  const mark = await scene.host.marks.first(scene.id, ['worked'], MARK_TIMEOUT_MS);

  return { text: response.text, complete: response.complete, mark };
}

function buffersUploads(hosts: RegExp, why: string): Exception {
  return { hosts, why, expect: { input: 'never called' } };
}

export const connections: readonly Behaviour[] = [
  {
    name: 'answers 20 requests at once, each with its own',
    app: 'digest',
    observe: observeTwenty,
    expect: { statuses: [200], right: 20 },
    timeoutMs: 30_000,
  },
  {
    name: 'answers three requests on one connection',
    app: 'method',
    observe: observeThreeInTurn,
    expect: { texts: ['GET\n', 'DELETE\n', 'OPTIONS\n'] },
  },
  {
    name: 'tells the application when the client leaves during a download',
    app: 'leaving',
    observe: observeLeavingDownload,
    expect: { ending: 'closed', signal: true },
    exceptions: [
      {
        hosts: LIGHTTPD_BUFFERED,
        why: 'lighttpd 1.4.69 without server.stream-response-body reads a response to its end for nobody',
        expect: { ending: 'finished', signal: false },
      },
    ],
    timeoutMs: 25_000,
  },
  {
    name: 'tells the application when the client leaves during an upload',
    app: 'leaving-upload',
    observe: observeLeavingUpload,
    expect: { input: 'failed' },
    exceptions: [
      buffersUploads(
        NGINX_BUFFERED,
        'nginx 1.22.1 without fastcgi_request_buffering off has the whole body before it calls',
      ),
      buffersUploads(APACHE_FCGID, 'mod_fcgid 2.3.9 has the whole body before it calls'),
      buffersUploads(
        LIGHTTPD_UPLOAD_BUFFERED,
        'lighttpd 1.4.69 without server.stream-request-body has the whole body before it calls',
      ),
    ],
  },
  {
    name: 'runs what is registered for after the response',
    app: 'after-response',
    observe: observeAfterResponse,
    expect: { text: 'answered\n', complete: true, mark: 'worked' },
  },
];
