/** Errors before and after the head. */
import type { Behaviour, Exception, Observation, Scene } from '../behaviour';
import {
  APACHE_CGI,
  APACHE_FCGID,
  APACHE_FCGID_STREAMING,
  CADDY,
  LIGHTTPD_BUFFERED,
  LIGHTTPD_CGI,
} from '../hosts-by-name';
import { describeResponse } from '../observation';

function failsBeforeHead(name: string, app: string): Behaviour {
  return {
    name: `answers 500 without a detail when the application ${name}`,
    app,
    observe: async (scene) => {
      const response = await scene.request();
      const everything = `${JSON.stringify(response.headers)} ${response.text}`;
      return { ...describeResponse(response), leaks: /secret/i.test(everything) };
    },
    expect: {
      status: 500,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: '500 Internal Server Error\n',
      complete: true,
      leaks: false,
    },
  };
}

/**
 * A response that breaks off must not look whole. Cut short it is not, and neither is a server's own 502; that what
 * came of the body is a beginning of it is looked at as well.
 */
async function observeBreak(scene: Scene): Promise<Observation> {
  const exchange = scene.start();
  exchange.bodyReached('a part '.length).then(
    () => scene.host.marks.set(scene.id, 'part-arrived'),
    () => undefined,
  );

  try {
    const response = await exchange.response;
    return {
      ...describeResponse(response),
      looksWhole: response.status < 400 && response.complete,
      leaks: /secret/i.test(response.text),
    };
  } catch (error) {
    // No response at all does not look like one.
    return { looksWhole: false, leaks: false, error: String(error) };
  }
}

function breaksAfterHead(name: string, app: string, exceptions: readonly Exception[]): Behaviour {
  return {
    name: `does not let a response look whole that ${name}`,
    app,
    observe: observeBreak,
    expect: { looksWhole: false, leaks: false },
    exceptions,
    timeoutMs: 20_000,
  };
}

/** docs/truncation.md has the measurements. */
function looksWhole(hosts: RegExp, why: string): Exception {
  return { hosts, why, expect: { status: 200, looksWhole: true, leaks: false } };
}

const APPENDS =
  "mod_fcgid 2.3.9 appends Apache's own error page to a response that breaks off, and ends it in good order";

/** Without Content-Length. */
const unseen: readonly Exception[] = [
  looksWhole(
    CADDY,
    'Caddy 2.6.2 takes every end of the connection, even within a record, for the end of the response',
  ),
  looksWhole(
    LIGHTTPD_BUFFERED,
    'lighttpd 1.4.69 without server.stream-response-body takes every end of the connection for the end of the response',
  ),
  looksWhole(LIGHTTPD_CGI, 'lighttpd 1.4.69 does not look at the exit status of a CGI script'),
  looksWhole(APACHE_CGI, 'Apache 2.4.71 does not look at the exit status of a CGI script'),
];

const unseenWithLength: readonly Exception[] = [
  looksWhole(APACHE_CGI, 'Apache 2.4.71 forgets a Content-Length from a CGI script (CVE-2024-24795)'),
  looksWhole(APACHE_FCGID_STREAMING, APPENDS),
];

/** Two requests in one go: a byte too few of the first response, and the second is read as part of it. */
async function observeNext(scene: Scene): Promise<Observation> {
  const next = scene.prepare({ app: 'hello', headers: [['Connection', 'close']] });
  const lines = (next.headers ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const pipelined = `GET ${next.target ?? '/'} HTTP/1.1\r\nHost: app.example.test\r\n${lines}\r\n`;

  try {
    const response = await scene.request({
      headers: [
        ['Host', 'app.example.test'],
        ['Connection', 'keep-alive'],
      ],
      // Without a length these are not a body, but what follows the request.
      body: [pipelined],
    });
    return { isMixed: response.text.includes('HTTP/1.1'), text: response.text };
  } catch {
    // Closed without a response: nothing that could be mixed.
    return { isMixed: false };
  }
}

export const failures: readonly Behaviour[] = [
  failsBeforeHead('throws', 'throws'),
  failsBeforeHead('rejects after startResponse', 'rejects'),
  failsBeforeHead('never calls startResponse', 'silent'),
  failsBeforeHead('puts a line break into a header', 'injection'),
  failsBeforeHead('gives a chunk that is none', 'wrong-chunk'),
  failsBeforeHead('promises ten bytes and gives none', 'nothing-of-ten'),
  breaksAfterHead('breaks off at once', 'breaks', [...unseen, looksWhole(APACHE_FCGID_STREAMING, APPENDS)]),
  breaksAfterHead('breaks off later', 'breaks-later', [
    ...unseen,
    looksWhole(APACHE_FCGID_STREAMING, APPENDS),
  ]),
  breaksAfterHead('breaks off after 1 MiB', 'breaks-large', [...unseen, looksWhole(APACHE_FCGID, APPENDS)]),
  breaksAfterHead('breaks off before its Content-Length', 'breaks-with-length', unseenWithLength),
  breaksAfterHead('ends before its Content-Length', 'too-short', unseenWithLength),
  {
    name: 'does not let a response that breaks off run into the next',
    app: 'breaks-with-length',
    observe: observeNext,
    expect: { isMixed: false },
    // The others have no connection on which there could be a next one.
    only: ({ name }) => !/^(memory|cgi|fastcgi)\b/.test(name),
    timeoutMs: 20_000,
  },
];
