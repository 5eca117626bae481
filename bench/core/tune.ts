import type { Gpu } from '../../src/gpu/gpu.js';
import { tuneConv } from '../../src/ops/conv/tune.js';
import type { Task } from './task.js';

/**
 * Measures the candidate kernels for each convolution of the tasks, and keeps the fastest in `gpu.tuning`. Choices that were
 * measured before stay.
 * @param onTuned called after each choice, so that the caller can save the choices
 * @returns the number of choices that were measured now
 */
export async function tuneTasks(gpu: Gpu, tasks: readonly Task[], onTuned: () => void): Promise<number> {
  let measured = 0;
  for (const task of tasks) {
    const runnable = task.prepare(gpu);
    const requests = gpu.tuning.collect(() => void runnable.run());
    await runnable.dispose();
    await gpu.sync();
    for (const request of requests) {
      if (gpu.tuning.has(request) || !(await tuneConv(gpu, request))) continue;
      measured++;
      onTuned();
    }
  }
  return measured;
}
