import { MAX_PASSES, type PassTimer } from './pass-timer.js';

/** One implementation of one computation, ready to run: operands uploaded. */
export interface Runnable {
  /** Records one run; its result is dropped. Where it returns a promise, the next run must wait for that. */
  run(): void | Promise<void>;
  /** Resolves when the device has done all runs. */
  finish(): Promise<void>;
  /** Runs once and reads the result. */
  result(): Promise<Float32Array>;
  dispose(): void | Promise<void>;
}

/** Runs of one sample at most: also for kernels of no work at all. */
const MAX_RUNS = 1000;

/**
 * Runs that together take at least so long: a sample must be long enough to hide what a wait costs.
 * @param time milliseconds that a number of runs take together
 * @param minimum milliseconds
 * @param first what one run took
 */
export async function runsFor(
  time: (runs: number) => Promise<number>,
  minimum: number,
  first: number,
  max = MAX_RUNS,
): Promise<number> {
  let runs = 1;
  let whole = first;
  // One run is mostly waiting where the kernel takes microseconds: the estimate gets better with their number.
  while (whole < minimum && runs < max) {
    runs = Math.min(max, Math.ceil(runs * Math.max(1.5, Math.min(8, (1.2 * minimum) / Math.max(whole, 1e-6)))));
    whole = await time(runs);
  }
  return runs;
}

/** How many samples fit into a budget: at least three, at most nine. */
export function samplesFor(budget: number, each: number): number {
  return Math.max(3, Math.min(9, Math.floor(budget / Math.max(each, 1e-6))));
}

/** Milliseconds that a sample should take at least. */
export const minimumSample = (budget: number): number => budget / 9;

export interface Timings {
  /** Milliseconds a run by the clock on the wall, by the order of the runnables. */
  samples: number[][];
  /** The same by the device's timestamps; null where there are none, or they make no sense. */
  device: (number[] | null)[];
}

/**
 * Times runnables in alternation, so that what disturbs the machine disturbs them alike. Each must have run before: the
 * first run compiles.
 * @param budget milliseconds to spend on each; three samples are taken even where they take longer
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
  // Some libraries begin a pass in each run, and may need a few more.
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
