import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where a test file runs: on each adapter, the second software adapter included or not, or once (it needs none, or chooses itself). */
export type Placement = 'all adapters' | 'each adapter' | 'once';

/** Names of the test files in `folder`, without ".test.ts", that contain one of `filters` (all of them without a filter). */
export function findTests(folder: string, filters: readonly string[]): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.test.ts'.length))
    .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
    .sort();
}

/**
 * A file runs on each adapter when it, or a file beside it that it imports, uses the harness or opens a GPU. A line
 * `// adapters: once` in the test file overrules that, for tests that choose their adapters themselves; `// adapters: all`
 * asks for a second software adapter as well, for kernels that differ by what an adapter can do.
 */
export function placementOf(path: string): Placement {
  const text = readFileSync(path, 'utf8');
  const [, asked] = /^\/\/ adapters: (once|all)$/m.exec(text) ?? [];
  if (asked) return asked === 'once' ? 'once' : 'all adapters';
  return opensGpu(path, new Set()) ? 'each adapter' : 'once';
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

function opensGpu(path: string, seen: Set<string>): boolean {
  if (seen.has(path) || !existsSync(path)) return false;
  seen.add(path);
  const text = readFileSync(path, 'utf8');
  if (/\bopenGpu\b/.test(text)) return true;
  return [...text.matchAll(/from '(\.\/[^']+)\.js'/g)].some(([, target]) =>
    opensGpu(join(dirname(path), `${target}.ts`), seen),
  );
}
