import { memoryHosts } from './hosts/memory';
import { runTable } from './run-table';

runTable(memoryHosts);
