import { cgiHosts } from './hosts/cgi';
import { runTable } from './run-table';

runTable(cgiHosts);
