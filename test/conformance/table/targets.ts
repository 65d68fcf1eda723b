/** Request targets: SCRIPT_NAME, PATH_INFO, QUERY_STRING and REQUEST_URI. */
import type { Behaviour, Exception, HostFacts } from '../behaviour';
import { environRow } from '../environ-row';
import {
  APACHE,
  APACHE_DEFAULT,
  CADDY,
  CADDY_DEFAULT,
  HAPROXY,
  HAPROXY_PATH_INFO,
  LIGHTTPD,
  LIGHTTPD_CONDITION,
} from '../hosts-by-name';

/** @param target percent-encoded, in latin-1; @param path the same path as bytes. */
function passesPath(
  what: string,
  target: string,
  path: string,
  exceptions: readonly Exception[] = [],
): Behaviour {
  return environRow({
    name: `passes ${what} in a path`,
    request: { target },
    expect: ({ mount }) => ({ SCRIPT_NAME: mount, PATH_INFO: path, REQUEST_URI: `${mount}${target}` }),
    exceptions,
  });
}

function passesQuery(
  what: string,
  target: string,
  query: string,
  exceptions: readonly Exception[] = [],
): Behaviour {
  return environRow({
    name: `passes ${what}`,
    request: { target },
    expect: ({ mount }) => ({
      QUERY_STRING: query,
      SCRIPT_NAME: mount,
      PATH_INFO: '/search',
      REQUEST_URI: `${mount}${target}`,
    }),
    exceptions,
  });
}

const noEncodedSlashes: Exception = {
  hosts: APACHE_DEFAULT,
  why: 'Apache 2.4.71 answers 404 to %2F in a path unless AllowEncodedSlashes says otherwise',
  expect: { status: 404 },
};

const noRawBytes: Exception = {
  hosts: HAPROXY,
  why: 'HAProxy 2.6.12 answers 400 to bytes that are not ASCII in a request target (option accept-invalid-http-request)',
  expect: { status: 400 },
};

const noInvalidUtf8: Exception = {
  hosts: LIGHTTPD_CONDITION,
  why: 'lighttpd 1.4.69 matches no $HTTP["url"] condition against a path that is no UTF-8, so nothing is mounted there',
  expect: { status: 404 },
};

/** @param target as the client sent it; @param encoded as it arrives. */
function encodesRawBytes(path: string, encoded: string): Exception {
  return {
    hosts: CADDY,
    why: 'Caddy 2.6.2 percent-encodes raw bytes in REQUEST_URI; PATH_INFO has them',
    expect: ({ mount }) => ({
      environ: { SCRIPT_NAME: mount, PATH_INFO: path, REQUEST_URI: `${mount}${encoded}` },
    }),
  };
}

function rawQuery(encoded: string): readonly Exception[] {
  return [
    noRawBytes,
    {
      hosts: LIGHTTPD,
      why: 'lighttpd 1.4.69 percent-encodes raw bytes in a query (server.http-parseopts url-normalize)',
      expect: { environ: { QUERY_STRING: encoded } },
    },
  ];
}

/** Never mapped to files unchecked: the gateway only passes them on. */
function keepsDotSegments(hosts: RegExp, why: string, path: string): Exception {
  return {
    hosts,
    why,
    expect: ({ mount }) => ({ environ: { SCRIPT_NAME: mount, PATH_INFO: path } }),
  };
}

const HAPROXY_KEEPS = 'HAProxy 2.6.12 does not resolve dot segments (http-request normalize-uri)';
const CADDY_KEEPS = 'Caddy 2.6.2 does not resolve dot segments for a back end';

const isMounted = ({ mount }: HostFacts): boolean => mount !== '';

export const targets: readonly Behaviour[] = [
  passesPath('two plain segments', '/some/path', '/some/path'),
  passesPath('a slash alone', '/', '/'),
  environRow({
    name: 'splits the bare mount point: all of it is SCRIPT_NAME',
    request: { target: '' },
    expect: ({ mount }) => ({ SCRIPT_NAME: mount, PATH_INFO: '' }),
    only: isMounted,
  }),
  environRow({
    name: 'splits the bare mount point with a query',
    request: { target: '?a=1' },
    expect: ({ mount }) => ({ SCRIPT_NAME: mount, PATH_INFO: '', QUERY_STRING: 'a=1' }),
    only: isMounted,
  }),
  passesPath('the name of the mount point once more', '/app/app', '/app/app'),
  passesPath('a slash at the end', '/folder/', '/folder/'),
  passesPath('%20 and +', '/a%20b+c', '/a b+c'),
  passesPath('%2F', '/a%2Fb', '/a/b', [noEncodedSlashes]),
  passesPath('%2f in lower case beside a plain slash', '/a%2fb/c', '/a/b/c', [noEncodedSlashes]),
  passesPath('two slashes in a row', '/a//b', '/a//b'),
  passesPath('two slashes at the end', '/a//', '/a//'),
  passesPath('%25, decoded once', '/100%25/%2541', '/100%/%41'),
  passesPath('%3F, which begins no query', '/what%3Fnow', '/what?now'),
  passesPath('semicolons, commas and the like', "/a;v=1,2/b=c&d@e:f!$'()*~", "/a;v=1,2/b=c&d@e:f!$'()*~"),
  passesPath('encoded UTF-8', '/caf%C3%A9', '/caf\xc3\xa9'),
  passesPath('raw UTF-8 bytes', '/caf\xc3\xa9', '/caf\xc3\xa9', [
    noRawBytes,
    encodesRawBytes('/caf\xc3\xa9', '/caf%C3%A9'),
  ]),
  passesPath('an encoded byte that is no UTF-8', '/caf%E9', '/caf\xe9', [noInvalidUtf8]),
  passesPath('a raw byte that is no UTF-8', '/caf\xe9', '/caf\xe9', [
    noRawBytes,
    noInvalidUtf8,
    encodesRawBytes('/caf\xe9', '/caf%E9'),
  ]),
  environRow({
    name: 'resolves dot segments',
    request: { target: '/a/./b/../c' },
    expect: ({ mount }) => ({ SCRIPT_NAME: mount, PATH_INFO: '/a/c' }),
    exceptions: [
      keepsDotSegments(HAPROXY, HAPROXY_KEEPS, '/a/./b/../c'),
      keepsDotSegments(CADDY_DEFAULT, CADDY_KEEPS, '/a/./b/../c'),
    ],
  }),
  environRow({
    name: 'resolves encoded dot segments',
    request: { target: '/a/%2e%2e/b' },
    expect: ({ mount }) => ({ SCRIPT_NAME: mount, PATH_INFO: '/b' }),
    exceptions: [
      keepsDotSegments(HAPROXY, HAPROXY_KEEPS, '/a/../b'),
      keepsDotSegments(CADDY, CADDY_KEEPS, '/a/../b'),
    ],
  }),
  environRow({
    name: 'takes the path of an absolute target',
    // RFC 9112 §3.2.2: the two must be the same.
    request: { target: 'http://app.example.test/a/b?c=d', headers: [['Host', 'app.example.test']] },
    expect: ({ mount }) => ({ SCRIPT_NAME: mount, PATH_INFO: '/a/b', QUERY_STRING: 'c=d' }),
  }),
  {
    name: 'refuses a NUL in a path',
    app: 'environ',
    request: { target: '/a%00b' },
    expect: { status: 400 },
    // No environment variable can hold one.
    only: ({ name }) => !/^cgi\b/.test(name),
    exceptions: [
      { hosts: APACHE, why: 'Apache 2.4.71 answers 404 to %00 in a path', expect: { status: 404 } },
      {
        hosts: HAPROXY_PATH_INFO,
        why: 'HAProxy 2.6.12 with path-info cannot match a path with a NUL in it and answers 500',
        expect: { status: 500 },
      },
    ],
  },
  passesQuery('no query', '/search', ''),
  passesQuery('an empty query', '/search?', ''),
  passesQuery('a query as it was encoded', '/search?a=1&b=%20%2B+&c', 'a=1&b=%20%2B+&c'),
  passesQuery('a query that looks like command line options', '/search?-s+x', '-s+x'),
  passesQuery(
    'a query with raw UTF-8 bytes',
    '/search?q=caf\xc3\xa9',
    'q=caf\xc3\xa9',
    rawQuery('q=caf%C3%A9'),
  ),
  passesQuery(
    'a query with a raw byte that is no UTF-8',
    '/search?q=caf\xe9',
    'q=caf\xe9',
    rawQuery('q=caf%E9'),
  ),
  passesQuery('a query with slashes, dots and a question mark', '/search?/a//../b?c', '/a//../b?c'),
];
