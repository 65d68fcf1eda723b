/** What `postern --help` prints. */
export const USAGE = `postern: one application behind Apache, nginx, lighttpd, Caddy and HAProxy

  postern run <app>        as started: CGI, or FastCGI on an inherited socket
  postern cgi <app>        one CGI request from the environment and standard input
  postern fastcgi <app> --socket <path | host:port | fd:N>
                           a FastCGI daemon
  postern server <script>  a script that listens by itself, such as app.listen(3000), unmodified: its port is not
                           opened, the web server asks it by CGI or FastCGI; options as run and fastcgi
  postern dev <app>        a web server on 127.0.0.1 for development

<app> is a file, or file:export. Without an export: application, app, default, handler, or the module itself. It is a
function (environ, startResponse), an Express, Connect, Koa or Fastify application, an http.Server, or has fetch().

Options of all commands
  --as gateway|node|fetch  what kind of function the application is (run, cgi, fastcgi, dev): (environ, startResponse),
                           (req, res) or (request) (default: as it looks)
  --mount PATH             mount point, such as /app (default: as the web server says)
  --max-body BYTES         larger request bodies get 413; 10M is 10 MiB (default: no limit)
  --development            show errors to the client
In CGI nothing after <app> or <script> is read: web servers put words of the query there. Write options before it.

Options of fastcgi and server
  --socket ADDRESS         where to listen; may be given several times
  --socket-mode MODE       permissions of the socket file (default 0660)
  --socket-owner USER:GROUP
  --backlog N              connections that wait to be accepted (default 511)
  --allowed-clients LIST   addresses and networks that may connect over TCP, separated by commas
  --workers 0|1            one process (default 1)
  --graceful-timeout SEC   how long a graceful stop waits for requests (default 30)
  --max-params BYTES       larger parameters get 431 (default 1M)
  --max-concurrent N       more requests at once get 503 (default 4096)
  --stderr-to-front-end    send wsgi.errors to the web server's log, too

Options of dev
  --port N                 (default 8080)
  --via direct|fastcgi|cgi how the request reaches the application (default direct)
  --watch                  start again when a file changes

  postern --version
`;
