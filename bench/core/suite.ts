import type { Gpu } from '../../src/gpu/gpu.js';
import { type BenchLayer, COSFACE, normShapes } from '../layers.js';
import { type AblatedLayer, ablateLayers } from './ablation.js';
import { type Ceilings, measureCeilings } from './ceilings.js';
import { type Measurement, measureTask } from './measure.js';
import { measureNetworks, type NetworkResult } from './networks.js';
import { cosFaceTasks, normTasks } from './own-tasks.js';
import { plausibleTimer } from './pass-timer.js';
import { type Task, taskOf } from './task.js';
import { allWorks } from './work.js';

/** Every task of the bench, in the order of the report. */
export function allTasks(layers: readonly BenchLayer[], batches: readonly number[]): Task[] {
  return batches.flatMap((batch) => [
    ...allWorks(layers, batch).map(taskOf),
    ...normShapes().flatMap((shape) => normTasks(shape, batch)),
    ...cosFaceTasks(COSFACE, batch),
  ]);
}

export interface SuiteOptions {
  tasks: readonly Task[];
  batches: readonly number[];
  /** Milliseconds to spend on each task. */
  budget: number;
  networks: boolean;
  onMeasurement(measurement: Measurement, ceilings: Ceilings): void;
}

export interface SuiteResult {
  clock: 'timestamps' | 'wall';
  ceilings: Ceilings;
  measurements: Measurement[];
  networks: NetworkResult[];
  ablations: AblatedLayer[];
}

/** Measures ceilings, tasks and, if asked to, whole networks. It runs in Node and in browsers. */
export async function runSuite(gpu: Gpu, options: SuiteOptions): Promise<SuiteResult> {
  const { tasks, batches, budget, networks, onMeasurement } = options;
  const ceilings = await measureCeilings(gpu);
  const timer = await plausibleTimer(gpu);
  const measurements: Measurement[] = [];
  try {
    for (const task of tasks) {
      const measurement = await measureTask(gpu, task, timer, budget);
      measurements.push(measurement);
      onMeasurement(measurement, ceilings);
    }
  } finally {
    timer?.dispose();
  }
  const networkResults: NetworkResult[] = [];
  if (networks) for (const batch of batches) networkResults.push(...(await measureNetworks(gpu, batch, 4 * budget)));
  return {
    clock: timer ? 'timestamps' : 'wall',
    ceilings,
    measurements,
    networks: networkResults,
    ablations: networks ? await ablateLayers(gpu, Math.max(...batches)) : [],
  };
}
