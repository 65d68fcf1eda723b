/**
 * Writes docs/conformance-table.md.
 *
 *     ts-node test/conformance/report.ts                  from the table alone
 *     ts-node test/conformance/report.ts results.json     with the counts of `jest --json --outputFile=results.json`
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { everythingPassed, renderReport, type PassedOf } from './render-report';

/** As far as it is read here. */
interface JestResults {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly status: string;
    }[];
  }[];
}

function passedIn(file: string): PassedOf {
  // Jest's own format, which is stable.
  const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as JestResults;
  const passed = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'passed');

  return (host) => passed.filter(({ ancestorTitles }) => ancestorTitles[0] === `${host}:`).length;
}

const [, , resultsFile] = process.argv;
const passedOf = resultsFile === undefined ? everythingPassed : passedIn(resultsFile);

writeFileSync(join(__dirname, '..', '..', 'docs', 'conformance-table.md'), renderReport(passedOf));
