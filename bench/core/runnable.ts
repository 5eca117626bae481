import { MAX_PASSES, type PassTimer } from './pass-timer.js';

/** One implementation of one computation, whose operands are uploaded. */
export interface Runnable {
  /** Submits one run, whose result is dropped. If it returns a promise, the next run must wait for the promise. */
  run(): void | Promise<void>;
  /** Resolves when the device has done all runs. */
  finish(): Promise<void>;
  /** Runs once and reads the result. */
  result(): Promise<Float32Array>;
  dispose(): void | Promise<void>;
}

/** The most runs of one sample, which also bounds kernels that do no work. */
const MAX_RUNS = 1000;

/**
 * The number of runs that together take at least `minimum` milliseconds. A sample must be long enough to hide the cost of a wait.
 * @param time gives the milliseconds that a number of runs take together
 * @param first milliseconds that one run took
 * @param max the most runs
 */
export async function runsFor(
  time: (runs: number) => Promise<number>,
  minimum: number,
  first: number,
  max = MAX_RUNS,
): Promise<number> {
  let runs = 1;
  let whole = first;
  // If the kernel takes microseconds, one run is mostly waiting; the estimate improves with the number of runs.
  while (whole < minimum && runs < max) {
    runs = Math.min(max, Math.ceil(runs * Math.max(1.5, Math.min(8, (1.2 * minimum) / Math.max(whole, 1e-6)))));
    whole = await time(runs);
  }
  return runs;
}

/** The number of samples that fit into a budget, at least three and at most nine. */
export function samplesFor(budget: number, each: number): number {
  return Math.max(3, Math.min(9, Math.floor(budget / Math.max(each, 1e-6))));
}

/** The least milliseconds that a sample should take: with them, nine samples fill the budget. */
export const minimumSample = (budget: number): number => budget / 9;

export interface Timings {
  /** For each runnable, the milliseconds per run in each sample, by the wall clock. */
  samples: number[][];
  /** The same by the device's timestamps; null for a runnable without plausible timestamps. */
  device: (number[] | null)[];
}

/**
 * Times runnables in turn, so that other work on the machine slows them alike. Each must have run before, because the first
 * run compiles.
 * @param budget milliseconds to spend on each; it takes at least three samples, even if they take longer
 */
export async function timeByTurns(
  runnables: readonly Runnable[],
  budget: number,
  timer: PassTimer | null = null,
): Promise<Timings> {
  const time = async (runnable: Runnable, runs: number): Promise<{ wall: number; device: number | null }> => {
    timer?.start();
    const start = performance.now();
    for (let k = 0; k < runs; k++) {
      const pending = runnable.run();
      if (pending) await pending;
    }
    await runnable.finish();
    const wall = performance.now() - start;
    return { wall, device: timer ? await timer.stop() : null };
  };
  // Some libraries begin a pass for each run, and may begin a few more.
  const max = timer ? MAX_PASSES - 12 : MAX_RUNS;
  const runs: number[] = [];
  let turn = 0;
  for (const runnable of runnables) {
    const wallOf = async (count: number): Promise<number> => (await time(runnable, count)).wall;
    const once = await wallOf(1);
    runs.push(await runsFor(wallOf, minimumSample(budget), once, max));
    turn += Math.max(once, minimumSample(budget));
  }
  const samples: number[][] = runnables.map(() => []);
  const device: (number[] | null)[] = runnables.map(() => []);
  for (let t = samplesFor(budget * runnables.length, turn); t > 0; t--) {
    for (let k = 0; k < runnables.length; k++) {
      const taken = await time(runnables[k], runs[k]);
      samples[k].push(taken.wall / runs[k]);
      if (taken.device === null) device[k] = null;
      else device[k]?.push(taken.device / runs[k]);
    }
  }
  return { samples, device };
}
