/** Request headers and the other meta-variables. */
import type { Behaviour, HostFacts } from '../behaviour';
import { environRow } from '../environ-row';
import { APACHE, APACHE_DEFAULT, CADDY, HAPROXY_DEFAULT, LIGHTTPD, NGINX_DEFAULT } from '../hosts-by-name';

const BIG = 'v'.repeat(4096);

export const requestHeaders: readonly Behaviour[] = [
  environRow({
    name: 'passes a header',
    request: { headers: [['X-Plain', 'a value']] },
    expect: { HTTP_X_PLAIN: 'a value' },
  }),
  environRow({
    name: 'passes an empty header as none',
    request: { headers: [['X-Empty', '']] },
    expect: { HTTP_X_EMPTY: undefined },
  }),
  environRow({
    name: 'joins a repeated header',
    request: {
      headers: [
        ['X-Repeated', 'a'],
        ['X-Between', 'x'],
        ['X-Repeated', 'b, c'],
        ['X-Repeated', 'd'],
      ],
    },
    expect: { HTTP_X_REPEATED: 'a, b, c, d', HTTP_X_BETWEEN: 'x' },
  }),
  environRow({
    name: 'passes several cookies of one header',
    request: { headers: [['Cookie', 'one=1; two="2, or more"']] },
    expect: { HTTP_COOKIE: 'one=1; two="2, or more"' },
  }),
  environRow({
    name: 'joins several Cookie headers as cookies are joined',
    request: {
      headers: [
        ['Cookie', 'one=1'],
        ['Cookie', 'two=2'],
      ],
    },
    expect: { HTTP_COOKIE: 'one=1; two=2' },
    exceptions: [
      {
        hosts: APACHE,
        why: 'Apache 2.4.71 joins Cookie headers with a comma, which may as well belong to a cookie',
        expect: { environ: { HTTP_COOKIE: 'one=1, two=2' } },
      },
      {
        hosts: CADDY,
        why: 'Caddy 2.6.2 joins Cookie headers with a comma, which may as well belong to a cookie',
        expect: { environ: { HTTP_COOKIE: 'one=1, two=2' } },
      },
    ],
  }),
  environRow({
    name: 'drops a header whose name has an underscore',
    request: { headers: [['X_Alias', 'spoofed']] },
    expect: { HTTP_X_ALIAS: undefined },
    exceptions: [
      {
        hosts: LIGHTTPD,
        why: 'lighttpd 1.4.69 passes X_Alias and X-Alias as one variable',
        expect: { environ: { HTTP_X_ALIAS: 'spoofed' } },
      },
      {
        hosts: CADDY,
        why: 'Caddy 2.6.2 passes X_Alias and X-Alias as one variable (request_header -X_Alias)',
        expect: { environ: { HTTP_X_ALIAS: 'spoofed' } },
      },
    ],
  }),
  environRow({
    name: 'drops a header whose name has a dot',
    request: { headers: [['X.Alias', 'spoofed']] },
    expect: { HTTP_X_ALIAS: undefined, 'HTTP_X.ALIAS': undefined },
    exceptions: [
      {
        hosts: LIGHTTPD,
        why: 'lighttpd 1.4.69 passes X.Alias and X-Alias as one variable',
        expect: { environ: { HTTP_X_ALIAS: 'spoofed' } },
      },
    ],
  }),
  environRow({
    name: 'drops the header Proxy (httpoxy)',
    request: { headers: [['Proxy', 'http://evil.test/']] },
    expect: { HTTP_PROXY: undefined, 'process.env.HTTP_PROXY': undefined },
  }),
  environRow({
    name: 'passes the header Authorization',
    request: { headers: [['Authorization', 'Bearer some.token']] },
    expect: { HTTP_AUTHORIZATION: 'Bearer some.token' },
    exceptions: [
      {
        hosts: APACHE_DEFAULT,
        why: 'Apache 2.4.71 withholds Authorization without CGIPassAuth On',
        expect: { environ: { HTTP_AUTHORIZATION: undefined, HTTP_X_FIXTURE: 'environ' } },
      },
      {
        hosts: HAPROXY_DEFAULT,
        why: 'HAProxy 2.6.12 withholds Authorization without pass-header Authorization',
        expect: { environ: { HTTP_AUTHORIZATION: undefined, HTTP_X_FIXTURE: 'environ' } },
      },
    ],
  }),
  environRow({
    name: 'passes the header Host with its port',
    request: { headers: [['Host', 'app.example.test:8080']] },
    expect: { HTTP_HOST: 'app.example.test:8080', SERVER_NAME: 'app.example.test' },
    exceptions: [
      {
        hosts: NGINX_DEFAULT,
        why: "nginx 1.22.1: Debian's fastcgi_params set HTTP_HOST to $host, which has no port",
        expect: { environ: { HTTP_HOST: 'app.example.test', SERVER_NAME: 'app.example.test' } },
      },
    ],
  }),
  environRow({
    name: 'passes Content-Type as CONTENT_TYPE only',
    request: { method: 'POST', body: '{}', headers: [['Content-Type', 'application/json']] },
    expect: { CONTENT_TYPE: 'application/json', HTTP_CONTENT_TYPE: undefined },
  }),
  environRow({
    name: 'invents no Content-Type and no Content-Length',
    expect: { CONTENT_TYPE: undefined, HTTP_CONTENT_TYPE: undefined, HTTP_CONTENT_LENGTH: undefined },
  }),
  environRow({
    name: 'does not believe a header Content_Length',
    request: { method: 'POST', body: '0123456789', headers: [['Content_Length', '99']] },
    expect: { CONTENT_LENGTH: '10', HTTP_CONTENT_LENGTH: undefined },
  }),
  environRow({
    name: 'keeps headers of the hop before from the application',
    request: {
      headers: [
        ['TE', 'trailers'],
        ['Keep-Alive', 'timeout=5'],
        ['Proxy-Connection', 'keep-alive'],
      ],
    },
    expect: {
      HTTP_TE: undefined,
      HTTP_CONNECTION: undefined,
      HTTP_KEEP_ALIVE: undefined,
      HTTP_PROXY_CONNECTION: undefined,
    },
  }),
  environRow({
    name: 'passes a header value of 4 KiB',
    request: { headers: [['X-Big', BIG]] },
    expect: { HTTP_X_BIG: BIG },
  }),
  environRow({
    name: 'passes the bytes of a header value as they are',
    request: {
      headers: [
        ['X-Latin', 'caf\xe9'],
        ['X-Utf8', 'caf\xc3\xa9'],
      ],
    },
    expect: { HTTP_X_LATIN: 'caf\xe9', HTTP_X_UTF8: 'caf\xc3\xa9' },
  }),
  environRow({
    name: 'says http without TLS, whatever the client says',
    request: { headers: [['Https', 'on']] },
    expect: { 'wsgi.url_scheme': 'http' },
  }),
  environRow({
    name: 'says https with TLS',
    request: { tls: true },
    expect: { 'wsgi.url_scheme': 'https' },
  }),
  environRow({
    name: 'passes the version of HTTP',
    expect: { SERVER_PROTOCOL: 'HTTP/1.1', GATEWAY_INTERFACE: 'CGI/1.1' },
  }),
  environRow({
    name: 'passes the address of the client',
    expect: { REMOTE_ADDR: '127.0.0.1' },
  }),
  environRow({
    name: 'tells the truth about processes',
    expect: (host) => ({ 'wsgi.version': [1, 0], 'wsgi.multithread': false, ...processesOf(host) }),
  }),
];

function processesOf({ kind }: HostFacts): Readonly<Record<string, boolean>> {
  const isCgi = kind === 'cgi';
  return { 'wsgi.multiprocess': isCgi, 'wsgi.run_once': isCgi };
}
