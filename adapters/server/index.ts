export { answerListen } from './answer-listen';
export { exitWithUsage, noGateway, openGateway, type ServerGateway, type ServerOptions } from './gateway';
