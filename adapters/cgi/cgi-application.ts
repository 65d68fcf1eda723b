/** Runs a CGI script as a web server does (RFC 3875), one process for each request: the other end of `serve`. */
import type { Application } from '../../src/gateway/types';

export interface CgiApplicationOptions {
  /** The script; looked for in PATH if there is no slash in it. */
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  /** Default: that of this process. RFC 3875 §7.2 wants the script's own folder. */
  readonly cwd?: string | undefined;
  /** What the script has besides the variables of the request. Default: PATH, LD_LIBRARY_PATH and TZ. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Bytes of a response head. Default 65,536. */
  readonly maxHeadBytes?: number | undefined;
  /**
   * Bytes of a request body whose length the client does not tell: a script must know it, so the body is kept until
   * it has ended. More is 413. Default 1 MiB, nginx's for any body.
   */
  readonly maxUnknownBodyBytes?: number | undefined;
  /** Milliseconds between SIGTERM and SIGKILL when the client has left. Default 3,000, as Apache. */
  readonly killTimeoutMs?: number | undefined;
}

/**
 * The response is complete when the script has closed its standard output and ended with status 0; any other ending
 * is a failure: 502 before the head, a truncated response after it.
 */
export function cgiApplication(options: CgiApplicationOptions): Application {
  // Loaded here: a CGI process that serves comes by this file, too, and has no time for the rest.
  // eslint-disable-next-line @typescript-eslint/no-require-imports, @typescript-eslint/consistent-type-imports
  const { runScript } = require('./script-run') as typeof import('./script-run');

  return (environ, startResponse) => runScript(options, environ, startResponse);
}
