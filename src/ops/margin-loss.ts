import { checkOptions, refuse } from '../common/arguments.js';
import { checkLossSpec, type LossSpec } from '../common/loss-spec.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { marginLossShape } from '../common/op-shapes.js';
import { addKernel } from '../kernels/elementwise.js';
import { chooseRows } from '../kernels/normalize.js';
import { additiveMargin, chooseSoftmax, type Margin } from '../kernels/softmax.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { type MatmulOptions, matmulOp } from './matmul.js';
import { normalizeRows, normalizeRowsGradient, type RowChoice } from './normalize.js';
import {
  crossEntropy,
  crossEntropyGradient,
  crossEntropyLengthGradient,
  type ScoredRows,
  type SoftmaxChoice,
} from './softmax.js';

/** For tests and benches: other kernels than the chosen ones. */
export interface MarginLossKernels {
  rows?: RowChoice;
  softmax?: SoftmaxChoice;
  matmul?: MatmulOptions;
}

const EPS = 1e-12;

type Attrs = OpAttrs['marginLoss'];

/** Whether a loss looks at the direction of embeddings alone, and at that of the weights: at their unit vectors. */
const unitsOf = (loss: Attrs['loss']): { x: boolean; w: boolean } => ({
  x: loss !== 'softmax' && loss !== 'sphereface',
  w: loss !== 'softmax',
});

/** The margin as the kernels of the softmax rows take it, checked in each run of a recorded step, since it may change. */
function marginOf(attrs: Attrs): Margin {
  const { loss, s, m, lambda } = attrs;
  checkLossSpec('marginLoss', { loss, s, m, lambda });
  switch (loss) {
    case 'cosface':
      return additiveMargin(s, m);
    case 'normface':
      return additiveMargin(s, 0);
    case 'softmax':
      return additiveMargin(1, 0);
    case 'arcface':
      return { form: { form: 'angular' }, s, a: Math.cos(m), b: Math.sin(m), am: m * Math.sin(m) };
    case 'sphereface':
      return { form: { form: 'multiplicative', m: m as 1 | 2 | 3 | 4 }, s: 1, a: 0, b: lambda, am: 0 };
  }
}

/**
 * The operation. Scale and margin are applied where the softmax reads the scores, so that beside these, [B, classes],
 * nothing of that size is made: neither logits nor one-hot labels.
 */
export function marginLossOp({
  rows = chooseRows,
  softmax = chooseSoftmax,
  matmul,
}: MarginLossKernels = {}): Op<Attrs> {
  const { forward } = matmulOp(matmul);
  const multiply = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, shape: readonly number[]) =>
    forward([a, b], { transposeA, transposeB }, shape).output;
  const scored = (scores: Tensor, labels: Tensor, x: Tensor, { loss }: Attrs): ScoredRows =>
    loss === 'sphereface' ? { scores, labels, features: x } : { scores, labels };
  return {
    inputs: ['embeddings', 'weights', 'labels'],
    shape: marginLossShape,
    forward([x, w, labels], attrs) {
      return scope(x.gpu, () => {
        const unit = unitsOf(attrs.loss);
        const embeddings = unit.x ? normalizeRows(x, EPS, rows) : x;
        const weights = unit.w ? normalizeRows(w, EPS, rows) : w;
        const scores = multiply(embeddings, weights, false, true, [x.shape[0], w.shape[0]]);
        const { loss, totals } = crossEntropy(scored(scores, labels, x, attrs), () => marginOf(attrs), softmax);
        const units = [...(unit.x ? [embeddings] : []), ...(unit.w ? [weights] : [])];
        return { output: loss, saved: [scores, totals, ...units] };
      });
    },
    backward({ inputs: [x, w, labels], saved: [scores, totals, ...units], attrs, dy, needs }) {
      return scope(x.gpu, () => {
        const unit = unitsOf(attrs.loss);
        const embeddings = unit.x ? units[0] : x;
        const weights = unit.w ? units[units.length - 1] : w;
        const margin = () => marginOf(attrs);
        const row = scored(scores, labels, x, attrs);
        const dScores = crossEntropyGradient(row, totals, dy, margin, softmax);
        const dx = (): Tensor => {
          const gradient = multiply(dScores, weights, false, false, x.shape);
          if (unit.x) return normalizeRowsGradient(x, gradient, EPS, rows);
          if (!row.features) return gradient;
          const byLength = crossEntropyLengthGradient({ ...row, features: x }, totals, dy, margin, softmax);
          return dispatch(addKernel(x.size), [gradient, byLength], x.shape);
        };
        const dw = (): Tensor => {
          const gradient = multiply(dScores, embeddings, true, false, w.shape);
          return unit.w ? normalizeRowsGradient(w, gradient, EPS, rows) : gradient;
        };
        return [needs[0] ? dx() : null, needs[1] ? dw() : null, null];
      });
    },
  };
}

export const marginLossOps = { marginLoss: /* @__PURE__ */ marginLossOp() };

/** The numbers of a loss as functions are called anew in each run of a recorded step. */
export type LossSchedule = Pick<LossSpec, 'loss'> & { [K in 's' | 'm' | 'lambda']?: number | (() => number) };

/**
 * A loss for training recognisers: mean over the batch of the softmax cross-entropy of logits that make the label's class
 * harder. With θ the angle between embedding x and the weights of a class:
 * - cosface: s·(cos θ − m) for the label, s·cos θ else. Wang et al. 2018, arXiv 1801.09414, eq. 4.
 * - arcface: s·cos(θ + m), and s·(cos θ − m·sin m) where θ + m > π. Deng et al. 2019, arXiv 1801.07698, eq. 3.
 * - sphereface: ‖x‖·(λ·cos θ + ψ(θ))/(1 + λ), ψ(θ) = (−1)^k·cos(mθ) − 2k, and ‖x‖·cos θ else. Liu et al. 2017, arXiv
 *   1704.08063, eq. 7 and its appendix.
 * - normface: s·cos θ. Wang et al. 2017, arXiv 1704.06369.
 * - softmax: the inner product of embedding and weights, without bias.
 *
 * @param embeddings [B,D]
 * @param weights [classes,D]
 * @param labels [B], from `labelsTensor`; they have no gradient
 * @param spec defaults s = 64, m = 0.35 (arcface 0.5, sphereface 4), λ = 0; sphereface's m is fixed in a recorded step
 * @returns a scalar, in nats
 * @throws ShapeError, ArgumentError
 */
export function marginLoss(embeddings: Tensor, weights: Tensor, labels: Tensor, spec: LossSchedule): Tensor {
  const current = (value: number | (() => number)): number => (typeof value === 'function' ? value() : value);
  if (spec === undefined) refuse('marginLoss', 'spec', spec, 'an object with a loss');
  checkOptions('marginLoss', spec, ['loss', 's', 'm', 'lambda']);
  const { loss, s = 64, m = { arcface: 0.5, sphereface: 4 }[loss as string] ?? 0.35, lambda = 0 } = spec;
  return apply('marginLoss', marginLossOps.marginLoss, [embeddings, weights, labels], {
    loss,
    get s() {
      return current(s);
    },
    get m() {
      return current(m);
    },
    get lambda() {
      return current(lambda);
    },
  });
}
