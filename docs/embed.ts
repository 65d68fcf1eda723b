/**
 * Fills the configuration blocks of the README and docs/*.md from the files that the end-to-end tests boot:
 * `<!-- config: test/e2e/servers/nginx/fastcgi.conf -->`, then a fenced block. `npm run docs` writes them; a test
 * fails when one is stale.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the tests fill in, as a reader would write it. */
const AS_WRITTEN: readonly (readonly [placeholder: string, text: string])[] = [
  ['127.0.0.1:@PORT@', '80'],
  ['127.0.0.1:@TLS_PORT@', '443'],
  ['app.example.test', 'app.example.com'],
  ['unix@@SOCKET@', 'unix@/run/postern/app.sock'],
  ['@SOCKET@', '/run/postern/app.sock'],
  ['@CERTIFICATE_AND_KEY@', '/etc/ssl/private/app.pem'],
  ['@CERTIFICATE@', '/etc/ssl/certs/app.pem'],
  ['@KEY@', '/etc/ssl/private/app.key'],
  ['@FOLDER@/www', '/srv/www'],
  ['@FOLDER@/run/app.sock', '/run/lighttpd/app.sock'],
];

const BLOCK = /(<!-- config: (\S+) -->\n\n```(\w*)\n)[^]*?(\n```)/g;

/** The text with each block as its file is now. */
export function embedConfigs(markdown: string, root: string): string {
  return markdown.replace(BLOCK, (_, opening: string, path: string, _language: string, closing: string) => {
    return opening + asWritten(readFileSync(join(root, path), 'utf8'), path).trimEnd() + closing;
  });
}

function asWritten(config: string, path: string): string {
  const script = path.includes('cgi-') ? '/srv/app/app.cgi' : '/srv/app/app.fcgi';
  let text = config.replaceAll('@SCRIPT@', script);

  for (const [placeholder, replacement] of AS_WRITTEN) {
    text = text.replaceAll(placeholder, replacement);
  }
  return text;
}

export function documents(root: string): string[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));

  return ['README.md', 'nginx-example/README.md', ...docs.map((name) => join('docs', name))];
}

function main(): void {
  const root = join(__dirname, '..');

  for (const path of documents(root)) {
    const before = readFileSync(join(root, path), 'utf8');
    writeFileSync(join(root, path), embedConfigs(before, root));
  }
}

if (require.main === module) {
  main();
}
