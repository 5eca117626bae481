import type { MarginForm } from '../../shaders/common/margin.js';
import {
  softmaxGradientShader,
  softmaxLengthGradientShader,
  softmaxPartialsShader,
  softmaxPlan,
  softmaxTotalsShader,
} from '../../shaders/softmax.wgsl.js';
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

/** Scale of the logits, and the numbers of the margin's form: see `shaders/common/margin.ts`. */
export interface Margin {
  readonly form: MarginForm;
  readonly s: number;
  readonly a: number;
  readonly b: number;
  readonly am: number;
}

/** s·(score − m) for the label. */
export const additiveMargin = (s: number, m: number): Margin => ({ form: { form: 'additive' }, s, a: m, b: 0, am: 0 });

/** The uniform of all kernels here. @param size values of an embedding, where the margin needs its length */
export function softmaxScalars(
  { rows, classes, slots }: SoftmaxConfig,
  { s, a, b, am }: Margin,
  size = 0,
): ArrayBuffer {
  return softmaxPlan.pack({ rows, classes, slots, size, s, a, b, am });
}

/** Bindings scores, labels, the embeddings for a multiplicative margin, partials [rows, slots, 2]. */
export function softmaxPartialsKernel({ rows, slots }: SoftmaxConfig, margin: MarginForm): Kernel {
  return {
    label: 'softmax partials',
    ...softmaxPartialsShader(margin),
    workgroups: elementGrid(rows * slots),
  };
}

/** Bindings scores, labels, (embeddings,) partials, totals [rows, 2], losses [rows]. */
export function softmaxTotalsKernel({ rows }: SoftmaxConfig, margin: MarginForm): Kernel {
  return {
    label: 'softmax totals',
    ...softmaxTotalsShader(margin),
    workgroups: elementGrid(rows),
  };
}

/** Bindings scores, labels, (embeddings,) totals, dy, dScores. */
export function softmaxGradientKernel({ rows, slots }: SoftmaxConfig, margin: MarginForm): Kernel {
  return {
    label: 'softmax gradient',
    ...softmaxGradientShader(margin),
    workgroups: elementGrid(rows * slots),
  };
}

/** Bindings scores, labels, embeddings, totals, dy, dEmbeddings. */
export function softmaxLengthGradientKernel(
  { rows }: SoftmaxConfig,
  margin: MarginForm & { form: 'multiplicative' },
): Kernel {
  return {
    label: 'softmax length gradient',
    ...softmaxLengthGradientShader(margin),
    workgroups: elementGrid(rows),
  };
}
