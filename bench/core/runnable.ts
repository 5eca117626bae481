/** One implementation of one computation, ready to run: operands uploaded. */
export interface Runnable {
  /** Records one run; its result is dropped. */
  run(): void;
  /** Resolves when the device has done all runs. */
  finish(): Promise<void>;
  /** Runs once and reads the result. */
  result(): Promise<Float32Array>;
  dispose(): void;
}

/** Milliseconds a run, of `runs` runs in a row. */
async function sample(runnable: Runnable, runs: number): Promise<number> {
  const start = performance.now();
  for (let k = 0; k < runs; k++) runnable.run();
  await runnable.finish();
  return (performance.now() - start) / runs;
}

export interface Timings {
  /** Milliseconds a run, by the order of the runnables. */
  samples: number[][];
  /** Runs that one sample is the mean of. */
  runs: number[];
}

/**
 * Times runnables by turns, so that what disturbs the machine disturbs them alike. Each must have run before: the
 * first run compiles.
 * @param budget milliseconds to spend on each
 * @param least samples at least
 */
export async function timeByTurns(
  runnables: readonly Runnable[],
  { budget, least = 3, most = 9 }: { budget: number; least?: number; most?: number },
): Promise<Timings> {
  const runs: number[] = [];
  let total = 0;
  for (const runnable of runnables) {
    const once = await sample(runnable, 1);
    // A sample long enough to hide the cost of a wait, short enough to leave room for several.
    runs.push(Math.max(1, Math.min(32, Math.floor(budget / most / once))));
    total += Math.max(once * runs[runs.length - 1], 1e-3);
  }
  const turns = Math.max(least, Math.min(most, Math.floor((budget * runnables.length) / total)));
  const samples: number[][] = runnables.map(() => []);
  for (let turn = 0; turn < turns; turn++) {
    for (let k = 0; k < runnables.length; k++) samples[k].push(await sample(runnables[k], runs[k]));
  }
  return { samples, runs };
}
