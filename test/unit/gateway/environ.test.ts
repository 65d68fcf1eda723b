// The border: docs/design.md §1 "environ" and its rules 1–7, on recordings of every front end and on hostile pairs.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  contentLengthOf,
  defineData,
  EnvironBuilder,
  requestDetails,
  setRole,
} from '../../../src/gateway/environ';
import { percentDecode } from '../../../src/gateway/grammar';
import type { Environ } from '../../../src/gateway/types';
import { environFixture, environFixtures, type EnvironFixture } from '../../support/fixtures';
import {
  buildEnviron,
  codeOf,
  environOf,
  environOfFixture,
  factsWith,
  touchedObjects,
} from './built-environ';

const fixtures = environFixtures();

/** Where each recorded configuration has its application. */
const MOUNTS: Readonly<Record<string, string>> = {
  'apache-cgi': '/cgi-bin/app.cgi',
  'apache-cgid': '/cgi-bin/app.cgi',
  'apache-fcgid': '/fcgid/app.fcgi',
  'apache-handler': '/app.fcgi',
  'apache-handler-generic': '/app.fcgi',
  'apache-pass': '',
  'apache-pass-app': '/app',
  'apache-tuned': '/app',
  'caddy-mount': '/app',
  'caddy-plain': '',
  'caddy-split': '/app.fcgi',
  'haproxy-mpx': '/app',
  'haproxy-plain': '',
  'haproxy-values': '',
  'lighttpd-app': '/app',
  'lighttpd-cgi': '/cgi-bin/app.cgi',
  'lighttpd-socket': '',
  'lighttpd-spawn': '/app',
  'lighttpd-stream': '/app',
  'nginx-fcgiwrap': '/cgi-bin/app.cgi',
  'nginx-keep': '',
  'nginx-keepstream': '',
  'nginx-plain': '',
  'nginx-split': '/app',
};

/** HAProxy's `path-info ^(/app)(/.*)?$` does not speak for these, so the whole path is below the root. */
const NOT_SPLIT = new Set(['haproxy-mpx/bare', 'haproxy-mpx/path-dslash-lead']);

function mountOf({ server, case: name }: EnvironFixture): string {
  return NOT_SPLIT.has(`${server}/${name}`) ? '' : (MOUNTS[server] ?? 'unknown');
}

/** The path the client asked for, decoded; undefined where the recording cannot tell. */
function askedPath(fixture: EnvironFixture): string | undefined {
  const target = fixture.request?.split(' ')[1];

  const isRedirected = fixture.pairs.some(([name]) => name === 'REDIRECT_REQUEST_URI');

  // After an internal redirect the path is another; CONNECT and an absolute target have none.
  return target === undefined || !target.startsWith('/') || isRedirected
    ? undefined
    : percentDecode(target.replace(/[?].*$/s, ''));
}

/** Slashes merged, dot segments resolved as far as there is a parent, no fragment: in this every front end agrees. */
function meaning(path: string): string {
  const segments: string[] = [];

  for (const segment of path.replace(/#.*$/s, '').split('/')) {
    if (segment === '..') {
      segments.pop();
    } else if (segment !== '.' && segment !== '') {
      segments.push(segment);
    }
  }
  return segments.join('/');
}

/** What PEP 3333 and wsgiref.validate's check_environ find wrong, as far as a front end can break it. */
function faultsOf(environ: Environ): string[] {
  const rules: [string, boolean][] = [
    ['prototype', Object.getPrototypeOf(environ) === null],
    ['REQUEST_METHOD', /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(environ.REQUEST_METHOD)],
    ['SCRIPT_NAME', /^(?:|\/(?!\/).*[^/])$/s.test(environ.SCRIPT_NAME)],
    ['PATH_INFO', /^(?:$|\/)/.test(environ.PATH_INFO)],
    ['SERVER_NAME', environ.SERVER_NAME !== ''],
    ['SERVER_PORT', /^[0-9]+$/.test(environ.SERVER_PORT)],
    ['SERVER_PROTOCOL', environ.SERVER_PROTOCOL.startsWith('HTTP/')],
    ['wsgi.url_scheme', /^https?$/.test(environ['wsgi.url_scheme'])],
    ['wsgi.version', environ['wsgi.version'].join() === '1,0'],
    ['CONTENT_LENGTH', /^[0-9]+$/.test(environ.CONTENT_LENGTH ?? '0')],
    ...['HTTP_CONTENT_LENGTH', 'HTTP_CONTENT_TYPE', 'HTTP_PROXY', 'HTTP_TRANSFER_ENCODING'].map(
      (name): [string, boolean] => [name, !(name in environ)],
    ),
    ...Object.entries(environ).map(([name, value]): [string, boolean] => [
      name,
      name.includes('.') || (typeof value === 'string' && /^[\0-\xff]*$/.test(value)),
    ]),
  ];

  return rules.filter(([, isKept]) => !isKept).map(([name]) => name);
}

/** What must be so for a recording: no faults, the SCRIPT_NAME given, and the path that was asked for. */
function expectRight(fixture: EnvironFixture, mount: string | undefined, script: string | undefined): void {
  const environ = environOfFixture(fixture, mount);
  const asked = askedPath(fixture);
  const path = environ.SCRIPT_NAME + environ.PATH_INFO;

  expect({
    case: fixture.case,
    faults: faultsOf(environ),
    script: script === undefined ? undefined : environ.SCRIPT_NAME,
    path: asked === undefined ? undefined : meaning(path),
  }).toEqual({
    case: fixture.case,
    faults: [],
    script,
    path: asked === undefined ? undefined : meaning(asked),
  });
}

describe('the environ of every recording', () => {
  const refused = fixtures.filter((each) => each.case === 'path-nul');

  for (const server of new Set(fixtures.map((each) => each.server))) {
    const own = fixtures.filter((each) => each.server === server && !refused.includes(each));

    test(`${server}: is valid, and the path is the one that was asked for`, () => {
      for (const fixture of own) {
        expectRight(fixture, undefined, mountOf(fixture));
      }
    });

    test(`${server}: is valid and split there with the mount point given`, () => {
      for (const fixture of own) {
        const mount = MOUNTS[server] ?? 'unknown';
        const isLost = fixture.case === 'path-dslash-lead' && server === 'haproxy-mpx';

        expectRight(fixture, mount, isLost ? '' : mount);
      }
    });

    test(`${server}: is valid with a mount point given that is not there, and at the root`, () => {
      for (const fixture of own) {
        expectRight(fixture, '/elsewhere', undefined);
        expectRight(fixture, '', '');
      }
    });
  }

  test('is https exactly where the client spoke TLS', () => {
    for (const fixture of fixtures.filter((each) => !refused.includes(each))) {
      expect([fixture.server, fixture.case, environOfFixture(fixture)['wsgi.url_scheme']]).toEqual([
        fixture.server,
        fixture.case,
        fixture.case.startsWith('tls-') ? 'https' : 'http',
      ]);
    }
  });

  test('has the length of the body that arrived, or none where it cannot be known', () => {
    for (const fixture of fixtures.filter((each) => !refused.includes(each))) {
      const length = contentLengthOf(environOfFixture(fixture));

      if (length !== undefined && fixture.stdin.ended) {
        expect([fixture.server, fixture.case, length]).toEqual([
          fixture.server,
          fixture.case,
          fixture.stdin.length,
        ]);
      }
    }
  });

  test('with NUL in the path is refused: HAProxy delivers it', () => {
    expect(refused.length).toBeGreaterThan(0);
    for (const fixture of refused) {
      expect(codeOf(() => environOfFixture(fixture))).toBe('ERR_PATH');
    }
  });
});

describe('the environ', () => {
  test('is a null-prototype object of own enumerable properties', () => {
    const environ = environOf({ HTTP_A: '1' });

    expect(Object.getPrototypeOf(environ)).toBeNull();
    expect(
      Object.values(Object.getOwnPropertyDescriptors(environ)).every(
        (property) => property.enumerable === true,
      ),
    ).toBe(true);
  });

  test('says the truth of its server', () => {
    expect(environOf({}, { multiprocess: true, runOnce: true })).toMatchObject({
      'wsgi.multithread': false,
      'wsgi.multiprocess': true,
      'wsgi.run_once': true,
    });
  });

  test('makes input, errors and signal when they are touched, not before', () => {
    const touched: string[] = [];
    const environ = new EnvironBuilder(touchedObjects(touched), factsWith()).finish();
    Object.keys(environ);
    expect('wsgi.input' in environ).toBe(true);
    expect(touched).toEqual([]);

    expect(environ['wsgi.input']).toEqual({ made: 'input' });
    expect(environ['wsgi.errors']).toEqual({ made: 'errors' });
    expect(environ['postern.signal']).toEqual({ made: 'signal' });
    environ['postern.after_response'](() => undefined);
    expect(touched).toEqual(['input', 'errors', 'signal', 'afterResponse']);
  });

  test('can be copied with {...environ}, and the copy stands alone', () => {
    const environ = environOf({ PATH_INFO: '/a', HTTP_A: '1' });
    const copy: Environ = { ...environ };

    expect(copy['wsgi.input']).toEqual({ made: 'input' });
    expect(copy).toMatchObject({ PATH_INFO: '/a', HTTP_A: '1', 'wsgi.url_scheme': 'http' });
    copy.PATH_INFO = '/b';
    expect(environ.PATH_INFO).toBe('/a');
    expect(Object.keys(copy).sort()).toEqual(Object.keys(environ).sort());
  });

  test('takes assignment to the keys that are made when touched', () => {
    const touched: string[] = [];
    const environ = new EnvironBuilder(touchedObjects(touched), factsWith()).finish();
    defineData(environ, () => touched.push('data') as never);

    for (const key of ['wsgi.input', 'wsgi.errors', 'postern.signal', 'fastcgi.data']) {
      environ[key] = key;
      expect(environ[key]).toBe(key);
      expect(Object.getOwnPropertyDescriptor(environ, key)).toMatchObject({ value: key, enumerable: true });
      environ[key] = 'again';
      expect(environ[key]).toBe('again');
    }
    expect(touched).toEqual([]);
  });

  test('has fastcgi.role and fastcgi.data where they are set', () => {
    const environ = environOf({});
    expect('fastcgi.role' in environ || 'fastcgi.data' in environ).toBe(false);
    setRole(environ, 'FILTER');
    defineData(environ, () => 'data' as never);

    expect({ ...environ }).toMatchObject({ 'fastcgi.role': 'FILTER', 'fastcgi.data': 'data' });
  });
});

describe('rule 1: httpoxy', () => {
  test('HTTP_PROXY never gets in', () => {
    expect(environOf({ HTTP_PROXY: 'http://evil.test' })).not.toHaveProperty('HTTP_PROXY');
    expect(environOfFixture(environFixture('nginx-plain/hdr-proxy'))).not.toHaveProperty('HTTP_PROXY');
    expect(environOfFixture(environFixture('caddy-plain/hdr-proxy'))).not.toHaveProperty('HTTP_PROXY');
  });
});

describe('rule 2: names', () => {
  test.each([
    'HTTP_X.Y',
    'HTTP_X-Y',
    'HTTP_x',
    'HTTP_X Y',
    'HTTP_',
    'HTTP_\xc4',
    'HTTP_X\0',
    'HTTP_X\n',
    'HTTP_X\nHTTP_Y',
  ])('%j is dropped', (name) => {
    expect(Object.keys(environOf({ [name]: 'x' }))).toEqual(Object.keys(environOf({})));
  });

  test('a dotted or lower-case alias does not change the header it resembles (Caddy, h2o)', () => {
    const environ = buildEnviron([
      ['HTTP_X_FORWARDED_FOR', '192.0.2.1'],
      ['HTTP_X.FORWARDED.FOR', '6.6.6.6'],
      ['HTTP_x_forwarded_for', '6.6.6.6'],
    ]);

    expect(environ['HTTP_X_FORWARDED_FOR']).toBe('192.0.2.1');
  });

  test('__proto__ and its friends are plain data', () => {
    const environ = buildEnviron([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['toString', 'c'],
      ['hasOwnProperty', 'd'],
      ['HTTP___PROTO__', 'e'],
    ]);

    expect(Object.getPrototypeOf(environ)).toBeNull();
    expect(Object.getOwnPropertyDescriptor(environ, '__proto__')?.value).toBe('a');
    expect(environ['constructor']).toBe('b');
    const copy = { ...environ };
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });

  test.each([
    'wsgi.input',
    'wsgi.errors',
    'wsgi.url_scheme',
    'wsgi.file_wrapper',
    'wsgi.new',
    'postern.signal',
    'postern.x',
    'fastcgi.role',
    'fastcgi.data',
    '',
  ])('a parameter called %j is not taken for the word of the gateway', (name) => {
    const before = Object.getOwnPropertyNames(environOf({}));
    const environ = environOf({ [name]: 'evil' });

    expect(Object.getOwnPropertyNames(environ)).toEqual(before);
    expect(environ[name]).not.toBe('evil');
  });

  test('any pairs at all make an environ or one of two errors (property)', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'HTTP_A',
        'HTTP_HOST',
        'CONTENT_LENGTH',
        'PATH_INFO',
        'SCRIPT_NAME',
        'REQUEST_URI',
        'HTTPS',
      ),
      fc.constantFrom('SERVER_SOFTWARE', 'SCRIPT_FILENAME', '__proto__', 'wsgi.input', 'SERVER_NAME'),
      fc.string({ unit: 'binary', maxLength: 12 }),
    );
    const value = fc.oneof(
      fc.constantFrom('', '/', '//', '/app', '/app/..', '5', 'nginx/1', 'Apache', 'Caddy/2', ':', '[::1]:8'),
      fc.string({ maxLength: 12 }),
    );

    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, value), { maxLength: 20 }),
        fc.constantFrom(undefined, '', '/app'),
        fc.constantFrom<'cgi' | 'fastcgi' | 'http'>('cgi', 'fastcgi', 'http'),
        (pairs, mount, protocol) => {
          const code = codeOf(() => {
            const environ = buildEnviron(pairs, { mount, protocol });
            expect(environ.SCRIPT_NAME.endsWith('/')).toBe(false);
            expect(environ.PATH_INFO).toMatch(/^(?:$|\/)/);
            expect(environ.SERVER_NAME).not.toBe('');
            expect(environ.SERVER_PORT).not.toBe('');
          });
          expect([undefined, 'ERR_CONTENT_LENGTH', 'ERR_PATH']).toContain(code);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('rule 3: repetitions', () => {
  test.each([
    ['nginx-plain/hdr-dup', 'a, b, c, d', 'c1=1; c2=2'],
    ['haproxy-plain/hdr-dup', 'a, b, c, d', 'c1=1; c2=2'],
    ['lighttpd-socket/hdr-dup', 'a, b, c, d', 'c1=1; c2=2'],
  ])('%s: %s and %s', (name, list, cookies) => {
    const environ = environOfFixture(environFixture(name));

    expect(environ['HTTP_X_DUP']).toBe(list);
    expect(environ['HTTP_COOKIE']).toBe(cookies);
  });

  test('the lines of a repeated header are kept for bridges, also in a copy', () => {
    const environ = environOfFixture(environFixture('nginx-plain/hdr-dup'));

    expect(requestDetails({ ...environ })?.repeatedHeaders?.get('HTTP_COOKIE')).toEqual(['c1=1', 'c2=2']);
    expect(requestDetails(environOf({ HTTP_A: '1' }))).toBeUndefined();
  });

  test('an empty one adds nothing', () => {
    const environ = buildEnviron([
      ['HTTP_A', ''],
      ['HTTP_A', 'x'],
      ['HTTP_A', ''],
    ]);

    expect(environ['HTTP_A']).toBe('x');
  });

  test('of HTTP_HOST and of other names the last wins, also an empty one', () => {
    const environ = buildEnviron([
      ['HTTP_HOST', 'app.example.test'],
      ['HTTP_HOST', 'app.example.test:8080'],
      ['SCRIPT_NAME', '/app'],
      ['SCRIPT_NAME', ''],
      ['REMOTE_USER', 'user'],
      ['REMOTE_USER', ''],
      ['CONTENT_TYPE', 'text/a'],
      ['CONTENT_TYPE', 'text/b'],
      ['HTTPS', 'on'],
      ['HTTPS', ''],
    ]);

    expect(environ).toMatchObject({
      HTTP_HOST: 'app.example.test:8080',
      SCRIPT_NAME: '',
      CONTENT_TYPE: 'text/b',
      'wsgi.url_scheme': 'http',
    });
    expect(environ).not.toHaveProperty('REMOTE_USER');
    expect(environOfFixture(environFixture('haproxy-plain/hdr-dup-ct')).CONTENT_TYPE).toBe('text/b');
  });

  test('of CONTENT_LENGTH: the same twice is one, two different ones are refused', () => {
    const both = (first: string, second: string): Environ =>
      buildEnviron([
        ['CONTENT_LENGTH', first],
        ['CONTENT_LENGTH', second],
      ]);

    expect(both('5', '5').CONTENT_LENGTH).toBe('5');
    expect(both('', '5').CONTENT_LENGTH).toBe('5');
    expect(both('5', '').CONTENT_LENGTH).toBe('5');
    expect(codeOf(() => both('5', '6'))).toBe('ERR_CONTENT_LENGTH');
    expect(codeOf(() => both('5', '05'))).toBe('ERR_CONTENT_LENGTH');
  });
});

describe('rule 4: CONTENT_LENGTH', () => {
  test.each([[''], ['-1']])('%j means that nobody knows', (value) => {
    expect(environOf({ CONTENT_LENGTH: value })).not.toHaveProperty('CONTENT_LENGTH');
    expect(contentLengthOf(environOf({ CONTENT_LENGTH: value }))).toBeUndefined();
  });

  test.each([
    ['0', '0', 0],
    ['0005', '5', 5],
    ['9007199254740991', '9007199254740991', 9007199254740991],
  ])('%j is %j', (value, text, length) => {
    const environ = environOf({ CONTENT_LENGTH: value });

    expect(environ.CONTENT_LENGTH).toBe(text);
    expect(contentLengthOf(environ)).toBe(length);
  });

  test.each([
    ['-2'],
    ['+5'],
    [' 5'],
    ['5 '],
    ['5\n'],
    ['5, 5'],
    ['0x5'],
    ['1e3'],
    ['5.0'],
    ['abc'],
    ['9007199254740992'],
    ['99999999999999999999'],
    ['-'],
  ])('%j is refused', (value) => {
    expect(codeOf(() => environOf({ CONTENT_LENGTH: value }))).toBe('ERR_CONTENT_LENGTH');
  });

  test('a header that resembles it does not override it (lighttpd, Caddy)', () => {
    const environ = environOf({
      CONTENT_LENGTH: '5',
      HTTP_CONTENT_LENGTH: '99',
      HTTP_CONTENT_TYPE: 'text/evil',
      HTTP_TRANSFER_ENCODING: 'chunked',
    });

    expect(environ).toMatchObject({ CONTENT_LENGTH: '5' });
    expect(environ).not.toHaveProperty('CONTENT_TYPE');
  });

  test.each([
    'HTTP_CONNECTION',
    'HTTP_KEEP_ALIVE',
    'HTTP_PROXY_CONNECTION',
    'HTTP_TE',
    'HTTP_TRAILER',
    'HTTP_TRANSFER_ENCODING',
    'HTTP_UPGRADE',
  ])('%s is of the hop before and dropped', (name) => {
    expect(environOf({ [name]: 'x' })).not.toHaveProperty(name);
  });

  test('the transfer coding is known to the adapter alone', () => {
    const builder = new EnvironBuilder(touchedObjects(), factsWith());
    builder.add('HTTP_TRANSFER_ENCODING', 'chunked');

    expect(builder.transferEncoding).toBe('chunked');
    expect(requestDetails(builder.finish())?.isChunked).toBe(true);
  });
});

describe('rule 5: what is empty', () => {
  test('is the same as absent', () => {
    const environ = environOf({ REMOTE_USER: '', CONTENT_TYPE: '', HTTP_ACCEPT: '', REQUEST_URI: '' });

    for (const name of ['REMOTE_USER', 'CONTENT_TYPE', 'HTTP_ACCEPT', 'REQUEST_URI']) {
      expect(environ).not.toHaveProperty(name);
    }
  });

  test('is there where RFC 3875 wants it', () => {
    expect(environOf({ SCRIPT_NAME: '', PATH_INFO: '', QUERY_STRING: '' })).toMatchObject({
      SCRIPT_NAME: '',
      PATH_INFO: '',
      QUERY_STRING: '',
    });
  });
});

describe('rule 6: no parameter selects code, a path, or the process environment', () => {
  test('the process environment is neither read nor written', () => {
    const before = { ...process.env };
    const environ = environOf({ NODE_OPTIONS: '--require evil', PATH: '/evil', HTTP_PROXY: 'x' });

    expect(process.env).toEqual(before);
    expect(environ['PATH']).toBe('/evil');
    expect(environ['HOME']).toBeUndefined();
  });
});

describe('the scheme', () => {
  test.each([
    [{ HTTPS: 'on' }, 'https'],
    [{ HTTPS: 'ON' }, 'https'],
    [{ HTTPS: '1' }, 'https'],
    [{ HTTPS: 'yes' }, 'https'],
    [{ HTTPS: 'off' }, 'http'],
    [{ HTTPS: '0' }, 'http'],
    [{ HTTPS: 'onx' }, 'http'],
    [{ HTTPS: 'off', REQUEST_SCHEME: 'https' }, 'https'],
    [{ REQUEST_SCHEME: 'https' }, 'https'],
    [{ REQUEST_SCHEME: 'ftp' }, 'http'],
    [{ HTTP_HTTPS: 'on' }, 'http'],
    [{ HTTP_X_FORWARDED_PROTO: 'https' }, 'http'],
    [{ SERVER_PORT: '443' }, 'http'],
  ])('of %j is %s', (variables, scheme) => {
    expect(environOf(variables)['wsgi.url_scheme']).toBe(scheme);
  });
});

describe('NUL in a path', () => {
  test.each([
    [{ PATH_INFO: '/a\0b' }],
    [{ SCRIPT_NAME: '/a\0b' }],
    [{ SERVER_SOFTWARE: 'nginx/1.22.1', SCRIPT_NAME: '/a\0b' }],
    [
      {
        SERVER_SOFTWARE: 'Caddy/2.6.2',
        SCRIPT_NAME: '/i.php',
        PATH_INFO: '',
        SCRIPT_FILENAME: '/i.php',
        REQUEST_URI: '/a%00b',
      },
    ],
  ])('is refused: %j', (variables) => {
    expect(codeOf(() => environOf(variables))).toBe('ERR_PATH');
  });

  test('in a query is the application’s business', () => {
    expect(environOf({ QUERY_STRING: 'b=%00' }).QUERY_STRING).toBe('b=%00');
  });
});

test('a builder whose finish() threw still knows what to log', () => {
  const builder = new EnvironBuilder(touchedObjects(), factsWith());
  builder.add('REQUEST_METHOD', 'POST');
  builder.add('CONTENT_LENGTH', 'x');

  expect(codeOf(() => builder.finish())).toBe('ERR_CONTENT_LENGTH');
  expect(builder.environ.REQUEST_METHOD).toBe('POST');
});
