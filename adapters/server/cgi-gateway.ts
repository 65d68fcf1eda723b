/** One CGI request, which waits until the script listens. */
import type { Application } from '../../src/gateway/types';
import { serve } from '../cgi/index';
import { errorLogOf, type GatewayOptions } from '../exchange/gateway-options';
import type { ServerGateway } from './gateway';

export class CgiGateway implements ServerGateway {
  readonly protocol = 'cgi';
  #isOpen = false;
  #open: (application: Application) => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;

  /** Takes standard output over, before the script can print on it. */
  constructor(options: GatewayOptions) {
    const opened = new Promise<Application>((resolve, reject) => {
      this.#open = resolve;
      this.#fail = reject;
    });

    process.once('beforeExit', () => {
      // What follows is the CGI adapter's: nothing is left that could answer the request.
      if (!this.#isOpen) {
        errorLogOf(options)('postern: the script has come to its end without listening\n');
      }
    });
    serve(
      (environ, startResponse) => opened.then((application) => application(environ, startResponse)),
      options,
    );
  }

  open(application: Application): Promise<void> {
    this.#isOpen = true;
    // As with a port, no request comes before 'listening' has been told.
    setImmediate(() => this.#open(application));
    return Promise.resolve();
  }

  /** The response is waited for by whoever has it: answer-listen.ts counts them. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  fail(error: unknown): void {
    process.exitCode = 1;
    this.#isOpen = true;
    this.#fail(error);
  }
}
