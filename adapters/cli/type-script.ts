/** TypeScript applications: Node strips types from 22.18 on; before that ts-node compiles, if they have it installed. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GatewayError } from '../../src/errors';

/** Whether this Node runs TypeScript by itself. */
export function stripsTypes(): boolean {
  const { features } = process as { features: { typescript?: unknown } };

  return features.typescript !== undefined && features.typescript !== false;
}

/**
 * Makes `require` understand the file and what it requires.
 * @throws {GatewayError} `ERR_APPLICATION` when there is no ts-node beside it.
 */
export function prepareTypeScript(path: string): void {
  if (stripsTypes()) {
    return;
  }

  const { createRequire } = process.getBuiltinModule('node:module');
  const project = findProject(dirname(path));

  try {
    const tsNode = createRequire(path)('ts-node') as { register(options: object): unknown };

    tsNode.register({
      transpileOnly: true,
      // Without one, ts-node 10 takes defaults that TypeScript 6 refuses.
      ...(project === undefined ? { skipProject: true, compilerOptions: DEFAULT_OPTIONS } : { project }),
    });
  } catch (error) {
    throw new GatewayError(
      'ERR_APPLICATION',
      isMissing(error)
        ? `${path} is TypeScript: this Node does not run it, and ts-node is not installed beside it`
        : `${path} is TypeScript, and ts-node cannot be started: ${firstLineOf(error)}`,
      { cause: error },
    );
  }
}

const DEFAULT_OPTIONS = { module: 'node16', moduleResolution: 'node16' } as const;

/** The tsconfig.json that the file belongs to; ts-node itself would look in the working folder. */
function findProject(folder: string): string | undefined {
  const file = join(folder, 'tsconfig.json');

  if (existsSync(file)) {
    return file;
  }

  const parent = dirname(folder);

  return parent === folder ? undefined : findProject(parent);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
}

/** ts-node's first line only says that something follows. */
function firstLineOf(error: unknown): string {
  const lines = String(error instanceof Error ? error.message : error).split('\n');

  return lines.find((line) => line.includes('error TS')) ?? lines[0] ?? '';
}
