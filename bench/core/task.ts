import type { Gpu } from '../../src/gpu/gpu.js';
import { prepareEngine } from './engine.js';
import type { Runnable } from './runnable.js';
import { compulsoryBytes, type Kind, operands, type Work } from './work.js';

/** Kinds that are measured for our engine alone. Peers are compared in `KINDS` (work.ts). */
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
  /** Pictures per batch. */
  batch: number;
  /** Floating-point operations, of which a multiply-add is two; 0 for a task that only moves data. */
  flops: number;
  /** Bytes that any implementation must at least move. */
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
