import { existsSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('glossary');
const root = new URL('../../', import.meta.url);

/** The rows of the table under `## Glossary`: the word, its meaning, and its file. */
const rows = readFileSync(new URL('CONTRIBUTING.md', root), 'utf8')
  .split('\n## Glossary\n')[1]
  .split('\n## ')[0]
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .slice(2)
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('the glossary has a few dozen words in alphabetical order, each once', () => {
  const words = rows.map(([, word]) => word.toLowerCase());
  assert.ok(words.length >= 30 && words.length <= 60, `${words.length} words`);
  assert.equal(words, [...new Set(words)].sort());
});

test('every word is explained in one line, and has a file that exists', () => {
  for (const [, word, meaning, where] of rows) {
    assert.ok(meaning.length > 10 && meaning.endsWith('.'), word);
    const [, path] = /^`([^`]+)`$/.exec(where) ?? [];
    assert.ok(path && existsSync(new URL(path, root)), `${word}: ${where}`);
  }
});

test.run();
