import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../../src/data/files/atomic-file.js';
import { gitCommit } from '../../src/evaluation/reports/git-commit.js';
import { findPackage } from '../../src/gpu/node/packages.js';
import { countTests, withoutNoise } from '../runner/test-output.js';
import {
  ENVIRONMENT,
  filesForPages,
  type KernelHost,
  openKernelPages,
  outcomeOf,
  testFileModules,
} from './browser-kernels.js';
import { openDenoKernels } from './deno-kernels.js';
import { knownFailure } from './known-failures.js';
import {
  PLATFORMS,
  type PlatformFailure,
  type PlatformName,
  type PlatformReport,
  type PlatformResult,
  platformMarkdown,
  withPlatformTable,
} from './platform-table.js';

/*
 * npm run platforms [-- NAME...]: runs the kernel tests on Node, Chromium, Firefox and Deno (or only on those named, and keeps what
 * was measured of the others), each on SwiftShader, and writes results/platforms.json and .md and the table in README.md.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const JSON_FILE = join(ROOT, 'results', 'platforms.json');
const NO_REASON = 'not known';

interface Tally {
  passed: number;
  skipped: number;
  failures: PlatformFailure[];
}

const versionOf = (name: Parameters<typeof findPackage>[0]): string => findPackage(name)?.version ?? 'unknown';

const WEBGPU: Record<PlatformName, string> = {
  Node: `Dawn (npm webgpu ${versionOf('webgpu')})`,
  Chromium: 'Dawn',
  Firefox: 'wgpu',
  Deno: 'wgpu',
};

/** Runs a test file in a separate process, as `npm test` does on SwiftShader. */
function inNode(name: string): Promise<Tally> {
  const env = { ...process.env, ...ENVIRONMENT, CAMEO_ADAPTER: 'swiftshader', CAMEO_TUNING: '0', NO_COLOR: '1' };
  const { [name]: path } = testFileModules([name]);
  return new Promise((resolve) => {
    execFile(process.execPath, [...process.execArgv, path], { env, maxBuffer: 2 ** 27 }, (error, stdout) => {
      const { passed, failed, skipped } = countTests(stdout, !error);
      const titles = [...withoutNoise(stdout).matchAll(/^ {3}FAIL {2}(?:.* {2})?"(.*)"$/gm)].map(([, title]) => title);
      while (titles.length < failed) titles.push('the whole file');
      resolve({ passed, skipped, failures: titles.map((title) => failure('Node', name, title)) });
    });
  });
}

const failure = (place: PlatformName, file: string, title: string): PlatformFailure => ({
  file,
  title,
  reason: knownFailure(place, file, title) ?? NO_REASON,
});

async function inHost(host: KernelHost, name: string): Promise<Tally> {
  const { results, problem } = await outcomeOf(host, name);
  const failed = results.filter(({ error }) => error !== undefined).map(({ name: title }) => title);
  if (problem) failed.push('the whole file');
  return {
    passed: results.filter(({ error, skipped }) => error === undefined && !skipped).length,
    skipped: results.filter(({ skipped }) => skipped).length,
    failures: failed.map((title) => failure(host.place, name, title)),
  };
}

/** Runs the kernel tests on a platform. @throws Error if the platform is not found here */
async function measure(name: PlatformName, commit: string | null): Promise<PlatformResult> {
  const files = filesForPages('all');
  const start = performance.now();
  let host: KernelHost | null = null;
  if (name === 'Deno') host = await openDenoKernels(testFileModules(files));
  else if (name !== 'Node') host = await openKernelPages(testFileModules(files), name);
  try {
    if (host?.reason) throw new Error(host.reason);
    const sum: Tally = { passed: 0, skipped: 0, failures: [] };
    for (const file of files) {
      const { passed, skipped, failures } = host ? await inHost(host, file) : await inNode(file);
      console.log(`${name}: ${file}: ${passed} passed, ${failures.length} failed`);
      sum.passed += passed;
      sum.skipped += skipped;
      sum.failures.push(...failures);
    }
    return {
      name,
      version: host?.version ?? process.version,
      webgpu: WEBGPU[name],
      driver: `SwiftShader of Chromium ${versionOf('@sparticuz/chromium')}`,
      ...sum,
      seconds: (performance.now() - start) / 1000,
      commit,
      date: new Date().toISOString().slice(0, 10),
    };
  } finally {
    await host?.close();
  }
}

const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!PLATFORMS.includes(name as PlatformName)) {
    throw new Error(`"${name}" is not a platform; expected ${PLATFORMS.join(', ')}`);
  }
}
const commit = gitCommit(); // now, because files may change while the tests run

/** Adds a result to those of the other platforms, which another run may have measured meanwhile. */
async function keep(result: PlatformResult): Promise<void> {
  const before = existsSync(JSON_FILE) ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as PlatformReport).platforms : [];
  const all = [...before.filter(({ name }) => name !== result.name), result];
  const report: PlatformReport = {
    command: 'npm run platforms',
    processor: `${cpus()[0].model}, ${cpus().length} cores`,
    platforms: PLATFORMS.flatMap((name) => all.filter((one) => one.name === name)),
  };
  await writeFileAtomic(JSON_FILE, `${JSON.stringify(report, null, 2)}\n`);
  await writeFileAtomic(join(ROOT, 'results', 'platforms.md'), platformMarkdown(report));
  const readme = join(ROOT, 'README.md');
  await writeFileAtomic(readme, withPlatformTable(readFileSync(readme, 'utf8'), report, 'README.md'));
}

for (const name of PLATFORMS) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const result = await measure(name, commit);
  await keep(result);
  for (const { file, title, reason } of result.failures) console.log(`${name} fails: ${file}, "${title}": ${reason}`);
}
