import type { Gpu } from '../../src/gpu/gpu.js';
import { prepareEngine } from './engine.js';
import type { Runnable } from './runnable.js';
import { compulsoryBytes, type Kind, operands, type Work } from './work.js';

/** Kinds that only the engine's own figures have, beside those that peers are compared in. */
export const OWN_KINDS = [
  'batch norm + PReLU forward',
  'batch norm + PReLU backward',
  'CosFace forward',
  'CosFace backward',
] as const;
export type TaskKind = Kind | (typeof OWN_KINDS)[number];

/** One computation of the engine to measure. */
export interface Task {
  kind: TaskKind;
  layer: string;
  /** Pictures. */
  batch: number;
  /** Floating-point operations, a multiply-add counted as two; 0 where moving data is all the work. */
  flops: number;
  /** Bytes that any implementation moves at least. */
  bytes: number;
  prepare(gpu: Gpu): Runnable;
}

export function taskOf(work: Work): Task {
  return {
    kind: work.kind,
    layer: work.layer,
    batch: work.batch,
    flops: 2 * work.multiplyAdds,
    bytes: compulsoryBytes(work),
    prepare: (gpu) => prepareEngine(gpu, work, operands(work, gpu.limits.precision)),
  };
}
