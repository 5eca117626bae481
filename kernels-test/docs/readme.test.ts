// adapters: once
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../cli/cli-fixture.js';
import { figuresOf, hasFigure, reports, withoutCodeAndLinks } from './figures.js';
import { brokenLinks } from './links.js';

// snippets.test.ts runs the README's blocks of code.
const test = suite('readme');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** The files in results/ that a line names. */
const linked = (line: string): string[] =>
  [...line.matchAll(/\]\((results\/[^)]+\.md)\)/g)].map(([, path]) => readFileSync(join(ROOT, path), 'utf8'));

test('the README has at most 120 lines, and starts with what a newcomer needs', () => {
  const lines = readme.trimEnd().split('\n');
  assert.ok(lines.length <= 120, `${lines.length} lines`);
  const first = lines.slice(0, 24).join('\n');
  assert.match(first, /!\[[^\]]+\]\(results\/strip\.png\)/);
  for (const command of ['npm ci && npm start', 'npm ci && npm test']) assert.ok(first.includes(command), command);
});

test('links of the README lead to files and headings that exist', () => {
  assert.equal(brokenLinks('README.md'), []);
});

test('every figure of a table is in the file of results/ that the line below the table names', () => {
  const blocks = readme.split(/\n\n+/);
  let tables = 0;
  blocks.forEach((block, k) => {
    const figures = block.startsWith('|') ? figuresOf(block.replace(/`[^`]*`/g, '')) : [];
    if (figures.length === 0 || blocks[k - 1].startsWith('<!-- npm run')) return; // another test compares that table exactly
    const files = linked(blocks[k + 1] ?? '');
    assert.ok(files.length > 0, `below "${block.split('\n')[0]}" no file is named`);
    const missing = figures.filter((figure) => !files.some((file) => hasFigure(file, figure)));
    assert.equal(missing, [], block.split('\n')[0]);
    tables++;
  });
  assert.is(tables, 2);
});

const pages = ['codec', 'evaluation', 'benchmarks', 'training', 'package'].map((name) => `docs/${name}.md`);

test('every figure of the README and of the pages is in results/', () => {
  const results = reports().join('\n');
  for (const page of ['README.md', ...pages]) {
    const figures = figuresOf(withoutCodeAndLinks(readFileSync(join(ROOT, page), 'utf8')));
    assert.ok(figures.length > 3, `${page} has figures`);
    assert.equal(
      figures.filter((figure) => !hasFigure(results, figure)),
      [],
      page,
    );
  }
});

test('the test detects figures that were not measured', () => {
  assert.equal(figuresOf('99.17 % and 5.67× of 0.863 to 1.2, but v20.20.2 and cameo-0.1.0.tgz'), [
    '99.17',
    '5.67',
    '0.863',
    '1.2',
  ]);
  assert.not.ok(hasFigure('98.026 and 198.02', '98.02'));
  assert.ok(hasFigure('is 98.02 %', '98.02') && hasFigure('59.80', '59.8') && hasFigure('41.63', '41.6'));
});

test('no command asks a registry for a package that is not ours', () => {
  const asked = [...readme.matchAll(/\bnpx ([\w@/-]+)|\bnpm install (?!\.\/)([\w@/-]+)/g)].map(([, a, b]) => a ?? b);
  // npx finds these in the project: cameo if it is installed, and tsx in a checkout.
  assert.equal(
    [...new Set(asked)].sort().filter((name) => !['cameo', 'tsx'].includes(name)),
    [],
  );
  assert.match(readme, /In a project of your own[\s\S]*npx cameo/, 'npx cameo comes after the package is installed');
});

test.run();
