import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { documents, embedConfigs } from '../../../docs/embed';

const ROOT = join(__dirname, '../../..');

for (const path of documents(ROOT)) {
  test(`${path} shows the configurations that the tests boot (npm run docs)`, () => {
    const text = readFileSync(join(ROOT, path), 'utf8');

    expect(embedConfigs(text, ROOT)).toBe(text);
  });

  test(`${path} links to files that exist`, () => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link = '']) =>
      join(ROOT, path, '..', link),
    );

    for (const link of links) {
      expect(() => readFileSync(link)).not.toThrow(/ENOENT/);
    }
  });
}

test('docs/errors.md explains every error code and no other', () => {
  const source = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8');
  const codes = new Set(source.match(/'ERR_[A-Z_]+'/g)?.map((code) => code.slice(1, -1)));
  const documented = new Set(
    [...readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').matchAll(/^\| `(ERR_[A-Z_]+)`/gm)].map(
      ([, code]) => code,
    ),
  );

  expect([...documented].sort()).toEqual([...codes].sort());
});
