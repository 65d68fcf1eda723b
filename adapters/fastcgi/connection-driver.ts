/**
 * A socket, its FastCGI connection and the requests on it. What one tick writes leaves in one write; a peer that
 * does not read stops the applications, an application that does not read stops the peer.
 */
import type { Socket } from 'node:net';
import { FastCgiProtocolError, PeerError } from '../../src/errors';
import {
  Connection,
  type ConnectionEvents,
  type OpenRequest,
  type RequestEvents,
} from '../../src/fastcgi/connection';
import { truncationOf } from '../../src/gateway/quirks';
import { FastCgiRequest, type RequestHost, type RequestTransport } from './fastcgi-request';

/** What a connection needs of its server. */
export interface ConnectionHost extends RequestHost {
  /** The answers to GET_VALUES. */
  readonly values: ReadonlyMap<string, string>;
  onConnectionClosed(driver: ConnectionDriver): void;
}

/** Output that is on its way before `write` says stop: one full record. */
const MAX_PENDING_OUTPUT_BYTES = 65536;

/**
 * Output after which the peer is no longer read from. Applications stop far below it; only a peer that asks
 * (GET_VALUES, refused requests) and does not read the answers comes here.
 */
const MAX_UNREAD_OUTPUT_BYTES = 1024 * 1024;

/**
 * Request bodies that wait while the peer takes no output. Caddy 2.6.2 and mod_fcgid 2.3.9 read nothing of a response
 * before they have delivered the whole body, so an application that sends back what it reads would wait for ever;
 * 16 MiB, as in CGI (adapters/cgi/request-input.ts).
 */
const READ_AHEAD_BYTES = 16 * 1024 * 1024;

/** After the last byte was sent, how long the peer may take to close; nginx's lingering_time-out is 5 s. */
const LINGER_MS = 2000;

/**
 * A connection that has to be closed because of one broken response lets the others on it end first. HAProxy 2.6.12
 * with mpxs-conns cuts all of them off visibly when it is closed, but the broken one alone when its `timeout server`
 * is over (docs/truncation.md); so this is longer than the usual 30 s of that, and only for those who have none.
 */
const TRUNCATION_GRACE_MS = 60_000;

/** What a busy lighttpd may take to read what has arrived; a broken response can wait for so long. */
const LATE_CLOSE_MS = 100;

export class ConnectionDriver implements ConnectionEvents, RequestTransport {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #connection: Connection;
  readonly #requests = new Set<FastCgiRequest>();
  #isPushing = false;
  #isFlushScheduled = false;
  #isResumeScheduled = false;
  #isBlocked = false;
  #fullBodies = 0;
  /** The front end asked for the connection to be closed when all is done. */
  #isDone = false;
  /** A response on it was truncated: nothing on it may end well any more, but what is open. */
  #isCut = false;
  /** The peer must have read what is written before it sees the close. */
  #isCloseHeld = false;
  /** Our side has said its last word. */
  #isEnded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket;
    this.#host = host;
    this.#connection = new Connection(this, host.settings, host.values);
    socket.on('data', this.#onData);
    socket.on('drain', this.#scheduleResume);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onSocketError);
    socket.once('close', this.#onClose);
  }

  /** Graceful: answers what is open, then closes. */
  closeWhenDone(): void {
    this.#connection.closeWhenDone();
    this.#scheduleFlush();
  }

  destroy(): void {
    // Now, not when the close is reported: the process may be about to end.
    this.#connection.lose(new PeerError('ERR_PEER_GONE', 'the server was stopped'));
    this.#socket.destroy();
  }

  // ConnectionEvents

  onRequest(open: OpenRequest): RequestEvents {
    const request = this.#track(open);

    request.start();
    return request;
  }

  onRefusal(open: OpenRequest, reason: PeerError): void {
    this.#track(open).refuse(reason);
  }

  onDone(): void {
    // Whether it is really over is seen when this tick's input has been read: more requests may be in it.
    this.#isDone = true;
    this.#scheduleFlush();
  }

  // RequestTransport

  get hasRoom(): boolean {
    const pending = this.#connection.pendingOutputBytes + this.#socket.writableLength;

    this.#isBlocked ||= pending >= MAX_PENDING_OUTPUT_BYTES;
    return pending < MAX_PENDING_OUTPUT_BYTES;
  }

  onOutput(): void {
    this.#scheduleFlush();
  }

  onBodyFull(): void {
    this.#fullBodies++;
    this.#updateReading();
  }

  onBodyRoom(): void {
    this.#fullBodies--;
    this.#updateReading();
  }

  onResponseOver(request: FastCgiRequest): void {
    this.#requests.delete(request);
  }

  truncate(request: FastCgiRequest): void {
    request.open.abandon();

    const truncation = truncationOf(request.environ);

    if (truncation === 'refused-record') {
      this.#connection.writeRefusedRecord();
    } else if (truncation === 'late-close') {
      this.#holdClose();
    }
    this.#scheduleFlush();
    // HAProxy with mpxs-conns has other requests here: they may end, but not keep the broken one waiting for ever.
    if (!this.#isCut) {
      this.#isCut = true;
      this.#setTimer(TRUNCATION_GRACE_MS, this.#cutOthers);
    }
  }

  #holdClose(): void {
    this.#isCloseHeld = true;
    setTimeout(() => {
      this.#isCloseHeld = false;
      this.#flush();
    }, LATE_CLOSE_MS);
  }

  readonly #cutOthers = (): void => {
    this.#connection.lose(new PeerError('ERR_PEER_GONE', 'a broken response ended the connection'));
    this.#flush();
  };

  #track(open: OpenRequest): FastCgiRequest {
    const request = new FastCgiRequest(open, this.#host, this);

    this.#requests.add(request);
    return request;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isEnded) {
      // Left over from requests that have their answer.
      return;
    }
    this.#isPushing = true;
    try {
      this.#connection.push(chunk);
    } catch (error) {
      this.#onPushFailed(error);
    } finally {
      this.#isPushing = false;
    }
    this.#flush();
  };

  #onPushFailed(error: unknown): void {
    if (!(error instanceof FastCgiProtocolError)) {
      // A listener of the application threw in the middle of a chunk, whose rest nobody can find again.
      this.#socket.destroy();
      throw error;
    }
    this.#host.errorLog(`postern: connection closed: [${error.code}] ${error.message}\n`);
    this.#connection.lose(
      new PeerError('ERR_PEER_GONE', 'the connection broke the protocol', { cause: error }),
    );
    // The answers to what was good before it.
    this.#writeOutput();
    this.#endSocket();
  }

  /** The peer will send no more. On a FastCGI connection that is how every front end gives up (nginx 1.22.1 …). */
  readonly #onEnd = (): void => {
    this.#connection.lose(new PeerError('ERR_PEER_GONE', 'the front end closed the connection'));
    this.#flush();
    this.#endSocket();
  };

  /** ECONNRESET, EPIPE: 'close' follows, and that is where the requests are told. */
  readonly #onSocketError = (): void => undefined;

  readonly #onClose = (): void => {
    clearTimeout(this.#timer);
    this.#isEnded = true;
    this.#connection.lose(new PeerError('ERR_PEER_GONE', 'the connection to the front end broke'));
    this.#socket.removeListener('data', this.#onData);
    this.#socket.removeListener('drain', this.#scheduleResume);
    this.#socket.removeListener('end', this.#onEnd);
    this.#host.onConnectionClosed(this);
  };

  /** At the end of the tick, so that all it writes is one write. */
  #scheduleFlush(): void {
    if (!this.#isPushing && !this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      process.nextTick(this.#flushLater);
    }
  }

  readonly #flushLater = (): void => {
    this.#isFlushScheduled = false;
    this.#flush();
  };

  #flush(): void {
    this.#writeOutput();
    if (this.#isBlocked && !this.#socket.writableNeedDrain) {
      this.#scheduleResume();
    }
    if ((this.#isDone || this.#isCut) && !this.#isCloseHeld && this.#connection.openRequests === 0) {
      this.#endSocket();
    }
    this.#updateReading();
  }

  #writeOutput(): void {
    const buffers = this.#connection.takeOutput();
    const socket = this.#socket;

    if (this.#isEnded || !socket.writable) {
      return;
    }
    if (buffers.length > 1) {
      socket.cork();
    }
    for (const buffer of buffers) {
      socket.write(buffer);
    }
    if (buffers.length > 1) {
      socket.uncork();
    }
  }

  /** In a turn of its own: an application that never runs dry must not keep the others from theirs. */
  readonly #scheduleResume = (): void => {
    if (!this.#isResumeScheduled) {
      this.#isResumeScheduled = true;
      setImmediate(this.#resume);
    }
  };

  readonly #resume = (): void => {
    this.#isResumeScheduled = false;
    this.#updateReading();
    if (this.#isBlocked && this.hasRoom) {
      this.#isBlocked = false;
      for (const request of [...this.#requests]) {
        request.resume();
      }
    }
  };

  #updateReading(): void {
    const mustWait =
      (this.#fullBodies > 0 && !this.#mayReadAhead()) ||
      this.#socket.writableLength > MAX_UNREAD_OUTPUT_BYTES;

    if (mustWait && !this.#isEnded) {
      this.#socket.pause();
    } else if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
  }

  #mayReadAhead(): boolean {
    if (!this.#socket.writableNeedDrain) {
      return false;
    }

    let bytes = 0;

    for (const request of this.#requests) {
      bytes += request.bufferedBytes;
    }
    return bytes < READ_AHEAD_BYTES;
  }

  /** Sends what is written, then FIN; the peer's rest is read and thrown away, for closing on it would be a reset. */
  #endSocket(): void {
    if (this.#isEnded) {
      return;
    }
    this.#isEnded = true;
    clearTimeout(this.#timer);
    // A slow reader may need long for what is written; only then the peer's time begins.
    this.#socket.end(() => {
      if (!this.#socket.destroyed) {
        this.#setTimer(LINGER_MS, () => this.#socket.destroy());
      }
    });
    this.#updateReading();
  }

  #setTimer(delayMs: number, onTime: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTime, delayMs);
    this.#timer.unref();
  }
}
