/** Where a server listens, and to whom. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, lstatSync, openSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer, serve } from '../../../../adapters/fastcgi/index';
import type { Application } from '../../../../src/index';
import { request } from '../../../support/records';
import { RawClient } from '../../../support/raw-client';
import { withTemporaryFolder } from '../../../support/temporary-folder';
import { pairsOf, settled, tcpPortOf, withServer } from './running-server';

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', []);
  return 'hello\n';
};

afterEach(() => {
  delete process.env['FCGI_WEB_SERVER_ADDRS'];
});

describe('a Unix socket', () => {
  test('has mode 0660 and is removed on close', async () => {
    await withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');
      const server = await createServer(hello).listen(path);

      expect(lstatSync(path).mode & 0o777).toBe(0o660);
      expect(server.address()).toBe(path);
      expect(server.addresses).toEqual([`unix:${path}`]);
      await server.close();
      expect(existsSync(path)).toBe(false);
    });
  });

  test('has the mode that was asked for', async () => {
    await withTemporaryFolder(async (folder) => {
      const path = join(folder, 's');
      const server = await createServer(hello, { socketMode: 0o600 }).listen(path);

      expect(lstatSync(path).mode & 0o777).toBe(0o600);
      await server.close();
    });
  });

  test('has nothing to do with the allowed addresses', async () => {
    await withServer(
      hello,
      async ({ connect }) => {
        expect((await (await connect()).request(pairsOf())).ended).toBe(true);
      },
      { allowedClients: [] },
    );
  });

  test('with too long a path is refused', async () => {
    await expect(createServer(hello).listen('/tmp/'.padEnd(120, 'x'))).rejects.toMatchObject({
      code: 'ERR_USAGE',
    });
  });
});

describe('TCP', () => {
  test('answers on loopback', async () => {
    await withServer(hello, async ({ connect }) => {
      expect((await (await connect('tcp')).request(pairsOf())).ended).toBe(true);
    });
  });

  test.each(['0.0.0.0:0', '[::]:0', '192.0.2.1:0', 'app.example.test:0'])(
    '%s without an allow-list is refused: whoever reaches the port can claim to be any user',
    async (where) => {
      await expect(createServer(hello).listen(where)).rejects.toMatchObject({ code: 'ERR_USAGE' });
    },
  );

  test('everywhere, with an allow-list, is allowed', async () => {
    const server = await createServer(hello, { allowedClients: ['127.0.0.1'] }).listen('0.0.0.0:0');
    const client = await RawClient.connect(tcpPortOf(server));

    expect((await client.request(pairsOf())).ended).toBe(true);
    await client.destroy();
    await server.close();
  });

  test('a port that is taken is a clear error', async () => {
    const first = await createServer(hello).listen('127.0.0.1:0');

    await expect(createServer(hello).listen(`127.0.0.1:${String(tcpPortOf(first))}`)).rejects.toMatchObject({
      code: 'ERR_SOCKET_IN_USE',
    });
    await first.close();
  });

  test('a peer that is not allowed is not answered', async () => {
    const calls: string[] = [];
    const log: string[] = [];
    const application: Application = (environ, startResponse) => {
      calls.push(environ.PATH_INFO);
      return hello(environ, startResponse);
    };
    const server = createServer(application, {
      allowedClients: ['192.0.2.0/24', '::1'],
      errorLog: (text) => log.push(text),
    });

    await server.listen('127.0.0.1:0');

    const client = await RawClient.connect(tcpPortOf(server));

    client.write(request(pairsOf())).catch(() => undefined);
    await client.waitForClose();
    expect([client.receivedBytes, calls]).toEqual([0, []]);
    expect(log).toEqual(['postern: connection from 127.0.0.1 refused: not among the allowed clients\n']);
    await server.close();
  });

  test('a peer that is gone before it could be asked for its address is not let in', async () => {
    const calls: string[] = [];
    const application: Application = (environ, startResponse) => {
      calls.push(environ.PATH_INFO);
      return hello(environ, startResponse);
    };
    const server = createServer(application, { allowedClients: ['192.0.2.1'], errorLog: () => undefined });

    await server.listen('127.0.0.1:0');

    // While this process waits for the other one, the connection is made, written to and reset; accepted it is later.
    const script = `
      const socket = require('net').connect(${String(tcpPortOf(server))}, '127.0.0.1', () => {
        socket.write(Buffer.from('${request(pairsOf()).toString('hex')}', 'hex'), () => socket.resetAndDestroy());
      });`;

    spawnSync(process.execPath, ['-e', script]);
    await settled(() => calls.length);
    expect(calls).toEqual([]);
    await server.close();
  });

  test('§3.2: FCGI_WEB_SERVER_ADDRS is obeyed', async () => {
    process.env['FCGI_WEB_SERVER_ADDRS'] = '192.0.2.1, 192.0.2.2';

    const refusing = await createServer(hello, { errorLog: () => undefined }).listen('127.0.0.1:0');

    process.env['FCGI_WEB_SERVER_ADDRS'] = '192.0.2.1,127.0.0.1';

    const allowing = await createServer(hello).listen('127.0.0.1:0');
    const [refused, allowed] = [
      await RawClient.connect(tcpPortOf(refusing)),
      await RawClient.connect(tcpPortOf(allowing)),
    ];

    await refused.waitForClose();
    expect(refused.receivedBytes).toBe(0);
    expect((await allowed.request(pairsOf())).ended).toBe(true);
    await allowed.destroy();
    await Promise.all([refusing.close(), allowing.close()]);
  });

  test('the option counts more than FCGI_WEB_SERVER_ADDRS', async () => {
    process.env['FCGI_WEB_SERVER_ADDRS'] = '192.0.2.1';

    const server = await createServer(hello, { allowedClients: ['127.0.0.1'] }).listen('127.0.0.1:0');
    const client = await RawClient.connect(tcpPortOf(server));

    expect((await client.request(pairsOf())).ended).toBe(true);
    await client.destroy();
    await server.close();
  });

  test('an allow-list that makes no sense is refused before anything is listened on', () => {
    expect(() => createServer(hello, { allowedClients: ['localhost'] })).toThrow(
      expect.objectContaining({ code: 'ERR_USAGE' }),
    );
  });
});

describe('an inherited descriptor', () => {
  test('§2.2: that is a listening socket on 0 is answered on', async () => {
    const parent = createNetServer().listen(0, '127.0.0.1');

    await once(parent, 'listening');

    const { port } = parent.address() as { port: number }; // it listens on TCP
    // Node has no public way to the descriptor of a server.
    const { _handle } = parent as unknown as { _handle: { fd: number } };
    const child = spawn(
      process.execPath,
      ['--require', 'ts-node/register', join(__dirname, 'inherited-socket.ts')],
      {
        stdio: [_handle.fd, 'inherit', 'inherit'],
        env: { ...process.env, TS_NODE_TRANSPILE_ONLY: 'true', TS_NODE_COMPILER_OPTIONS: '{"rootDir":"."}' },
      },
    );
    const exited = once(child, 'exit');

    // From here on only the child can accept.
    parent.close();

    const client = await RawClient.connect(port);
    const response = await client.request(pairsOf({ PATH_INFO: '/stop' }), '', { timeoutMs: 20_000 });

    expect(response.stdout.toString()).toContain(`from ${String(child.pid)}`);
    expect(await exited).toEqual([0, null]);
    await client.destroy();
  }, 30_000);

  test('that is no listening socket is a clear error', async () => {
    const file = openSync(__filename, 'r');

    try {
      await expect(createServer(hello).listen(`fd:${String(file)}`)).rejects.toMatchObject({
        name: 'GatewayError',
        code: 'ERR_LISTEN',
      });
    } finally {
      closeSync(file);
    }
  });
});

test('a server may listen on several addresses', async () => {
  await withTemporaryFolder(async (folder) => {
    const server = await createServer(hello).listen(join(folder, 's'));

    await server.listen('127.0.0.1:0');
    expect(server.addresses).toEqual([
      `unix:${join(folder, 's')}`,
      expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    ]);
    await server.close();
  });
});

test('serve() that cannot listen on all of its addresses listens on none', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 's');

    await expect(serve(hello, { socket: [path, join(folder, 'none', 's')] })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    });
    expect(existsSync(path)).toBe(false);
  });
});
