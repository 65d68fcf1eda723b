/** Status and headers on their way to the client. */
import type { Behaviour, Exception, Observation } from '../behaviour';
import { CADDY, LIGHTTPD, NGINX_DEFAULT } from '../hosts-by-name';

/** One GET of `/`; what comes back is complete. */
function headRow(
  name: string,
  app: string,
  expect: Observation,
  exceptions: readonly Exception[] = [],
): Behaviour {
  return { name, app, expect: { ...expect, complete: true }, exceptions };
}

export const responseHeads: readonly Behaviour[] = [
  headRow('keeps 301 with an absolute Location', 'moved', {
    status: 301,
    headers: { location: 'http://elsewhere.test/moved?to=1' },
    body: 'over there\n',
  }),
  headRow('keeps 302 with an absolute Location', 'found', {
    status: 302,
    headers: { location: 'http://elsewhere.test/found' },
    body: 'over there\n',
  }),
  headRow('keeps 303 with a path for a Location', 'see-other', {
    status: 303,
    headers: { location: '/relative/path' },
    body: 'over there\n',
  }),
  headRow('keeps 201 with a Location', 'created', {
    status: 201,
    headers: { location: 'http://elsewhere.test/items/1' },
    body: 'over there\n',
  }),
  headRow('keeps several Set-Cookie apart', 'cookies', {
    status: 200,
    headers: { 'set-cookie': 'one=1; Path=/ | two=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT | three=3' },
  }),
  headRow('keeps 401 with its WWW-Authenticate', 'unauthorized', {
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="a realm", charset="UTF-8"' },
    body: 'who are you?\n',
  }),
  headRow("keeps an application's own 418", 'teapot', { status: 418, body: 'short and stout\n' }),
  headRow("keeps an application's own 503", 'unavailable', {
    status: 503,
    headers: { 'retry-after': '120' },
    body: 'later\n',
  }),
  headRow(
    'keeps a status with a reason of its own',
    'own-reason',
    { status: 299, reason: 'Fine By Me', body: 'fine\n' },
    [
      {
        hosts: LIGHTTPD,
        why: 'lighttpd 1.4.69 has reasons of its own, and none for a code it does not know',
        expect: { status: 299, reason: '', body: 'fine\n' },
      },
      {
        hosts: CADDY,
        why: 'Caddy 2.6.2 has reasons of its own, and a phrase of Go for a code it does not know',
        expect: { status: 299, reason: 'status code 299', body: 'fine\n' },
      },
    ],
  ),
  headRow('keeps the bytes of header values', 'latin1-header', {
    headers: { 'x-latin': 'caf\xe9', 'x-utf8': 'caf\xc3\xa9' },
  }),
  headRow('keeps a header without a value', 'empty-header', { status: 200, headers: { 'x-empty': '' } }, [
    {
      hosts: LIGHTTPD,
      why: 'lighttpd 1.4.69 drops a response header without a value',
      expect: { status: 200, headers: { 'x-empty': undefined }, body: 'empty\n' },
    },
  ]),
  headRow('keeps both values of a repeated header', 'repeated-header', { headers: { 'x-twice': 'a, b' } }),
  headRow('keeps a header of 3 KiB', 'header-3k', { status: 200, headers: { 'x-big': 'b'.repeat(3072) } }),
  headRow('keeps a header of 7 KiB', 'header-7k', { status: 200, headers: { 'x-big': 'b'.repeat(7168) } }, [
    {
      hosts: NGINX_DEFAULT,
      why: 'nginx 1.22.1 answers 502 to a response head above fastcgi_buffer_size, by default 4 KiB',
      expect: { status: 502 },
    },
  ]),
  headRow('takes a second startResponse with excInfo', 'changed-mind', {
    status: 409,
    headers: { 'x-first': undefined },
    body: 'changed my mind\n',
  }),
];
