// adapters: once
// time limit: 3 times
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filesForPages, openKernelPages, registerFiles, testFileModules } from './browser-kernels.js';

/** Modules with faults, all of which must be reported in a page. */
const FAULTY = ['faulty-tests', 'faulty-import', 'faulty-hook', 'faulty-empty'];
const faulty = FAULTY.map((name) => [name, fileURLToPath(new URL(`page/${name}.ts`, import.meta.url))]);

const names = filesForPages('other');
const pages = await openKernelPages({ ...testFileModules(names), ...Object.fromEntries(faulty) });
await registerFiles(pages, names);

/** Registers a test of the pages themselves. */
const pageTest = (name: string, run: () => Promise<void>): void => (pages.reason ? test.skip(name) : test(name, run));

pageTest(
  'failures in a page are reported, also uncaptured errors of the device and tensors that are left behind',
  async () => {
    const { results, problem } = await pages.run('faulty-tests');
    assert.is(problem, '');
    const told = results.map(({ name, error, skipped }) => [
      name,
      skipped ? 'skipped' : (error ?? 'passed').split('\n')[0],
    ]);
    const expected = [
      ['is skipped', 'skipped'],
      ['passes', 'passed'],
      ['differs', /deeply equal/],
      ['the device reports an error', /GpuError: .*BufferUsage/],
      ['leaves a tensor behind', /left tensors behind/],
      ['passes after them', 'passed'],
    ] as const;
    assert.is(told.length, expected.length);
    expected.forEach(([name, what], k) => {
      assert.is(told[k][0], name);
      assert.match(told[k][1], what);
    });
  },
);

pageTest('a file that does not load, whose hook throws, or that has no tests counts as failed', async () => {
  assert.match((await pages.run('faulty-import')).problem, 'thrown on import');
  assert.match((await pages.run('faulty-hook')).problem, 'a hook threw');
  assert.match((await pages.run('faulty-empty')).problem, 'no tests');
});

test.run();
