export * from './allowed-clients';
export * from './listen-address';
export * from './unix-socket';
