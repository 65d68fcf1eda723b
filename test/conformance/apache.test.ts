import { installed } from '../e2e/install-servers';
import { frontEndHosts } from './hosts/front-end';
import { runTable } from './run-table';

runTable(frontEndHosts('apache'), { skip: !installed('apache') });
