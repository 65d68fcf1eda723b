/** Options that mean the same for every protocol. */
import { logToStderr, type ErrorLog } from './error-log';

export interface GatewayOptions {
  /**
   * The mount point, such as `/app`; `""` or `/` for the root. Default: found out from what the server says, see
   * docs/deploy.md for the front ends that do not say it.
   */
  readonly mount?: string | undefined;
  /**
   * Bytes of a request body; more is 413. Default: no limit, because a body is never held (it flows to the
   * application at the application's pace) and every front end has a limit of its own.
   */
  readonly maxBodyBytes?: number | undefined;
  /** Show errors to the client, stack and all. Default false. */
  readonly development?: boolean | undefined;
  /** Takes the lines of the error log. Default: standard error. */
  readonly errorLog?: ErrorLog | undefined;
}

/** @returns the mount point as SCRIPT_NAME has it: bytes as latin-1, a slash before each segment, none at its end. */
export function normalizeMount(mount: string | undefined): string | undefined {
  return mount === undefined
    ? undefined
    : Buffer.from(mount)
        .toString('latin1')
        .replace(/\/+$/, '')
        .replace(/^(?=[^/])/, '/');
}

export function errorLogOf(options: GatewayOptions): ErrorLog {
  return options.errorLog ?? logToStderr;
}
