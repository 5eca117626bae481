import type { Gpu } from '../../src/gpu/gpu.js';
import type { PassTimer } from './pass-timer.js';
import { minimumSample, runsFor, samplesFor } from './runnable.js';
import { type Spread, spreadOf } from './statistics.js';
import type { Task, TaskKind } from './task.js';

export interface Measurement {
  kind: TaskKind;
  layer: string;
  /** Pictures per batch. */
  batch: number;
  flops: number;
  bytes: number;
  /** Milliseconds per run. */
  time: Spread;
  /** Milliseconds by which the first run, which builds the pipelines, is slower than the median. */
  compileMs: number;
  /** Labels of the kernels that ran, in order. */
  kernels: string[];
}

/** The most dispatches of one sample: the engine puts up to 64 into a pass, and `PassTimer` can stamp 512 passes. */
const MAX_DISPATCHES = 8000;

/** The labels of the kernels that `body` dispatches. */
function kernelsOf(gpu: Gpu, body: () => void): string[] {
  const labels: string[] = [];
  const { run } = gpu;
  gpu.run = (kernel, ...rest) => {
    labels.push(kernel.label);
    run.call(gpu, kernel, ...rest);
  };
  try {
    body();
  } finally {
    delete (gpu as Partial<Gpu>).run; // the method of the class shows again
  }
  return labels;
}

/**
 * Measures one task.
 * @param timer the device's timestamps, or null to use the wall clock
 * @param budget milliseconds to spend on samples; it takes at least three
 */
export async function measureTask(gpu: Gpu, task: Task, timer: PassTimer | null, budget: number): Promise<Measurement> {
  const runnable = task.prepare(gpu);
  try {
    await gpu.sync();
    const began = performance.now();
    const kernels = kernelsOf(gpu, () => void runnable.run());
    await runnable.finish();
    const first = performance.now() - began;

    const sample = async (runs: number): Promise<number> => {
      timer?.start();
      const start = performance.now();
      for (let k = 0; k < runs; k++) runnable.run();
      await runnable.finish();
      const wall = performance.now() - start;
      const stamped = timer ? await timer.stop() : wall;
      if (stamped === null)
        throw new Error(`${task.kind}, ${task.layer}: the device's timestamps are missing or go backwards`);
      return stamped / runs;
    };
    // This run also fills pools and caches.
    const once = await sample(1);
    // With more dispatches than this, there would be more passes than can be stamped.
    const max = Math.max(1, Math.floor(MAX_DISPATCHES / kernels.length));
    const runs = await runsFor(async (count) => count * (await sample(count)), minimumSample(budget), once, max);
    const samples: number[] = [];
    const wanted = samplesFor(budget, Math.max(once, minimumSample(budget)));
    while (samples.length < wanted) samples.push(await sample(runs));
    const time = spreadOf(samples);
    const { kind, layer, batch, flops, bytes } = task;
    return { kind, layer, batch, flops, bytes, time, compileMs: Math.max(0, first - time.median), kernels };
  } finally {
    await runnable.dispose();
  }
}
