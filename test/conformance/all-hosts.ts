/** Every host of the table, in the order of the report. */
import type { Host } from './behaviour';
import { cgiHosts } from './hosts/cgi';
import { fastCgiHosts } from './hosts/fastcgi';
import { allFrontEndHosts } from './hosts/front-end';
import { memoryHosts } from './hosts/memory';

export const allHosts: readonly Host[] = [...memoryHosts, ...cgiHosts, ...fastCgiHosts, ...allFrontEndHosts];
