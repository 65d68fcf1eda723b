/** What can be set on a FastCGI server, each with the reason for its default. */
import type { ConnectionLimits } from '../../src/fastcgi/connection';
import type { GatewayOptions } from '../exchange/gateway-options';

export interface FastCgiOptions extends GatewayOptions {
  /**
   * Bytes of encoded parameters in one request; more is 431. Default 1 MiB: Apache's own limits let 100 header lines
   * of 8,190 bytes through (800 KiB), every other front end much less.
   */
  readonly maxParamsBytes?: number | undefined;
  /** Parameters in one request; more is 431. Default 10,000: a hundred times what front ends send by default. */
  readonly maxParams?: number | undefined;
  /**
   * Requests open at once on one connection; more is 503. Default 256: HAProxy, the only front end that multiplexes,
   * opens another connection long before.
   */
  readonly maxConcurrentPerConnection?: number | undefined;
  /** Requests that the application works on at once, in all; more is 503. Default 4,096, four times gunicorn's. */
  readonly maxConcurrent?: number | undefined;
  /**
   * Bytes of one request's body that are kept until the application reads them; beyond that the connection is not
   * read from, and on a multiplexed connection the requests beside it wait, too. Default 256 KiB: the largest record
   * four times over, so that a front end is never stopped in the middle of one.
   */
  readonly maxBufferedBytes?: number | undefined;
  /** Send `wsgi.errors` to the front end's log as FCGI_STDERR, too. Default false: HAProxy 2.6.12 can die of it. */
  readonly stderrToFrontEnd?: boolean | undefined;
  /** Another process may run the same application at the same time: `wsgi.multiprocess`. Default false. */
  readonly multiprocess?: boolean | undefined;
  /**
   * Addresses and networks that may connect over TCP. Default: what FCGI_WEB_SERVER_ADDRS says (FastCGI §3.2), else
   * anybody, but only loopback addresses can be listened on then.
   */
  readonly allowedClients?: readonly string[] | undefined;
  /** Permission bits of a Unix socket's file. Default 0o660. */
  readonly socketMode?: number | undefined;
  /** Owner of a Unix socket's file, as numbers. Default: the process's own. */
  readonly socketOwner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Connections the kernel keeps until they are accepted. Default 511, as in Node, nginx and PHP-FPM. */
  readonly backlog?: number | undefined;
}

/** The options of one server with every default filled in. */
export interface FastCgiSettings extends ConnectionLimits {
  readonly maxConcurrentInAll: number;
  readonly maxBufferedBytes: number;
  readonly maxBodyBytes: number;
  readonly stderrToFrontEnd: boolean;
}

export const DEFAULT_BACKLOG = 511;

/** Kept of a body that comes before the end of its parameters: one full record. */
const MAX_EARLY_BYTES = 65536;

export function settingsOf(options: FastCgiOptions): FastCgiSettings {
  return {
    maxParamsBytes: options.maxParamsBytes ?? 1024 * 1024,
    maxParams: options.maxParams ?? 10_000,
    maxConcurrent: options.maxConcurrentPerConnection ?? 256,
    maxConcurrentInAll: options.maxConcurrent ?? 4096,
    maxEarlyBytes: MAX_EARLY_BYTES,
    maxBufferedBytes: options.maxBufferedBytes ?? 256 * 1024,
    maxBodyBytes: options.maxBodyBytes ?? Infinity,
    stderrToFrontEnd: options.stderrToFrontEnd ?? false,
  };
}
