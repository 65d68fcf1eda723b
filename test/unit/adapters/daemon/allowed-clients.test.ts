import { expect, test } from '@jest/globals';
import { AllowedClients, webServerAddresses } from '../../../../adapters/daemon/index';

test.each([
  ['127.0.0.1', true],
  ['127.0.0.2', false],
  ['10.1.2.3', true],
  ['11.1.2.3', false],
  ['::ffff:127.0.0.1', true],
  ['::FFFF:10.0.0.1', true],
  ['::ffff:127.0.0.2', false],
  ['fd00::1', true],
  ['fe00::1', false],
  ['::1', false],
  ['', false],
  ['not an address', false],
])('%s: %p', (address, isAllowed) => {
  expect(new AllowedClients(['127.0.0.1', '10.0.0.0/8', 'fd00::/8']).allows(address)).toBe(isAllowed);
});

test('an empty list allows nobody', () => {
  expect(new AllowedClients([]).allows('127.0.0.1')).toBe(false);
});

test.each([
  'localhost',
  '127.0.0',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/x',
  'fd00::/129',
  '10.0.0.0/8/9',
  '',
])('%j is not an address or network', (client) => {
  expect(() => new AllowedClients([client])).toThrow(expect.objectContaining({ code: 'ERR_USAGE' }));
});

test('§3.2: FCGI_WEB_SERVER_ADDRS is a list of addresses, separated by commas', () => {
  expect(webServerAddresses({ FCGI_WEB_SERVER_ADDRS: '127.0.0.1,10.0.0.5' })).toEqual([
    '127.0.0.1',
    '10.0.0.5',
  ]);
  expect(webServerAddresses({ FCGI_WEB_SERVER_ADDRS: ' 127.0.0.1 , ' })).toEqual(['127.0.0.1']);
  expect(webServerAddresses({})).toBeUndefined();
});
