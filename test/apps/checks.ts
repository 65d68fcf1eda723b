/** Requests to the applications in this folder: what they answer on node:http, they answer everywhere. */
import type { HttpRequest } from '../support/http-client';

export interface Check extends HttpRequest {
  readonly name: string;
}

type Fields = Record<string, string>;

const BODY = 'x'.repeat(100_000);

const get = (target: string, headers: Fields = {}): Check => ({
  name: `GET ${target}${describeFields(headers)}`,
  target,
  headers: Object.entries(headers),
});

const send = (
  method: string,
  target: string,
  body: string | undefined,
  headers: Fields = {},
  chunked = false,
): Check => ({
  name: `${method} ${target}${body === undefined ? '' : `, ${String(body.length)} bytes`}${chunked ? ', chunked' : ''}${describeFields(headers)}`,
  method,
  target,
  headers: Object.entries(headers),
  ...(body === undefined ? {} : { body, chunked }),
});

function describeFields(headers: Fields): string {
  return Object.entries(headers)
    .map(([name, value]) => `, ${name}: ${value}`)
    .join('');
}

const JSON_TYPE = { 'Content-Type': 'application/json' };
const FORM_TYPE = { 'Content-Type': 'application/x-www-form-urlencoded' };
const MULTIPART_TYPE = { 'Content-Type': 'multipart/form-data; boundary=XX' };

const MULTIPART = [
  '--XX\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n',
  '--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n',
  `${BODY}\r\n--XX--\r\n`,
].join('');

export const checks: readonly Check[] = [
  get('/text'),
  get('/json'),
  get('/jsonp?callback=cb'),
  get('/empty'),
  get('/null'),
  get('/etag'),
  get('/etag', { 'If-None-Match': '"abc"' }),
  get('/etag', { 'If-None-Match': 'W/"6-XGpQ5Y3Jg0sN3ZlSQjZRFqDEgbs"' }),
  get('/missing'),
  get('/echo?a=1&b=%20x'),
  get('/echo', { 'X-One': 'one' }),
  get('/echo', { Cookie: 'a=1; b=2' }),
  get('/echo', { 'X-One': 'caf\xe9' }),
  { ...get('/echo'), name: 'GET /echo, X-Dup twice', headers: [['X-Dup', 'a'], ['X-Dup', 'b']] }, // prettier-ignore
  { ...get('/echo'), name: 'GET /echo, two Cookie headers', headers: [['Cookie', 'a=1'], ['Cookie', 'b=2']] }, // prettier-ignore
  send('HEAD', '/text', undefined),
  send('HEAD', '/big', undefined),
  send('HEAD', '/stream', undefined),
  send('OPTIONS', '/text', undefined),
  send('POST', '/text', undefined),
  send('DELETE', '/echo', undefined),
  send('DELETE', '/empty', undefined),
  send('PUT', '/echo', 'put body', { 'Content-Type': 'text/plain' }),
  send('PATCH', '/echo', 'patch body', { 'Content-Type': 'text/plain' }),
  send('DELETE', '/echo', 'delete body', { 'Content-Type': 'text/plain' }),
  send('POST', '/echo', 'post body', { 'Content-Type': 'text/plain' }),
  send('POST', '/echo', 'chunked body', { 'Content-Type': 'application/octet-stream' }, true),
  send('POST', '/length', BODY, { 'Content-Type': 'application/octet-stream' }),
  send('POST', '/length', BODY.repeat(15), { 'Content-Type': 'application/octet-stream' }),
  send('POST', '/parse', '{"a":[1,2,{"b":null}]}', JSON_TYPE),
  send('POST', '/parse', '{"broken', JSON_TYPE),
  send('POST', '/parse', '', JSON_TYPE),
  send('POST', '/parse', `{"long":"${BODY}"}`, JSON_TYPE),
  send('POST', '/form', 'a=1&b=two+words&c=%C3%A9', FORM_TYPE),
  send('POST', '/plain', 'plain text', { 'Content-Type': 'text/plain' }),
  send('POST', '/raw', 'raw bytes', { 'Content-Type': 'application/octet-stream' }),
  send('POST', '/upload', MULTIPART, MULTIPART_TYPE),
  send('POST', '/ignore', 'ignored body', { 'Content-Type': 'text/plain' }),
  send('POST', '/pipe', BODY, { 'Content-Type': 'application/octet-stream' }),
  send('POST', '/limited', 'longer than ten', { 'Content-Type': 'text/plain' }),
  get('/cookies'),
  get('/cookies', { Cookie: 'a=7' }),
  get('/session'),
  get('/redirect'),
  get('/permanent'),
  get('/created'),
  get('/stream'),
  get('/events'),
  get('/big'),
  get('/long'),
  get('/long', { 'Accept-Encoding': 'gzip' }),
  get('/headers'),
  get('/throw'),
  get('/ctx-throw'),
  get('/reject'),
  get('/late'),
  get('/slow'),
  get('/who?x=1'),
  get('/who', { 'X-Requested-With': 'XMLHttpRequest', Host: 'a.b.example.test:81' }),
  get('/status'),
  get('/raw'),
  get('/respond-false'),
  get('/fetch-response'),
  get('/blob'),
  get('/static/file.txt'),
  get('/static/file.txt', { Range: 'bytes=0-9' }),
  get('/static/file.txt', { Range: 'bytes=100-' }),
  get('/static/file.txt', { Range: 'bytes=-5' }),
  get('/static/file.txt', { Range: 'bytes=99999-' }),
  get('/static/file.txt', { 'If-Modified-Since': 'Sun, 13 Sep 2020 12:26:40 GMT' }),
  get('/static/big.bin'),
  get('/static/big.bin', { Range: 'bytes=1000-500000' }),
  get('/static/with%20space.txt'),
  get('/send-file'),
  get('/send-file', { Range: 'bytes=5-9' }),
  get('/download'),
  get('/attachment'),
  get('/format', { Accept: 'application/json' }),
  get('/format', { Accept: 'text/html' }),
  get('/format', { Accept: 'image/png' }),
  get('/accepts', { Accept: 'text/html', 'Accept-Encoding': 'gzip' }),
  get('/mounted/inner/42?q=1'),
  get('/mounted/outer'),
  get('/next'),
];
