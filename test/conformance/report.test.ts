import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allHosts } from './all-hosts';
import { everythingPassed, renderReport } from './render-report';
import { behaviours } from './table';

test('docs/conformance-table.md is what test/conformance/report.ts would write', () => {
  const file = join(__dirname, '..', '..', 'docs', 'conformance-table.md');

  expect(readFileSync(file, 'utf8')).toBe(renderReport(everythingPassed));
});

test('no two behaviours have the same name', () => {
  const names = behaviours.map(({ name }) => name);

  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test('no exception is for a host that does not exist', () => {
  const idle = behaviours.flatMap(({ name, exceptions = [] }) =>
    exceptions
      .filter(({ hosts }) => !allHosts.some((host) => hosts.test(host.name)))
      .map(({ hosts }) => `${name}: ${String(hosts)}`),
  );

  expect(idle).toEqual([]);
});
