/** Bodies of every kind on their way to the client. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Behaviour, Exception, Observation, Scene } from '../behaviour';
import { APACHE_BUFFERED, CADDY_DEFAULT, LIGHTTPD_BUFFERED, NGINX_COLLECTS } from '../hosts-by-name';
import { describeResponse, digestOf } from '../observation';

function bodyRow(name: string, app: string, expect: Observation): Behaviour {
  return { name, app, expect: { status: 200, ...expect, complete: true, surplus: '' } };
}

function fixtureText(app: string): string {
  return readFileSync(join(__dirname, '..', '..', '..', 'fixtures', 'apps', `${app}.js`), 'latin1');
}

const TEN_MIB = digestOf(
  Buffer.concat(Array.from({ length: 160 }, (_, block) => Buffer.alloc(65536, block))),
);

/** Says to the application when a piece has come; see the fixture. */
async function observeStreaming(scene: Scene): Promise<Observation> {
  const { marks } = scene.host;
  const exchange = scene.start();
  const tell = async (length: number, word: string): Promise<void> => {
    await exchange.bodyReached(length);
    await marks.set(scene.id, word);
  };

  await tell('first '.length, 'first-arrived');
  await tell('first second '.length, 'second-arrived');
  const response = await exchange.response;
  const verdict = await marks.first(scene.id, ['streamed', 'not-streamed'], 5000);

  return { ...describeResponse(response), verdict };
}

function buffers(hosts: RegExp, why: string): Exception {
  return {
    hosts,
    why,
    expect: { status: 200, body: 'first second third\n', complete: true, verdict: 'not-streamed' },
  };
}

export const responseBodies: readonly Behaviour[] = [
  bodyRow('sends a string as UTF-8', 'string-body', {
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: Buffer.from('Grüße für 3 €\n').toString('latin1'),
  }),
  bodyRow('sends every byte value', 'bytes-body', {
    body: Buffer.from(Array.from({ length: 256 }, (_, index) => index)).toString('latin1'),
  }),
  bodyRow('sends an empty body', 'empty-body', { headers: { 'x-answer': 'empty' }, body: '' }),
  bodyRow('sends a list of chunks', 'list-body', { body: 'one, two, three\n' }),
  bodyRow('sends what a generator makes, startResponse in its first iteration', 'generator-body', {
    headers: { 'x-answer': 'late' },
    body: 'one, two, three\n',
  }),
  bodyRow('sends what an async generator makes', 'async-generator-body', {
    headers: { 'x-answer': 'later' },
    body: 'one, two, three\n',
  }),
  bodyRow('sends a Readable', 'readable-body', { body: 'one, two, three\n' }),
  bodyRow('sends a file by its path', 'file-body', { body: fixtureText('file-body') }),
  bodyRow('sends a stream of a file', 'file-stream-body', { body: fixtureText('file-stream-body') }),
  bodyRow('sends an open file', 'file-handle-body', { body: fixtureText('file-handle-body') }),
  bodyRow('sends what write() is given, then the body', 'write', { body: 'one, two, three\n' }),
  bodyRow('sends 10 MiB in many chunks', 'download', { body: TEN_MIB }),
  bodyRow('sends 10 MiB in one chunk with Content-Length', 'download-at-once', { body: TEN_MIB }),
  bodyRow('cuts a body at its Content-Length', 'too-long', { body: 'seven b' }),
  bodyRow('keeps what an application prints and logs out of the response', 'noise', { body: 'quiet\n' }),
  {
    name: 'streams: each chunk arrives before the next is made',
    app: 'stream',
    observe: observeStreaming,
    expect: { status: 200, body: 'first second third\n', complete: true, verdict: 'streamed' },
    exceptions: [
      buffers(
        NGINX_COLLECTS,
        'nginx 1.22.1 collects small pieces without fastcgi_buffering off or fastcgi_keep_conn',
      ),
      buffers(
        APACHE_BUFFERED,
        'Apache 2.4.71 collects small pieces without flushpackets=on (mod_fcgid: FcgidOutputBufferSize 0)',
      ),
      buffers(
        LIGHTTPD_BUFFERED,
        'lighttpd 1.4.69 collects the whole response without server.stream-response-body',
      ),
      buffers(CADDY_DEFAULT, 'Caddy 2.6.2 collects small pieces without flush_interval -1'),
    ],
  },
];
