import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a test file runs: on each adapter, with or without the second software adapter, or once (it needs no adapter, or chooses itself). */
export type Placement = 'all adapters' | 'each adapter' | 'once';

/** The folder of all tests. */
export const TESTS = fileURLToPath(new URL('..', import.meta.url));

export interface TestFile {
  /** Name without folder and ".test.ts", which no other file has. */
  name: string;
  path: string;
}

/**
 * The test files in `folder` and below it, by name: those whose name contains one of `filters` (for a filter with a slash, whose
 * folder and name contain it, such as "ops/conv"), or all without a filter.
 * @throws Error if two files have the same name, because reports and lists use the name alone
 */
export function findTests(folder: string, filters: readonly string[]): TestFile[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => ({ place: file.slice(0, -'.test.ts'.length).split(sep).join('/'), path: join(folder, file) }))
    .map(({ place, path }) => ({ name: basename(place), place, path }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const again = files.find(({ name }, k) => name === files[k + 1]?.name);
  if (again) throw new Error(`two test files have the name "${again.name}"`);
  return files
    .filter(({ name, place }) => {
      const fits = (filter: string): boolean => (filter.includes('/') ? place : name).includes(filter);
      return filters.length === 0 || filters.some(fits);
    })
    .map(({ name, path }) => ({ name, path }));
}

/**
 * A file runs on each adapter when it, or a file of `folder` that it imports, uses the harness or opens a GPU. A line
 * `// adapters: once` in the test file overrides this, for tests that choose their adapters themselves. `// adapters: all`
 * asks for a second software adapter as well, for kernels that differ by what an adapter can do.
 */
export function placementOf(path: string, folder = TESTS): Placement {
  const text = readFileSync(path, 'utf8');
  const [, asked] = /^\/\/ adapters: (once|all)$/m.exec(text) ?? [];
  if (asked) return asked === 'once' ? 'once' : 'all adapters';
  return opensGpu(path, resolve(folder) + sep, new Set()) ? 'each adapter' : 'once';
}

/** The factor on the usual time limit, from a line such as `// time limit: 3 times`; 1 without one. */
export function timeLimitOf(path: string): number {
  const [, times = '1'] = /^\/\/ time limit: (\d+) times$/m.exec(readFileSync(path, 'utf8')) ?? [];
  return Number(times);
}

/** True if a line `// process: own` says that a file cannot share a process with others. */
export function needsOwnProcess(path: string): boolean {
  return /^\/\/ process: own$/m.test(readFileSync(path, 'utf8'));
}

/** True if a line `// suite: long` says that a file runs only with `--all` or by its name. */
export function isLong(path: string): boolean {
  return /^\/\/ suite: long$/m.test(readFileSync(path, 'utf8'));
}

/** How a test file runs, from its first lines and its imports. */
export function aboutTest(path: string) {
  return {
    path,
    placement: placementOf(path),
    ownProcess: needsOwnProcess(path),
    timeLimit: timeLimitOf(path),
    long: isLong(path),
  };
}

function opensGpu(path: string, folder: string, seen: Set<string>): boolean {
  if (seen.has(path) || !path.startsWith(folder) || !existsSync(path)) return false;
  seen.add(path);
  const text = readFileSync(path, 'utf8');
  if (/\bopenGpu\b/.test(text)) return true;
  return [...text.matchAll(/from '(\.\.?\/[^']+)\.js'/g)].some(([, target]) =>
    opensGpu(join(dirname(path), `${target}.ts`), folder, seen),
  );
}
