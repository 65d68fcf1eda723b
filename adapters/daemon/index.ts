export * from './allowed-clients';
export * from './inherited-sockets';
export * from './listen-address';
export * from './unix-socket';
