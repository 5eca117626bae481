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
 * first run compiles. Where one run of all takes longer than the budget, that run is the only sample.
 * @param budget milliseconds to spend on each
 */
export async function timeByTurns(runnables: readonly Runnable[], budget: number): Promise<Timings> {
  const [least, most] = [3, 9];
  const once: number[] = [];
  for (const runnable of runnables) once.push(await sample(runnable, 1));
  // A sample long enough to hide the cost of a wait, short enough to leave room for several.
  const runs = once.map((ms) => Math.max(1, Math.min(32, Math.floor(budget / most / Math.max(ms, 1e-3)))));
  const whole = budget * runnables.length;
  if (once.reduce((sum, ms) => sum + ms, 0) > whole) return { samples: once.map((ms) => [ms]), runs };
  const turn = once.reduce((sum, ms, k) => sum + ms * runs[k], 0);
  const turns = Math.max(least, Math.min(most, Math.floor(whole / turn)));
  const samples: number[][] = runnables.map(() => []);
  for (let t = 0; t < turns; t++) {
    for (let k = 0; k < runnables.length; k++) samples[k].push(await sample(runnables[k], runs[k]));
  }
  return { samples, runs };
}
