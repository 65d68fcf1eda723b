/** docs/conformance-table.md: how many behaviours each host has shown, and all the exceptions by name. */
import { allHosts } from './all-hosts';
import type { Host } from './behaviour';
import { behavioursOf, exceptionOf } from './rows';

/** Rows that passed on a host; the exceptions among them are those that came out as the table says. */
export type PassedOf = (host: string) => number;

/** Without a run: as if all had passed, which `npm test` makes sure of. */
export const everythingPassed: PassedOf = (name) => {
  const host = allHosts.find((each) => each.name === name);
  return host === undefined ? 0 : behavioursOf(host).length;
};

const WARNING = '<!-- Made by `ts-node test/conformance/report.ts`; do not edit. -->';

const INTRODUCTION = `# Conformance

One application, one table of behaviours, every host. \`memory\` is the gateway without a protocol, \`cgi\` a script started
by hand, \`fastcgi\` the daemon spoken to in raw records; all others are real web servers with the configurations in
\`test/e2e/servers\` (Debian 12: nginx 1.22.1, Apache 2.4.71, mod_fcgid 2.3.9, lighttpd 1.4.69, Caddy 2.6.2, HAProxy 2.6.12).

A behaviour is a request, a fixture application and what must come back, the same everywhere. Where a server itself cannot,
there is an exception with a name, and a test of what really happens: it fails when the exception is no longer one.`;

export function renderReport(passedOf: PassedOf): string {
  return `${[WARNING, INTRODUCTION, countsTable(passedOf), exceptionList()].join('\n\n')}\n`;
}

function countsTable(passedOf: PassedOf): string {
  const rows = allHosts.map((host) => {
    const rowsOfHost = behavioursOf(host);
    const exceptions = rowsOfHost.filter((behaviour) => exceptionOf(behaviour, host) !== undefined).length;
    const counts = [rowsOfHost.length, passedOf(host.name), rowsOfHost.length - exceptions, exceptions];
    return [host.name, ...counts.map(String)];
  });

  return markdownTable(['host', 'behaviours', 'tests passed', 'as everywhere', 'exceptions'], rows);
}

/** As Prettier has it: the first column to the left, the numbers to the right. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );

  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

interface Finding {
  readonly behaviour: string;
  readonly hosts: string[];
}

/** By what the server does, then by the behaviours that it touches. */
function exceptionList(): string {
  const findings = new Map<string, Finding[]>();

  for (const host of allHosts) {
    for (const behaviour of behavioursOf(host)) {
      const why = exceptionOf(behaviour, host)?.why;
      if (why !== undefined) {
        note(findings, why, behaviour.name, host);
      }
    }
  }

  const sections = [...findings].map(([why, touched]) =>
    [`- **${why}**`, ...touched.map(({ behaviour, hosts }) => `  - ${behaviour}: ${hosts.join(', ')}`)].join(
      '\n',
    ),
  );
  return `## Exceptions\n\n${sections.join('\n')}`;
}

function note(findings: Map<string, Finding[]>, why: string, behaviour: string, host: Host): void {
  const touched = findings.get(why) ?? [];
  const finding = touched.find((each) => each.behaviour === behaviour);

  findings.set(why, touched);
  if (finding === undefined) {
    touched.push({ behaviour, hosts: [host.name] });
  } else {
    finding.hosts.push(host.name);
  }
}
