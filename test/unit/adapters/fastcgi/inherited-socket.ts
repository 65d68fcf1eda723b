/** A process that answers on the listening socket it was given as file descriptor 0, as web servers start programs. */
import { createServer } from '../../../../adapters/fastcgi/index';

async function main(): Promise<void> {
  const server = createServer((environ, startResponse) => {
    startResponse('200 OK', []);
    if (environ.PATH_INFO === '/stop') {
      // Not waited for: it waits for this very request.
      void server.close();
    }
    return `from ${String(process.pid)}`;
  });

  await server.listen('fd:0');
}

void main();
