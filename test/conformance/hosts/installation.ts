/**
 * A folder as a user's would be: the built package in `node_modules`, applications beside it, a script of five lines.
 * A copy, because the web server's user need not be able to enter the checkout.
 */
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Marks } from '../marks';

const ROOT = join(__dirname, '..', '..', '..');

const SCRIPT = `#!/usr/bin/env node
const { run } = require('postern/run');
const app = require('./apps/index.js');

run(app);
`;

export interface Installation {
  readonly folder: string;
  /** The application that picks one by the header `X-Fixture`. */
  readonly applicationFile: string;
  /** An executable script that runs it. */
  readonly scriptFile: string;
  readonly commandFile: string;
  readonly marks: Marks;
}

export async function install(folder: string): Promise<Installation> {
  const packageFolder = join(folder, 'node_modules', 'postern');
  const marksFolder = join(folder, 'marks');
  const scriptFile = join(folder, 'script');
  const packageFile = join(ROOT, 'package.json');
  // Our own package.json has it.
  const { bin } = JSON.parse(await readFile(packageFile, 'utf8')) as { bin: { postern: string } };

  await mkdir(packageFolder, { recursive: true });
  await cp(join(ROOT, 'dist'), join(packageFolder, 'dist'), { recursive: true });
  await cp(packageFile, join(packageFolder, 'package.json'));
  await cp(join(ROOT, 'fixtures', 'apps'), join(folder, 'apps'), { recursive: true });
  await mkdir(marksFolder);
  // Applications run as whoever the web server runs as.
  await chmod(marksFolder, 0o777);
  await writeFile(scriptFile, SCRIPT);
  await chmod(scriptFile, 0o755);

  return {
    folder,
    applicationFile: join(folder, 'apps', 'index.js'),
    scriptFile,
    commandFile: join(packageFolder, bin.postern),
    marks: new Marks(marksFolder),
  };
}
