import { fastCgiHosts } from './hosts/fastcgi';
import { runTable } from './run-table';

runTable(fastCgiHosts);
