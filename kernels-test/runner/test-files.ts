import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a test file runs: on each adapter, the second software adapter included or not, or once (it needs none, or chooses itself). */
export type Placement = 'all adapters' | 'each adapter' | 'once';

/** The folder of all tests. */
export const TESTS = fileURLToPath(new URL('..', import.meta.url));

export interface TestFile {
  /** Name without folder and ".test.ts"; no two files have the same. */
  name: string;
  path: string;
}

/**
 * The test files in `folder` and below it, by name: those whose name contains one of `filters` (one with a slash: whose
 * folder and name, as "ops/conv", contain it), or all without a filter.
 * @throws Error where two files have the same name, as reports and lists name files by it alone
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
 * `// adapters: once` in the test file overrules that, for tests that choose their adapters themselves; `// adapters: all`
 * asks for a second software adapter as well, for kernels that differ by what an adapter can do.
 */
export function placementOf(path: string, folder = TESTS): Placement {
  const text = readFileSync(path, 'utf8');
  const [, asked] = /^\/\/ adapters: (once|all)$/m.exec(text) ?? [];
  if (asked) return asked === 'once' ? 'once' : 'all adapters';
  return opensGpu(path, resolve(folder) + sep, new Set()) ? 'each adapter' : 'once';
}

/** How many times the usual limit a file may take: a line `// time limit: 3 times` says it; 1 without one. */
export function timeLimitOf(path: string): number {
  const [, times = '1'] = /^\/\/ time limit: (\d+) times$/m.exec(readFileSync(path, 'utf8')) ?? [];
  return Number(times);
}

/** True where a line `// process: own` says that a file cannot share a process with others. */
export function needsOwnProcess(path: string): boolean {
  return /^\/\/ process: own$/m.test(readFileSync(path, 'utf8'));
}

/** What the first lines of a test file, and its imports, say of how it runs. */
export function aboutTest(path: string) {
  return {
    path,
    placement: placementOf(path),
    ownProcess: needsOwnProcess(path),
    timeLimit: timeLimitOf(path),
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
