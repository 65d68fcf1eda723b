/**
 * Joins what a CGI process loads into one file for each way in. A process lives for one request, and finding and
 * reading sixteen small files costs it a third of its start (test/bench, "CGI, small GET").
 *
 * The errors stay a file of their own, so that an `instanceof` holds whichever way they were imported; the daemon and
 * what else a CGI request never needs stay out.
 */
import { build } from 'esbuild';
import { chmod } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), '..');
const OUT = resolve(ROOT, 'dist');

const ENTRIES = {
  cgi: 'adapters/cgi/index.ts',
  run: 'adapters/run/index.ts',
  postern: 'adapters/cli/main.ts',
};

/** Kept as they are compiled; a path below dist. */
const KEPT_APART =
  /^(src\/errors|adapters\/(daemon|fastcgi|http|node|fetch|server)\/index|adapters\/cgi\/script-run|adapters\/cli\/((fastcgi|dev|server)-command|foreign-application|type-script|usage)|adapters\/server\/.*)$/;

const keepApart = {
  name: 'keep-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
      const module = relative(ROOT, resolve(resolveDir, path));

      return KEPT_APART.test(module) ? { path: `./${module}.js`, external: true } : undefined;
    });
  },
};

await build({
  absWorkingDir: ROOT,
  entryPoints: ENTRIES,
  outdir: OUT,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['postern/package.json'],
  plugins: [keepApart],
  logLevel: 'warning',
});
await chmod(resolve(OUT, 'postern.js'), 0o755);
