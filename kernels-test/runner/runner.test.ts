// adapters: once
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toTestAdapters } from './adapters.js';
import { type Job, takeJob } from './jobs.js';
import { aboutTest, findTests, isLong, needsOwnProcess, placementOf, TESTS, timeLimitOf } from './test-files.js';
import { closingLine, countTests, skipReasons, slowest, withoutNoise } from './test-output.js';
import { runFile, TestWorker } from './worker-process.js';

const folder = mkdtempSync(join(tmpdir(), 'cameo-runner-'));
// The test files are modules, like those of this package.
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
const uvu = import.meta.resolve('uvu');
const file = (name: string, text: string) => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
};
const totals = (total: number, passed: number, skipped = 0) =>
  `\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n  Duration:  3.00ms\n\n`;

test('counts are summed from the totals that uvu writes', () => {
  assert.equal(countTests(totals(4, 4), true), { passed: 4, failed: 0, skipped: 0 });
  assert.equal(countTests(totals(4, 4, 2) + totals(3, 1), true), { passed: 5, failed: 2, skipped: 2 });
  assert.equal(countTests(totals(0, 0, 3), true), { passed: 0, failed: 0, skipped: 3 });
  assert.equal(countTests(totals(4, 4).replaceAll('\n', '\r\n'), true), { passed: 4, failed: 0, skipped: 0 });
});

test('no totals, no tests or a bad end count as at least one failure', () => {
  assert.equal(countTests('', true), { passed: 0, failed: 1, skipped: 0 });
  assert.equal(countTests('Total: 5\nPassed: 5\n', true), { passed: 0, failed: 1, skipped: 0 });
  assert.equal(countTests(totals(0, 0), true), { passed: 0, failed: 1, skipped: 0 });
  assert.equal(countTests(totals(4, 4), false), { passed: 4, failed: 1, skipped: 0 });
  assert.equal(countTests(totals(4, 2), false), { passed: 2, failed: 2, skipped: 0 });
});

test('the closing line names skipped tests only if there are some', () => {
  assert.is(closingLine({ passed: 12, failed: 0, skipped: 0 }), '12 passed, 0 failed');
  assert.is(closingLine({ passed: 12, failed: 3, skipped: 1 }), '12 passed, 3 failed, 1 skipped');
});

test("Dawn's native warnings are filtered, and nothing else", () => {
  const limit = 'artificially reduced from 1000000 to 16 to fit dynamic offset allocation limit.';
  const noise = `Warning: maxDynamicUniformBuffersPerPipelineLayout ${limit}\n`;
  const output = `a\n${noise}• ${noise}•\nWarning: something else\nb`;
  assert.is(withoutNoise(output), 'a\n• •\nWarning: something else\nb');
});

test('skipped tests are listed once, with their reason', () => {
  assert.equal(skipReasons('SKIP a: no data\n• • no SKIP here\nSKIP b: no browser\nSKIP a: no data\n'), [
    'SKIP a: no data',
    'SKIP b: no browser',
  ]);
  assert.equal(skipReasons('• •'), []);
});

test('files are found by name, and their adapters follow from their imports', () => {
  const tests = join(folder, 'tests');
  file('elsewhere.ts', 'const gpu = openGpu();');
  file('tests/a/one.test.ts', "import { openGpu } from '../../src/node.js';");
  file('tests/a/two.test.ts', "import './helper.js';\nimport { b } from './helper.js';");
  file('tests/a/helper.ts', "import { gpuSuite } from '../helpers/harness.js';");
  file('tests/helpers/harness.ts', 'const gpu = openGpu();');
  file('tests/three.test.ts', "import { test } from 'uvu';");
  file('tests/b/four.test.ts', "// adapters: once\nimport { openGpu } from '../../src/node.js';");
  file('tests/b/six.test.ts', "// adapters: all\nimport '../a/helper.js';");
  file('tests/b/c/five.test.ts', "import { a } from '../../../elsewhere.js';");
  const found = (...filters: string[]): string[] => findTests(tests, filters).map(({ name }) => name);
  assert.equal(found(), ['five', 'four', 'one', 'six', 'three', 'two']);
  assert.equal(found('thr', 'o'), ['four', 'one', 'three', 'two']);
  assert.equal(found('thr'), ['three']);
  assert.equal(found('b'), []);
  assert.equal(found('b/'), ['five', 'four', 'six']);
  assert.equal(found('a/o', 'five'), ['five', 'one']);
  assert.equal(
    findTests(tests, []).map(({ name, path }) => [name, placementOf(path, tests)]),
    [
      ['five', 'once'],
      ['four', 'once'],
      ['one', 'each adapter'],
      ['six', 'all adapters'],
      ['three', 'once'],
      ['two', 'each adapter'],
    ],
  );
  file('tests/b/one.test.ts', '');
  assert.throws(() => found(), /two test files have the name "one"/);
});

test('a file is long only by a line of its own', () => {
  const long = (name: string, text: string): boolean => isLong(file(`long/${name}.test.ts`, text));
  assert.ok(long('a', "// adapters: once\n// suite: long\nimport { test } from 'uvu';"));
  assert.not(long('b', "import { test } from 'uvu';"));
  assert.not(long('c', "const text = '// suite: long';"));
});

test('what stays in the short run: each folder, a browser, the command and the page', () => {
  const files = findTests(TESTS, []).map(({ path }) => ({ path: relative(TESTS, path), long: isLong(path) }));
  const short = files.filter(({ long }) => !long).map(({ path }) => path);
  const foldersOf = (paths: string[]): string[] => [...new Set(paths.map(dirname))].sort();
  assert.equal(foldersOf(short), foldersOf(files.map(({ path }) => path)));
  for (const kept of ['browser/chromium-kernels', 'cli/cli', 'web/web']) {
    assert.ok(short.includes(`${kept}.test.ts`), kept);
  }
});

test('one of two software adapters takes all files, unless one was chosen by name', () => {
  const adapters = (['hardware', 'lavapipe', 'swiftshader'] as const).map((kind) => ({ name: `a ${kind}`, kind }));
  const second = (kinds: number[], equal: boolean): boolean[] =>
    toTestAdapters(
      kinds.map((k) => ({ ...adapters[k], backend: 'vulkan' as const })),
      equal,
    ).map((adapter) => adapter.second);
  assert.equal(second([0, 1, 2], false), [false, true, false]);
  assert.equal(second([0, 1], false), [false, false]);
  assert.equal(second([1, 2], true), [false, false]);
});

test('a process takes jobs for its adapter, and a new process those for an adapter that no other works on', () => {
  const job = (label: string, adapter?: string, ownProcess = false): Job => {
    return { label, path: '', adapter, ownProcess, limitSeconds: 1 };
  };
  const queue = [job('long'), job('alone', 'a', true), job('one'), job('two', 'a'), job('three', 'b')];
  const once = { adapter: undefined };
  const take = (...args: [own?: { adapter?: string }, ...others: { adapter?: string }[]]): string =>
    takeJob(queue, args[0], args.slice(1) as { adapter?: string }[]).label;
  assert.is(take(), 'long');
  assert.is(take({ adapter: 'a' }, once), 'two');
  assert.is(take(undefined, once), 'alone');
  assert.is(take(undefined, once, { adapter: 'a' }), 'three');
  assert.is(take(undefined, once), 'one', 'if all are taken, the first');
  assert.equal(queue, []);
});

test('no test file of this repository is lost', () => {
  const root = join(TESTS, '..');
  const filesIn = (top: string): string[] =>
    readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => join(root, top, path));
  const found = findTests(TESTS, []).map(({ path }) => path);
  assert.ok(found.length >= 140, `${found.length} test files`);
  // This is any file that runs suites, whatever its name and folder.
  const running = ['kernels-test', 'src', 'shaders', 'bench', 'web', 'demo', 'examples']
    .flatMap(filesIn)
    .filter((path) => /^\w+\.run\(\);$/m.test(readFileSync(path, 'utf8')) && !/faulty-\w+\.ts$/.test(path));
  assert.equal(
    running.filter((path) => !found.includes(path)),
    [],
  );
});

test('the folders of the tests mirror those of what they test', () => {
  const foldersIn = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  const tested = [...foldersIn(join(TESTS, '../src')), 'shaders', 'bench', 'web', 'docs'];
  const withoutSource = ['browser', 'helpers', 'package', 'runner'];
  assert.equal(
    foldersIn(TESTS).filter((name) => !tested.includes(name) && !withoutSource.includes(name)),
    [],
  );
  const folders = findTests(TESTS, []).map(({ path }) => relative(TESTS, dirname(path)));
  assert.ok(folders.includes('ops'));
  assert.not.ok(
    folders.includes('') || folders.includes('helpers'),
    'a test is in the folder of the code that it tests',
  );
});

test('a file may ask for a longer time limit', () => {
  assert.is(timeLimitOf(file('usual.ts', "test('// time limit: 9 times', () => {});")), 1);
  assert.is(timeLimitOf(file('slow.ts', '// adapters: once\n// time limit: 3 times\ntest.run();')), 3);
});

test('a file may ask for a process of its own', () => {
  assert.not(needsOwnProcess(file('sharing.ts', "test('// process: own', () => {});")));
  const path = file('alone.ts', '// process: own\n// time limit: 2 times\ntest.run();');
  assert.equal(aboutTest(path), { path, placement: 'once', ownProcess: true, timeLimit: 2, long: false });
});

test('the slowest files are listed first', () => {
  const times = [1, 30, 4].map((seconds) => ({ label: `file ${seconds}`, seconds, cpuSeconds: seconds / 2 }));
  const [head, ...lines] = slowest(times, 2).split('\n');
  assert.match(head, '2 slowest');
  assert.equal(
    lines.map((line) => line.trim()),
    ['30.0 s  (15.0 s of processor time)  file 30', '4.0 s  (2.0 s of processor time)  file 4'],
  );
});

test('the runner reports whether a file passes, fails, crashes, exits early or hangs', async () => {
  const head = `import { test } from '${uvu}';\n`;
  const run = (name: string, text: string, limitSeconds = 60) =>
    runFile(file(`${name}.ts`, text), { CAMEO_ADAPTER: 'some adapter' }, limitSeconds);
  const [good, fail, lost, crash, early, hang] = await Promise.all([
    run('pass', `${head}test('a', () => {}); test.run(); console.error('to stderr', process.env.CAMEO_ADAPTER);`),
    run('fail', `${head}test('a', () => { throw new Error('boom'); }); test.run();`),
    // uvu loses both errors here and exits with 0.
    run('hook', `${head}test('a', () => { throw 1; }); test.after.each(() => { throw 2; }); test.run();`),
    run('crash', "process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 99);"),
    run('early', `${head}test('a', () => process.exit(0)); test.run();`),
    run('hang', `${head}test('a', () => new Promise((r) => setTimeout(r, 60000))); test.run();`, 5),
  ]);
  assert.equal([good.passed, good.failed, good.ending], [1, 0, '']);
  assert.match(good.output, 'to stderr some adapter');
  assert.equal([fail.passed, fail.failed, fail.ending], [0, 1, 'exit code 1']);
  assert.match(fail.output, 'boom');
  assert.equal([lost.passed, lost.failed, lost.ending], [0, 1, '']);
  assert.equal([crash.passed, crash.failed, crash.ending], [0, 1, 'signal SIGSEGV']);
  assert.equal([early.passed, early.failed], [0, 1]);
  assert.equal([hang.passed, hang.failed, hang.ending], [0, 1, 'time limit of 5 s']);
});

/** A test file that runs `before` and then passes. */
const passing = (name: string, before = ''): string =>
  file(name, `import { test } from '${uvu}';\n${before}\ntest('passes', () => {}); test.run();`);

test('files share a process, and its environment and folder are restored after each', async () => {
  const worker = new TestWorker({ CAMEO_ADAPTER: 'the adapter', KEPT: 'kept' });
  try {
    const show =
      'console.log([process.pid, process.env.CAMEO_ADAPTER, process.env.KEPT, process.env.MADE, process.cwd()].join());';
    const first = await worker.run(
      passing('first.ts', `${show} process.env.MADE = '1'; process.env.KEPT = '2'; process.chdir('/');`),
      60,
    );
    const second = await worker.run(passing('second.ts', show), 60);
    assert.equal([first.passed, first.failed, second.passed, second.failed], [1, 0, 1, 0]);
    assert.match(first.output, `,the adapter,kept,,${process.cwd()}`);
    assert.is(second.output.split('\n')[0], first.output.split('\n')[0]);
    assert.not.match(first.output + second.output, /\0/);
    assert.ok(first.cpuSeconds > 0);

    // The failures of one file do not count for the others.
    const failing = await worker.run(
      file(
        'failing.ts',
        `import { test } from '${uvu}';\ntest('fails', () => { throw new Error('boom'); }); test.run();`,
      ),
      60,
    );
    assert.equal([failing.passed, failing.failed, failing.ending], [0, 1, 'exit code 1']);
    const unrun = await worker.run(
      file('unrun.ts', `import { test } from '${uvu}';\ntest('is never run', () => {});`),
      60,
    );
    assert.equal([unrun.passed, unrun.failed], [0, 1]);
    const broken = await worker.run(file('broken.ts', "throw new Error('on import');"), 60);
    assert.equal([broken.passed, broken.failed, broken.ending], [0, 1, 'exit code 1']);
    assert.match(broken.output, 'on import');
    const third = await worker.run(passing('third.ts'), 60);
    assert.equal([third.passed, third.failed, third.ending], [1, 0, '']);
    assert.ok(worker.alive);
  } finally {
    await worker.close();
  }
});

test('a file that ends the process counts as failed, and the files before it do not', async () => {
  const worker = new TestWorker({});
  const before = await worker.run(passing('before.ts'), 60);
  const crash = await worker.run(
    file(
      'later-crash.ts',
      `import { test } from '${uvu}';
test('passes', () => {}); test('crashes', async () => { process.kill(process.pid, 'SIGSEGV'); await new Promise((r) => setTimeout(r, 9999)); }); test.run();`,
    ),
    60,
  );
  assert.equal([before.passed, before.failed], [1, 0]);
  assert.equal([crash.passed, crash.failed], [0, 1]);
  assert.match(crash.ending, /^signal SIGSEGV, in a process that had run before/);
  assert.not(worker.alive);
  await worker.close();
});

test('a file that leaves something open counts as failed', async () => {
  const left = await runFile(
    passing('open.ts', "import { createServer } from 'node:net'; createServer().listen(0);"),
    { CAMEO_TEST_CLOSING: '300' },
    60,
  );
  assert.equal([left.passed, left.failed], [1, 1]);
  assert.match(left.ending, /left open: TCPServerWrap/);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
