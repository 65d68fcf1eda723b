import tseslint from 'typescript-eslint';

const ioModules = [
  'net', 'fs', 'fs/promises', 'http', 'https', 'child_process', 'cluster', 'process', 'timers', 'timers/promises',
  'os', 'stream', 'worker_threads', 'dgram', 'tls', 'path',
].flatMap((name) => [name, `node:${name}`]); // prettier-ignore

/** A room may import only the rooms named here; everything else is an error. */
function room(files, forbidden, message) {
  return {
    files,
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: forbidden.map((regex) => ({
            regex,
            message,
            allowTypeImports: regex === io,
          })),
        },
      ],
    },
  };
}

const io = `^(node:)?(${ioModules.filter((name) => !name.startsWith('node:')).join('|')})$`;

export default tseslint.config(
  { ignores: ['dist', 'coverage', 'node_modules', 'fixtures/environ', 'fixtures/streams'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['test/types/*.ts', 'test/types/*.mts', 'test/types/*.cts'] },
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true } }],
      'no-console': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    // src is pure: bytes and values in, bytes and values out.
    files: ['src/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        'process',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'Date',
        'performance',
        'fetch',
        'require',
      ],
    },
  },
  room(['src/*.ts'], [io, '/adapters/'], 'src is pure'),
  room(['src/errors.ts'], ['^\\.'], 'errors stand at the bottom'),
  room(
    ['src/gateway/**'],
    [io, '/adapters/', '/(fastcgi|validator|middleware)/'],
    'gateway imports errors only',
  ),
  room(
    ['src/fastcgi/**'],
    [io, '/adapters/', '/(gateway|validator|middleware)/'],
    'the wire does not know what an application is',
  ),
  room(
    ['adapters/{exchange,daemon}/**'],
    ['\\.\\./(cgi|fastcgi|http|node|fetch|server|run|cli)/'],
    'shared by every protocol, so it knows none',
  ),
  room(
    ['adapters/{cgi,fastcgi,http}/**'],
    ['\\.\\./(node|fetch|server|run|cli)/', '\\.\\./(cgi|fastcgi|http|daemon)/(?!index)'],
    'protocols ← run ← cli; no adapter reaches into another’s private files',
  ),
  room(
    ['adapters/{node,fetch}/**'],
    ['\\.\\./(cgi|fastcgi|daemon|server|run|cli)/', '\\.\\./(http|node|fetch)/(?!index)'],
    'an application’s style knows no protocol but http, whose request it turns into an environ',
  ),
  room(
    ['adapters/{run,server}/**'],
    ['\\.\\./cli/', '\\.\\./(cgi|fastcgi|http|node|fetch|daemon)/(?!index)'],
    'run ← cli; only public files of another adapter',
  ),
  room(
    ['adapters/cli/**'],
    ['\\.\\./(cgi|fastcgi|http|node|fetch|server|daemon|run)/(?!index)'],
    'only public files of another adapter',
  ),
  room(['test/support/**'], ['/src/', '/adapters/'], 'test bytes never come from the code under test'),
  { files: ['*.config.ts'], rules: { 'no-restricted-exports': 'off' } },
);
