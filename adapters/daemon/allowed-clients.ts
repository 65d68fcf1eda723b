/**
 * Who may connect over TCP. A FastCGI peer decides what REMOTE_USER is, so anybody who reaches the port owns the
 * application. Unix sockets have file permissions for this.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { GatewayError } from '../../src/errors';

export class AllowedClients {
  readonly #list = new BlockList();

  /**
   * @param clients addresses and networks, such as `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
   * @throws {GatewayError} `ERR_USAGE` for anything else; a name would have to be believed.
   */
  constructor(clients: readonly string[]) {
    for (const client of clients) {
      this.#add(client);
    }
  }

  #add(client: string): void {
    const [address = '', prefix, ...more] = client.split('/');
    const family = familyOf(address);

    if (family === undefined || more.length > 0) {
      throw new GatewayError('ERR_USAGE', `not an address or network: ${client}`);
    }
    if (prefix === undefined) {
      this.#list.addAddress(address, family);
      return;
    }

    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Infinity;

    if (bits > (family === 'ipv4' ? 32 : 128)) {
      throw new GatewayError('ERR_USAGE', `not an address or network: ${client}`);
    }
    this.#list.addSubnet(address, bits, family);
  }

  /** @param address as the socket tells it; an IPv4 peer of an IPv6 socket comes as `::ffff:127.0.0.1`. */
  allows(address: string): boolean {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
    const family = familyOf(plain);

    return family !== undefined && this.#list.check(plain, family);
  }
}

/** FastCGI §3.2: the web server's addresses, separated by commas; bound to be obeyed by TCP listeners. */
export function webServerAddresses(environment: NodeJS.ProcessEnv): readonly string[] | undefined {
  const text = environment['FCGI_WEB_SERVER_ADDRS'];

  return text === undefined ? undefined : splitList(text);
}

export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  if (isIPv4(address)) {
    return 'ipv4';
  }
  return isIPv6(address) ? 'ipv6' : undefined;
}
