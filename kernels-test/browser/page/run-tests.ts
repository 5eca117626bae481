import type { Suite } from '../../runner/uvu-queue.js';
import type { PageResult } from './uvu.js';

/** The results of a test file in a page. */
export interface PageOutcome {
  results: PageResult[];
  /** Why the file did not run to its end or ran no tests; '' if it did. */
  problem: string;
  seconds: number;
}

declare global {
  /** Imports a test file and runs its suites. Call it once per file in a page, and for one file after the other. */
  var runTestFile: (path: string) => Promise<PageOutcome>;
}

globalThis.UVU_DEFER = 1;
globalThis.UVU_QUEUE = [[]];

async function runSuites(path: string): Promise<string> {
  try {
    await import(path);
    let total = 0;
    for (const suite of UVU_QUEUE[0] as Suite[]) {
      const [errors, passed, skipped, tests] = await suite();
      total += tests + skipped;
      // A hook that throws ends a suite, and uvu does not report it.
      if (errors === true && passed < tests) return `a hook threw: ${passed} of ${tests} tests passed, none failed`;
    }
    return total > 0 ? '' : 'the file has no tests';
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

globalThis.runTestFile = async (path) => {
  const start = performance.now();
  UVU_QUEUE[0] = [];
  const { results } = await import('./uvu.js'); // uvu itself must not load before the globals are set
  const problem = await runSuites(path);
  return { results: results.splice(0), problem, seconds: (performance.now() - start) / 1000 };
};
