import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('names');
const root = new URL('../../', import.meta.url).pathname;

const sources = ['src', 'shaders', 'bench', 'web'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /(?<!\.d)\.ts$/.test(name))
    .map((name) => join(folder, name)),
);

const DECLARATION = /^export (?:async |abstract )*(?:function\*?|class|interface|type|const|let) +([A-Za-z_$][\w$]*)/gm;

test('no two files export a declaration of the same name', () => {
  const files = new Map<string, string[]>();
  for (const file of sources) {
    const names = [...readFileSync(join(root, file), 'utf8').matchAll(DECLARATION)].map(([, name]) => name);
    for (const name of new Set(names)) files.set(name, [...(files.get(name) ?? []), file]);
  }
  assert.ok(files.size > 1000, `${files.size} names`);
  assert.equal(
    [...files].filter(([, where]) => where.length > 1).map(([name, where]) => `${name}: ${where.join(', ')}`),
    [],
  );
});

test.run();
