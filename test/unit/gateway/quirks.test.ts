// Each named quirk, with the recording that shows it, and what a client could do with it: docs/design.md §1 rule 8.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { percentDecode } from '../../../src/gateway/grammar';
import {
  removePortFromServerName,
  takePathOfAbsoluteTarget,
  truncationOf,
} from '../../../src/gateway/quirks';
import type { Environ } from '../../../src/gateway/types';
import { environFixture } from '../../support/fixtures';
import { environOf, environOfFixture, pathsOf, type Variables } from './built-environ';

const NGINX = { SERVER_SOFTWARE: 'nginx/1.22.1' };
const APACHE = { SERVER_SOFTWARE: 'Apache/2.4.71 (Debian)', DOCUMENT_ROOT: '/srv/www' };
const CADDY = { SERVER_SOFTWARE: 'Caddy/2.6.2' };
const HAPROXY = { SERVER_SOFTWARE: 'HAProxy 2.6.12-1+deb12u4' };

function recorded(name: string, mount?: string): readonly [string, string] {
  return pathsOf(environOfFixture(environFixture(name), mount));
}

function paths(variables: Variables, mount?: string): readonly [string, string] {
  return pathsOf(environOf(variables, { mount }));
}

function merged(path: string): string {
  return path.replace(/\/+/g, '/');
}

const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/;

describe('takePathOfAbsoluteTarget', () => {
  test.each([
    ['http://other.test:99/app?x', '/app?x'],
    ['HTTPS://u@other.test//a', '//a'],
    ['http://other.test', '/'],
    ['http://other.test?x', '/?x'],
    ['http:///app', '/app'],
    ['/app?http://x/y', '/app?http://x/y'],
    ['//other.test/app', '//other.test/app'],
    ['*', '*'],
    ['h.test:443', 'h.test:443'],
    ['', ''],
  ])('%j becomes %j', (target, expected) => {
    const environ = { REQUEST_URI: target };
    takePathOfAbsoluteTarget(environ);

    expect(environ.REQUEST_URI).toBe(expected);
  });

  test('and leaves an environ without REQUEST_URI alone', () => {
    const environ = {};
    takePathOfAbsoluteTarget(environ);

    expect(environ).toEqual({});
  });
});

describe('takeScriptNameForPath', () => {
  test.each([
    ['nginx-plain/bare', '', '/app'],
    ['nginx-plain/path-space', '', '/app/c d//e'],
    ['nginx-plain/root', '', '/'],
    ['haproxy-plain/bare', '', '/app'],
    ['haproxy-plain/path-space', '', '/app/c d//e'],
  ])('%s: %j and %j', (name, script, path) => {
    expect(recorded(name)).toEqual([script, path]);
  });

  test.each([
    ['nginx-split/bare', '/app', ''],
    ['nginx-split/path-space', '/app', '/c d//e'],
    ['haproxy-mpx/path-space', '/app', '/c d//e'],
    ['lighttpd-app/bare', '/app', ''],
    ['lighttpd-socket/bare', '', '/app'],
  ])('is not for a front end that splits: %s', (name, script, path) => {
    expect(recorded(name)).toEqual([script, path]);
  });

  test('HAProxy with path-info sends none for the bare mount point, so that has to be given', () => {
    expect(recorded('haproxy-mpx/bare')).toEqual(['', '/app']);
    expect(recorded('haproxy-mpx/bare', '/app')).toEqual(['/app', '']);
  });

  test('is not for CGI, whose hosts know the name of the script', () => {
    expect(pathsOf(environOf({ ...NGINX, SCRIPT_NAME: '/app.cgi' }, { protocol: 'cgi' }))).toEqual([
      '/app.cgi',
      '',
    ]);
    expect(recorded('nginx-fcgiwrap/bare')).toEqual(['/cgi-bin/app.cgi', '']);
  });

  test('is chosen by SERVER_SOFTWARE alone, which no header can set', () => {
    expect(paths({ SCRIPT_NAME: '/app', HTTP_SERVER_SOFTWARE: 'nginx/1.22.1' })).toEqual(['/app', '']);
  });
});

describe('splitApacheProxyPass', () => {
  test.each([
    ['apache-pass/bare', '', '/app'],
    ['apache-pass/root', '', '/'],
    ['apache-pass/path-space', '', '/app/c d//e'],
    ['apache-pass-app/root', '/app', '/'],
    ['apache-pass-app/path-space', '/app', '/c d//e'],
    ['apache-pass-app/path-slash-trail', '/app', '/x/'],
    ['apache-tuned/bare', '/app', ''],
    ['apache-tuned/path-space', '/app', '/c d//e'],
  ])('%s: %j and %j', (name, script, path) => {
    expect(recorded(name)).toEqual([script, path]);
  });

  test.each([
    ['apache-handler/bare', '/app.fcgi', ''],
    ['apache-handler/path-space', '/app.fcgi', '/c d//e'],
    ['apache-handler-generic/bare', '/app.fcgi', ''],
    ['apache-fcgid/bare', '/fcgid/app.fcgi', ''],
  ])('is not for SetHandler and mod_fcgid: %s', (name, script, path) => {
    expect(recorded(name)).toEqual([script, path]);
  });

  test('finds the mount point though slashes are encoded (AllowEncodedSlashes NoDecode)', () => {
    expect(
      paths({
        ...APACHE,
        SCRIPT_NAME: '/app/a%2Fb',
        SCRIPT_FILENAME: 'proxy:fcgi://localhost/a%2Fb',
        REQUEST_URI: '/app/a%2Fb',
      }),
    ).toEqual(['/app', '/a%2Fb']);
  });

  test('finds the mount point though slashes are doubled (nocanon)', () => {
    expect(
      paths({ ...APACHE, SCRIPT_NAME: '/app/a/b', SCRIPT_FILENAME: '/a//b', REQUEST_URI: '/app/a//b' }),
    ).toEqual(['/app', '/a//b']);
  });

  test('leaves the bare mount point alone', () => {
    expect(paths({ ...APACHE, SCRIPT_NAME: '/app', SCRIPT_FILENAME: '/' })).toEqual(['/app', '']);
  });

  test('takes no part of the path for the mount point when a client writes it in a way that hides it', () => {
    expect(
      paths({
        ...APACHE,
        SCRIPT_NAME: '/app/public',
        SCRIPT_FILENAME: '/admin/%2e%2e/public',
        REQUEST_URI: '/app/admin/%2e%2e/public',
      }),
    ).toEqual(['', '/app/public']);
  });
});

describe('takePathOfFrontController', () => {
  const PHP_FASTCGI = {
    ...CADDY,
    SCRIPT_NAME: '/index.php',
    PATH_INFO: '',
    SCRIPT_FILENAME: '/srv/www/index.php',
  };

  test('takes the path from REQUEST_URI', () => {
    expect(paths({ ...PHP_FASTCGI, REQUEST_URI: '/app/c%20d//e?x=1' })).toEqual(['', '/app/c d//e']);
  });

  test('and the mount point, if it is given, from that', () => {
    expect(paths({ ...PHP_FASTCGI, REQUEST_URI: '/app/c%20d?x=1' }, '/app')).toEqual(['/app', '/c d']);
    expect(paths({ ...PHP_FASTCGI, REQUEST_URI: '/app' }, '/app')).toEqual(['/app', '']);
  });

  test('never takes dot segments from it', () => {
    for (const target of ['/admin/../x', '/admin/%2e%2e/x', '/a/%2E', '/.%2e', '/a%2f..%2fb']) {
      expect(paths({ ...PHP_FASTCGI, REQUEST_URI: target })).toEqual(['/index.php', '']);
    }
  });

  test.each([
    ['caddy-mount/bare', '/app', ''],
    ['caddy-mount/path-space', '/app', '/c d//e'],
    ['caddy-plain/bare', '', '/app'],
    ['caddy-split/bare', '/app.fcgi', ''],
    ['caddy-split/path-space', '/app.fcgi', '/c d//e'],
  ])('is not for a SCRIPT_NAME that is right: %s', (name, script, path) => {
    expect(recorded(name)).toEqual([script, path]);
  });

  test('is not for a mount point, however a client writes it: that is no file', () => {
    for (const target of ['//app', '/APP', '/x/../app', '/app?x', '/']) {
      expect(
        paths({
          ...CADDY,
          SCRIPT_NAME: '/app',
          PATH_INFO: '',
          SCRIPT_FILENAME: '/srv/www',
          REQUEST_URI: target,
        }),
      ).toEqual(['/app', '']);
    }
  });
});

describe('splitAtMountPoint', () => {
  test.each([
    ['nginx-plain/path-space', '/app', '/c d//e'],
    ['nginx-plain/bare', '/app', ''],
    ['nginx-split/path-space', '/app', '/c d//e'],
    ['haproxy-plain/path-space', '/app', '/c d//e'],
    ['apache-pass/path-space', '/app', '/c d//e'],
    ['apache-pass-app/path-space', '/app', '/c d//e'],
    ['apache-tuned/bare', '/app', ''],
    ['caddy-mount/bare', '/app', ''],
    ['caddy-plain/path-space', '/app', '/c d//e'],
    ['lighttpd-socket/path-space', '/app', '/c d//e'],
    ['lighttpd-app/bare', '/app', ''],
  ])('%s: %j and %j', (name, script, path) => {
    expect(recorded(name, '/app')).toEqual([script, path]);
  });

  test('at the root puts all of it in PATH_INFO', () => {
    expect(recorded('lighttpd-app/path-space', '')).toEqual(['', '/app/c d//e']);
    expect(recorded('caddy-split/bare', '')).toEqual(['', '/app.fcgi']);
  });

  test('splits between segments only', () => {
    expect(paths({ ...NGINX, SCRIPT_NAME: '/apple', REQUEST_URI: '/apple' }, '/app')).toEqual(['', '/apple']);
  });

  test('takes the mount point from REQUEST_URI where the front end has stripped it (Caddy handle_path)', () => {
    const stripped = { ...CADDY, SCRIPT_NAME: '' };

    expect(paths({ ...stripped, PATH_INFO: '/x', REQUEST_URI: '/app/x?y' }, '/app')).toEqual(['/app', '/x']);
    expect(paths({ ...stripped, PATH_INFO: '/a/b', REQUEST_URI: '/app/a//b' }, '/app')).toEqual([
      '/app',
      '/a//b',
    ]);
    expect(paths({ ...stripped, PATH_INFO: '', REQUEST_URI: '/app' }, '/app')).toEqual(['/app', '']);
  });

  test('takes the mount point from REQUEST_URI where the front end has put a script before it (mod_rewrite)', () => {
    const rewritten = {
      ...APACHE,
      SCRIPT_NAME: '/app.fcgi',
      PATH_INFO: '/site/c d/e',
      REQUEST_URI: '/site/c%20d//e?x=1',
    };

    expect(paths(rewritten, '/site')).toEqual(['/site', '/c d//e']);
    expect(pathsOf(environOf(rewritten, { mount: '/site', protocol: 'cgi' }))).toEqual(['/site', '/c d//e']);
  });

  test('does not believe a REQUEST_URI that is not what the front end decided on', () => {
    // location /app/admin { deny all; } with error_page 403 /denied;
    expect(paths({ ...NGINX, SCRIPT_NAME: '/denied', REQUEST_URI: '/app/admin/secret' }, '/app')).toEqual([
      '',
      '/denied',
    ]);
    // Apache's ErrorDocument 403 /app.fcgi/denied
    expect(
      paths(
        { ...APACHE, SCRIPT_NAME: '/app.fcgi', PATH_INFO: '/denied', REQUEST_URI: '/app/admin/secret' },
        '/app',
      ),
    ).toEqual(['/app.fcgi', '/denied']);
  });

  test('does not bring back dot segments that the front end has resolved', () => {
    for (const target of [
      '/app/admin/%2e%2e/%2e%2e/public/x',
      '/app/admin/../../public/x',
      '/app/..%2fpublic/x',
    ]) {
      expect(paths({ ...NGINX, SCRIPT_NAME: '/public/x', REQUEST_URI: target }, '/app')).toEqual([
        '',
        '/public/x',
      ]);
    }
  });

  test('leaves a path outside of it to the other quirks: SCRIPT_NAME is never the client’s path', () => {
    expect(paths({ ...NGINX, SCRIPT_NAME: '/other', REQUEST_URI: '/other' }, '/app')).toEqual(['', '/other']);
    expect(paths({ ...HAPROXY, SCRIPT_NAME: '//app//x', REQUEST_URI: '//app//x' }, '/app')).toEqual([
      '',
      '//app//x',
    ]);
    expect(paths({ PATH_INFO: '', SCRIPT_NAME: '' }, '/app')).toEqual(['', '']);
  });
});

describe('restoreSlashes', () => {
  test.each([
    ['apache-cgi/path-space', '/c d//e'],
    ['lighttpd-cgi/path-space', '/c d//e'],
    ['nginx-fcgiwrap/path-space', '/c d//e'],
    ['lighttpd-app/path-space', '/c d//e'],
  ])('%s has its slashes again', (name, path) => {
    expect(recorded(name)[1]).toBe(path);
  });

  test('those that were written as %2F, too', () => {
    expect(paths({ ...NGINX, SCRIPT_NAME: '/a/b', REQUEST_URI: '/a%2F%2fb' })).toEqual(['', '/a//b']);
  });

  test('below a mount point it restores them at the beginning', () => {
    expect(paths({ ...NGINX, SCRIPT_NAME: '/app', PATH_INFO: '/x', REQUEST_URI: '/app//x' })).toEqual([
      '/app',
      '//x',
    ]);
  });

  test('at the root it does not: //x would be an authority', () => {
    for (const target of ['//evil.test/x', '///evil.test/x', '/%2Fevil.test/x']) {
      expect(paths({ ...NGINX, SCRIPT_NAME: '/evil.test/x', REQUEST_URI: target })).toEqual([
        '',
        '/evil.test/x',
      ]);
    }
    expect(paths({ ...NGINX, SCRIPT_NAME: '/a/b', REQUEST_URI: '//a//b' })).toEqual(['', '/a//b']);
  });

  test('but what a front end does not merge it does not merge either, because its rules did not', () => {
    expect(recorded('caddy-plain/path-dslash-lead')).toEqual(['', '//app//x']);
    expect(recorded('haproxy-plain/path-dslash-lead')).toEqual(['', '//app//x']);
  });

  test('it brings back no dot segment', () => {
    for (const target of ['/a//./b', '/x/..//a//b', '/a/%2e//b', '/a//b/.', '/a//b/%2e%2e']) {
      expect(paths({ ...NGINX, SCRIPT_NAME: '/a/b', REQUEST_URI: target })).toEqual(['', '/a/b']);
    }
  });

  test('it does not decode what the front end left encoded: its rules did not see a slash there', () => {
    // <Location "/app/admin"> Require all denied, AllowEncodedSlashes NoDecode: Apache lets this one through.
    const environ = {
      ...APACHE,
      SCRIPT_NAME: '/app',
      PATH_INFO: '/admin%2Fx',
      REQUEST_URI: '/app/admin%2Fx',
    };

    expect(paths(environ)).toEqual(['/app', '/admin%2Fx']);
    expect(pathsOf(environOf(environ, { protocol: 'cgi' }))).toEqual(['/app', '/admin%2Fx']);
    expect(pathsOf(environOf(environ, { mount: '/app' }))).toEqual(['/app', '/admin%2Fx']);
  });

  test('it does not decode twice', () => {
    expect(paths({ ...NGINX, SCRIPT_NAME: '/a%2Fb/c', REQUEST_URI: '/a%252Fb//c' })).toEqual([
      '',
      '/a%2Fb//c',
    ]);
  });

  test('it does not believe another path: after a rewrite REQUEST_URI is the old one', () => {
    expect(paths({ ...NGINX, SCRIPT_NAME: '/new', REQUEST_URI: '/old//x' })).toEqual(['', '/new']);
    expect(
      paths({ ...APACHE, SCRIPT_NAME: '/app.cgi', PATH_INFO: '/b', REQUEST_URI: '/app.cgi//a' }),
    ).toEqual(['/app.cgi', '/b']);
  });

  test('a query or a fragment is no path', () => {
    expect(paths({ ...NGINX, SCRIPT_NAME: '/a', REQUEST_URI: '/a?//b' })).toEqual(['', '/a']);
    expect(paths({ ...NGINX, SCRIPT_NAME: '/a/b', REQUEST_URI: '/a//b#/../c' })).toEqual(['', '/a//b']);
    expect(paths({ ...NGINX, SCRIPT_NAME: '/a/b?c', REQUEST_URI: '/a//b%3Fc' })).toEqual(['', '/a//b?c']);
  });

  /** What a client may write, rich in what is delicate. */
  const target = fc
    .array(
      fc.constantFrom(
        '/',
        '//',
        '%2F',
        '%2f',
        '.',
        '..',
        '%2e',
        '%252F',
        'a',
        'app',
        '%',
        '?',
        '#',
        '%00',
        ' ',
      ),
      {
        maxLength: 12,
      },
    )
    .map((parts) => `/${parts.join('')}`);

  test('whatever the client writes, the path means what the front end decided on (property)', () => {
    fc.assert(
      fc.property(
        target,
        fc.constantFrom('', '/app'),
        fc.constantFrom<'cgi' | 'fastcgi'>('cgi', 'fastcgi'),
        fc.constantFrom(undefined, '', '/app'),
        (uri, script, protocol, mount) => {
          // What nginx makes of it: decoded, merged, dot segments resolved.
          const seen = asNginxSees(uri);
          fc.pre(
            seen !== undefined && seen.startsWith(script) && /^(?:\/|$)/.test(seen.slice(script.length)),
          );
          const environ = environOf(
            { ...NGINX, SCRIPT_NAME: script, PATH_INFO: seen.slice(script.length), REQUEST_URI: uri },
            { protocol, mount },
          );

          expect(merged(environ.SCRIPT_NAME + environ.PATH_INFO)).toBe(seen);
          expect(environ.PATH_INFO).not.toMatch(DOT_SEGMENT);
          if (mount === undefined) {
            expect(environ.SCRIPT_NAME).toBe(script);
          }
          expect(environ.SCRIPT_NAME + environ.PATH_INFO).not.toMatch(/^\/\//);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('whatever the client writes, nothing it hid from Apache reaches the application (property)', () => {
    fc.assert(
      fc.property(target, fc.constantFrom(undefined, '/app'), (uri, mount) => {
        const seen = asApacheSees(`/app${uri}`);
        fc.pre(seen?.startsWith('/app') === true && /^(?:\/|$)/.test(seen.slice(4)));
        const environ = environOf(
          { ...APACHE, SCRIPT_NAME: '/app', PATH_INFO: seen.slice(4), REQUEST_URI: `/app${uri}` },
          { mount },
        );

        expect(environ.SCRIPT_NAME).toBe('/app');
        expect(merged(environ.PATH_INFO)).toBe(seen.slice(4));
      }),
      { numRuns: 3000 },
    );
  });
});

/** nginx 1.22.1 with merge_slashes; undefined: 400. */
function asNginxSees(uri: string): string | undefined {
  const path = percentDecode(uri.replace(/[?#].*$/s, ''));

  return path.includes('\0') ? undefined : resolved(path);
}

/** Apache 2.4.71 with `AllowEncodedSlashes NoDecode`; undefined: 400. */
function asApacheSees(uri: string): string | undefined {
  const path = uri
    .replace(/[?#].*$/s, '')
    .replace(/%(?!2f)([0-9a-f]{2})/gi, (encoded) => percentDecode(encoded));

  return path.includes('\0') ? undefined : resolved(path);
}

/** RFC 3986 §5.2.4 on a path whose slashes are merged; undefined: above the root. */
function resolved(path: string): string | undefined {
  const segments: string[] = [];
  const parts = merged(path).split('/').slice(1);

  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;

    if (part === '..' && segments.pop() === undefined) {
      return undefined;
    }
    if (part !== '.' && part !== '..') {
      segments.push(part);
    } else if (isLast) {
      segments.push('');
    }
  }
  return `/${segments.join('/')}`;
}

describe('mendBoundary', () => {
  test.each([
    ['/app/', '', '/app', '/'],
    ['/app/', '/x', '/app', '/x'],
    ['/app/', 'x', '/app', '/x'],
    ['/app//', '/x', '/app', '/x'],
    ['/', '', '', '/'],
    ['//', '/x', '', '/x'],
    ['', '', '', ''],
    ['/app', '', '/app', ''],
  ])('%j and %j become %j and %j', (script, info, newScript, newInfo) => {
    expect(paths({ SCRIPT_NAME: script, PATH_INFO: info })).toEqual([newScript, newInfo]);
  });

  test('a boundary within a segment is none: Caddy `split .fcgi` cuts /app.fcgiadmin', () => {
    expect(
      paths({
        ...CADDY,
        SCRIPT_NAME: '/app.fcgi',
        PATH_INFO: 'admin/x',
        SCRIPT_FILENAME: '/srv/www/app.fcgi',
        REQUEST_URI: '/app.fcgiadmin/x',
      }),
    ).toEqual(['', '/app.fcgiadmin/x']);
  });

  test('SCRIPT_NAME never begins with two slashes, which in a URL is another host', () => {
    expect(recorded('caddy-split/path-dslash-lead')).toEqual(['/app.fcgi', '//x']);
    expect(paths({ ...CADDY, SCRIPT_NAME: '///evil.test/app.fcgi', PATH_INFO: '/x' })[0]).toBe(
      '/evil.test/app.fcgi',
    );
  });

  test('the path of OPTIONS * begins with a slash, too', () => {
    expect(paths({ SCRIPT_NAME: '', PATH_INFO: '*', REQUEST_URI: '*' })).toEqual(['', '/*']);
  });

  test('takes time in proportion to the path (no quadratic regular expression)', () => {
    const slashes = '/'.repeat(200_000);
    const begun = performance.now();
    environOf({
      SCRIPT_NAME: `${slashes}x/`,
      PATH_INFO: `${slashes}x`,
      REQUEST_URI: `${slashes}x${slashes}x`,
    });
    environOf({ SCRIPT_NAME: `${slashes}x`, PATH_INFO: '', HTTP_HOST: ']:'.repeat(100_000) });

    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

describe('repairServer', () => {
  test.each([
    ['haproxy-plain/host-port', 'app.example.test', '21501'],
    ['haproxy-plain/host-ipv6', '[::1]', '21501'],
    ['nginx-plain/host-port', 'app.example.test', '21001'],
    ['apache-pass/host-port', 'app.example.test', '8080'],
  ])('%s: SERVER_NAME %s, SERVER_PORT %s', (name, server, port) => {
    expect(environOfFixture(environFixture(name))).toMatchObject({ SERVER_NAME: server, SERVER_PORT: port });
  });

  test.each([
    ['app.test:8080', 'app.test'],
    ['app.test:', 'app.test'],
    ['app.test', 'app.test'],
    ['[::1]:8080', '[::1]'],
    ['[::1]', '[::1]'],
    ['::1', '::1'],
  ])('removePortFromServerName: %s becomes %s', (name, expected) => {
    const environ: Partial<Environ> = { SERVER_NAME: name };
    removePortFromServerName(environ);

    expect(environ.SERVER_NAME).toBe(expected);
  });

  test.each<[Variables, string, string]>([
    [{}, 'localhost', '80'],
    [{ HTTPS: 'on' }, 'localhost', '443'],
    [{ SERVER_ADDR: '192.0.2.1' }, '192.0.2.1', '80'],
    [{ HTTP_HOST: 'a.test' }, 'a.test', '80'],
    [{ HTTP_HOST: 'a.test:81' }, 'a.test', '81'],
    [{ HTTP_HOST: '[::1]:81' }, '[::1]', '81'],
    [{ HTTP_HOST: ':81' }, 'localhost', '81'],
    [{ HTTP_HOST: ':' }, 'localhost', '80'],
    [{ HTTP_HOST: 'a:b' }, 'a:b', '80'],
    [{ SERVER_NAME: ':8080', HTTP_HOST: ':8080' }, 'localhost', '8080'],
    [{ SERVER_NAME: '', SERVER_PORT: '' }, 'localhost', '80'],
    [{ SERVER_NAME: 'a.test', SERVER_PORT: '81', HTTP_HOST: 'b.test:82' }, 'a.test', '81'],
  ])('%j: SERVER_NAME %s, SERVER_PORT %s', (variables, name, port) => {
    expect(environOf(variables)).toMatchObject({ SERVER_NAME: name, SERVER_PORT: port });
  });

  test('fills in what PEP 3333 and RFC 3875 want', () => {
    expect(environOf({})).toMatchObject({
      REQUEST_METHOD: 'GET',
      SCRIPT_NAME: '',
      PATH_INFO: '',
      QUERY_STRING: '',
      SERVER_PROTOCOL: 'HTTP/1.0',
      GATEWAY_INTERFACE: 'CGI/1.1',
    });
  });
});

describe('truncationOf', () => {
  test('is a refused record behind nginx, a late close behind lighttpd, closing the connection elsewhere', () => {
    expect(truncationOf(NGINX)).toBe('refused-record');
    expect(truncationOf({ SERVER_SOFTWARE: 'lighttpd/1.4.69' })).toBe('late-close');
    for (const server of [APACHE, CADDY, HAPROXY, {}, undefined]) {
      expect(truncationOf(server)).toBe('close');
    }
  });
});
