/** Listening sockets that a process was started with: systemd's, or standard input (mod_fcgid, lighttpd, spawn-fcgi). */
import { fstatSync } from 'node:fs';

/** sd_listen_fds(3): the first descriptor that systemd hands over. */
const LISTEN_FDS_START = 3;

const STDIN = 0;

/** As `--socket` takes them. Whether the one on standard input listens shows when it is listened on. */
export function inheritedSockets(environment: NodeJS.ProcessEnv): string[] {
  const sockets = systemdSockets(environment);

  return sockets.length === 0 && fstatSync(STDIN).isSocket() ? ['fd:0'] : sockets;
}

/** Whether `listen` failed because the descriptor is no listening socket: listen(2) of a pipe and of a connected one. */
export function isNotListening(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && (cause.code === 'ENOTSOCK' || cause.code === 'EINVAL')) {
      return true;
    }
  }
  return false;
}

/** Taken out of the environment, as children are not meant. */
function systemdSockets(environment: NodeJS.ProcessEnv): string[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = environment;

  if (count === undefined || !/^\d{1,4}$/.test(count) || pid !== String(process.pid)) {
    return [];
  }
  delete environment['LISTEN_PID'];
  delete environment['LISTEN_FDS'];
  delete environment['LISTEN_FDNAMES'];
  return Array.from({ length: Number(count) }, (_, index) => `fd:${String(LISTEN_FDS_START + index)}`);
}
