// adapters: once
// suite: long
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { detectorPath } from '../../src/cli/detector-file.js';
import { ROOT, temporaryFolder } from '../cli/cli-fixture.js';
import { findData } from '../helpers/data-available.js';
import { runSnippet, snippetsOf, writePictures } from './snippets.js';

// Every block of code in the README and in docs/ is run, or a line above it says why not.
const test = suite('snippets');
const folder = temporaryFolder();
const published = findData('weights/mtcnn.safetensors');
const detector = detectorPath() ?? ('path' in published ? published.path : undefined);
const env = { CAMEO_TUNING: '0', CAMEO_CACHE: join(folder, 'cache'), CAMEO_DETECTOR: detector };

const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
const snippets = ['README.md', ...pages.map((name) => `docs/${name}`)].flatMap(snippetsOf);
/** The blocks of each page run one after the other, in a folder of its own. */
const folderOf = (page: string): string => join(folder, page.replace(/\W/g, '-'));

test('the pages have snippets, and most of them are run', async () => {
  for (const page of new Set(snippets.map(({ page }) => page))) {
    mkdirSync(folderOf(page));
    await writePictures(folderOf(page));
  }
  const run = snippets.filter(({ notRun }) => notRun === undefined);
  assert.ok(run.length >= 12 && run.length > snippets.length / 2, `${run.length} of ${snippets.length}`);
});

for (const snippet of snippets) {
  if (snippet.notRun !== undefined) continue;
  const name = `${snippet.page}:${snippet.line}`;
  if (snippet.detector && detector === undefined) {
    console.log(`SKIP ${name}: there are no weights of a face detector`);
    test.skip(name);
    continue;
  }
  test(name, async () => {
    const printed = await runSnippet(snippet, folderOf(snippet.page), env);
    if (snippet.language === 'js') assert.match(printed, /\d/, 'the snippet prints a figure');
  });
}

test.run();
