import type { Gpu } from '../../src/gpu/gpu.js';
import type { PassTimer } from './pass-timer.js';
import { type Spread, spreadOf } from './statistics.js';
import type { Task, TaskKind } from './task.js';

export interface Measurement {
  kind: TaskKind;
  layer: string;
  flops: number;
  bytes: number;
  /** Milliseconds a run. */
  time: Spread;
  /** Time of the first run beyond that of a usual one: building the pipelines. */
  compileMs: number;
  /** Labels of the kernels that ran, in order. */
  kernels: string[];
}

/** The labels of what a body dispatches. */
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
 * @param timer the device's timestamps, or null to go by the clock on the wall
 * @param budget milliseconds to spend on samples
 */
export async function measureTask(gpu: Gpu, task: Task, timer: PassTimer | null, budget: number): Promise<Measurement> {
  const runnable = task.prepare(gpu);
  try {
    await gpu.sync();
    const began = performance.now();
    const kernels = kernelsOf(gpu, runnable.run);
    await runnable.finish();
    const first = performance.now() - began;

    const sample = async (runs: number): Promise<number> => {
      timer?.start();
      const start = performance.now();
      for (let k = 0; k < runs; k++) runnable.run();
      await runnable.finish();
      const wall = performance.now() - start;
      const stamped = timer ? await timer.stop() : wall;
      if (stamped === null) throw new Error(`${task.kind}, ${task.layer}: the device's timestamps run back`);
      return stamped / runs;
    };
    // Pools and caches fill up here; it also says how many runs make a sample long enough to trust.
    const once = await sample(1);
    const samples: number[] = [];
    if (once < budget) {
      const runs = Math.max(1, Math.min(50, Math.floor(budget / 9 / Math.max(once, 0.01))));
      const wanted = Math.max(3, Math.min(9, Math.floor(budget / (once * runs))));
      while (samples.length < wanted) samples.push(await sample(runs));
    } else {
      samples.push(once);
    }
    const time = spreadOf(samples);
    const { kind, layer, flops, bytes } = task;
    return { kind, layer, flops, bytes, time, compileMs: Math.max(0, first - time.median), kernels };
  } finally {
    runnable.dispose();
  }
}
