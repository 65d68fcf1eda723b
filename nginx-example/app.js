'use strict';

/** The whole application: it runs as a CGI script, as a FastCGI daemon, and in `postern dev`, unchanged. */
function app(environ, startResponse) {
  const name = new URLSearchParams(environ.QUERY_STRING).get('name') ?? 'world';

  startResponse('200 OK', [['Content-Type', 'text/html; charset=utf-8']]);
  return [
    '<!doctype html><title>Postern</title>',
    `<h1>Hello, ${escapeHtml(name)}!</h1>`,
    `<p>${escapeHtml(environ.REQUEST_METHOD)} ${escapeHtml(environ.SCRIPT_NAME + environ.PATH_INFO)}`,
    ` by way of ${escapeHtml(environ.SERVER_SOFTWARE ?? 'nobody')}.</p>\n`,
  ];
}

function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

module.exports = app;
