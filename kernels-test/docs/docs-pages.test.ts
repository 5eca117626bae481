// adapters: once
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generatedText, leafCommands } from '../../docs/generated.js';
import { PAGES, titleOf } from '../../docs/pages.js';
import { commandTree } from '../../src/cli/run-command.js';
import { ROOT } from '../cli/cli-fixture.js';
import { THOROUGH } from '../helpers/thorough.js';
import { brokenLinks } from './links.js';

const test = suite('docs pages');
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const sources = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));

test('every page in docs/ is on the site and has a title', () => {
  assert.equal(
    sources.filter((name) => name !== 'index.md' && !PAGES.includes(`docs/${name}`)),
    [],
  );
  for (const path of PAGES) assert.ok(titleOf(text(path)).length > 3, path);
  const index = text('docs/index.md');
  for (const name of sources) assert.ok(name === 'index.md' || index.includes(`(${name})`), `index.md names ${name}`);
});

test('links lead to files and headings that exist', () => {
  assert.equal(
    PAGES.concat('docs/index.md').flatMap((path) => brokenLinks(path)),
    [],
  );
});

test('the test detects broken links', () => {
  const broken = brokenLinks('docs/index.md', {
    text: '[a](nowhere.md) [b](engine.md#scopes) [c](engine.md#no-heading) ![d](../e.png)',
  });
  assert.equal(
    broken.map((line) => line.split(': ')[1]),
    ['nowhere.md', 'engine.md#no-heading', '../e.png'],
  );
});

test('docs/commands.md has a section for every command with all its options', async () => {
  const page = text('docs/commands.md');
  const whole = await generatedText('docs/commands.md', page, page);
  const leaves = leafCommands(await commandTree());
  assert.ok(leaves.size >= 20, `${leaves.size} commands`);
  for (const [name, command] of leaves) {
    assert.ok(whole.includes(`**\`cameo ${name} `), name);
    assert.ok(page.includes(`cameo ${name}`), `${name} has an example`);
    for (const { long, hidden } of command.options)
      assert.ok(hidden || whole.includes(String(long)), `${name} ${long}`);
  }
  assert.not.match(whole, /<!-- options/);
});

test('the glossary of the site equals that of CONTRIBUTING.md', async () => {
  const page = text('docs/glossary.md');
  assert.match(await generatedText('docs/glossary.md', page, page), /^\| tape \| .*`src\/ops\/tape\.ts` \|$/m);
});

/** The site is built only on request, because TypeDoc takes a dozen seconds. */
const built = THOROUGH ? test : test.skip;
built('npm run docs builds the site without a warning', () => {
  const out = mkdtempSync(join(tmpdir(), 'cameo-docs-'));
  try {
    execFileSync(process.execPath, ['--import', import.meta.resolve('tsx'), 'docs/build.ts', out], {
      cwd: ROOT,
      stdio: 'pipe',
    });
    const files = readdirSync(out, { recursive: true, encoding: 'utf8' });
    for (const name of ['index.html', 'The_bitstream.html', join('cameo', 'engine', 'Tensor.html')]) {
      assert.ok(files.includes(name), name);
    }
    assert.match(readFileSync(join(out, 'The_command.html'), 'utf8'), /<code>--landmarks/);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

test.run();
