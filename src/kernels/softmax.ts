import { softmaxGradientShader, softmaxPartialsShader, softmaxTotalsShader } from '../../shaders/softmax.wgsl.js';
import type { Kernel, KernelLimits } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** How rows of logits are walked: `slots` invocations a row, at most one a class. */
export interface SoftmaxConfig {
  readonly rows: number;
  readonly classes: number;
  readonly slots: number;
}

/** Enough invocations to fill the device, with several classes each but no long sums of like terms. */
export function chooseSoftmax(rows: number, classes: number, limits: KernelLimits): SoftmaxConfig {
  const wanted = Math.ceil((limits.software ? 2048 : 2 ** 16) / rows);
  return { rows, classes, slots: Math.max(Math.ceil(classes / 64), Math.min(wanted, Math.ceil(classes / 8))) };
}

/** The plainest way: one invocation a row. */
export function naiveSoftmax(rows: number, classes: number): SoftmaxConfig {
  return { rows, classes, slots: 1 };
}

/** Scale of the logits, and what is taken off the label's before it: see `shaders/softmax.wgsl.ts`. */
export interface Margin {
  readonly s: number;
  readonly m: number;
}

/** The uniform of all kernels here. */
export function softmaxScalars({ rows, classes, slots }: SoftmaxConfig, { s, m }: Margin): ArrayBuffer {
  const scalars = new ArrayBuffer(32);
  new Uint32Array(scalars).set([rows, classes, slots]);
  new Float32Array(scalars, 12).set([s, m]);
  return scalars;
}

/** Bindings scores, labels, partials [rows, slots, 2]. */
export function softmaxPartialsKernel({ rows, slots }: SoftmaxConfig): Kernel {
  return {
    label: 'softmax partials',
    wgsl: softmaxPartialsShader(),
    bindings: 'rrwu',
    workgroups: elementGrid(rows * slots),
  };
}

/** Bindings scores, labels, partials, totals [rows, 2], losses [rows]. */
export function softmaxTotalsKernel({ rows }: SoftmaxConfig): Kernel {
  return { label: 'softmax totals', wgsl: softmaxTotalsShader(), bindings: 'rrrwwu', workgroups: elementGrid(rows) };
}

/** Bindings scores, labels, totals, dy, dScores. */
export function softmaxGradientKernel({ rows, slots }: SoftmaxConfig): Kernel {
  return {
    label: 'softmax gradient',
    wgsl: softmaxGradientShader(),
    bindings: 'rrrrwu',
    workgroups: elementGrid(rows * slots),
  };
}
