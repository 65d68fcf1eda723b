/** Names of hosts for the exceptions of the table. */

/** Debian 12: nginx 1.22.1. */
export const NGINX = /^nginx/;
/** nginx without `fastcgi_request_buffering off`. */
export const NGINX_BUFFERED = /^nginx(?! unbuffered)/;
/** nginx without `fastcgi_buffering off` and without `fastcgi_keep_conn`. */
export const NGINX_COLLECTS = /^nginx( mounted)?$/;
/** Its shortest configuration, where the distribution's fastcgi_params and buffers are as they are. */
export const NGINX_DEFAULT = /^nginx$/;

/** Debian 12: Apache 2.4.71, mod_fcgid 2.3.9. */
export const APACHE = /^apache/;
/** `ProxyPass` and nothing else. */
export const APACHE_DEFAULT = /^apache ProxyPass$/;
/** Without `flushpackets=on`, or mod_fcgid without `FcgidOutputBufferSize 0`. */
export const APACHE_BUFFERED = /^apache (ProxyPass|SetHandler mounted|mod_fcgid)$/;
export const APACHE_FCGID = /^apache mod_fcgid/;
/** mod_fcgid with `FcgidOutputBufferSize 0`. */
export const APACHE_FCGID_STREAMING = /^apache mod_fcgid mounted$/;
export const APACHE_CGI = /^apache mod_cgid?\b/;
/** All but mod_fcgid forget a Content-Length from behind them (CVE-2024-24795). */
export const APACHE_NO_LENGTH = /^apache (?!mod_fcgid)/;

/** Debian 12: lighttpd 1.4.69. */
export const LIGHTTPD = /^lighttpd/;
/** Without `server.stream-response-body`. */
export const LIGHTTPD_BUFFERED = /^lighttpd (socket|bin-path)$/;
/** Without `server.stream-request-body`. */
export const LIGHTTPD_UPLOAD_BUFFERED = /^lighttpd (socket|bin-path|bin-path mounted|mod_cgi mounted)$/;
/** With `server.stream-request-body = 2`. */
export const LIGHTTPD_UPLOAD_STREAMED = /^lighttpd (socket mounted|mod_cgi cgi-bin)$/;
export const LIGHTTPD_CGI = /^lighttpd mod_cgi/;
/** A `$HTTP["url"]` condition around the application. */
export const LIGHTTPD_CONDITION = /^lighttpd .* mounted$/;

/** Debian 12: Caddy 2.6.2. */
export const CADDY = /^caddy/;
/** Without `uri` or `handle_path`, and without `flush_interval -1`. */
export const CADDY_DEFAULT = /^caddy$/;

/** Debian 12: HAProxy 2.6.12. */
export const HAPROXY = /^haproxy/;
/** Without `pass-header Authorization`. */
export const HAPROXY_DEFAULT = /^haproxy$/;
/** With `path-info`. */
export const HAPROXY_PATH_INFO = /^haproxy .* mounted$/;
