import { ArgumentError } from '../common/errors.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { addKernel } from '../kernels/elementwise.js';
import { chooseRows } from '../kernels/normalize.js';
import { additiveMargin, chooseSoftmax, type Margin } from '../kernels/softmax.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import type { CosFaceKernels } from './cosface.js';
import { matmulOp } from './matmul.js';
import { normalizeRows, normalizeRowsGradient } from './normalize.js';
import { crossEntropy, crossEntropyGradient, crossEntropyLengthGradient, type ScoredRows } from './softmax.js';

const EPS = 1e-12;

type Attrs = OpAttrs['marginLoss'];

/** The margin as the kernels of the softmax rows take it. */
function marginOf({ loss, s, m, lambda }: Attrs): Margin {
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

/** The operation; a building block as in `cosFaceOp`. Beside the scores, [B, classes], nothing of that size is made. */
export function marginLossOp({ rows = chooseRows, softmax = chooseSoftmax, matmul }: CosFaceKernels = {}): Op<Attrs> {
  const { forward } = matmulOp(matmul);
  const multiply = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, shape: readonly number[]) =>
    forward([a, b], { transposeA, transposeB }, shape).output;
  const normalized = (x: Tensor): Tensor => normalizeRows(x, EPS, rows);
  const scored = (scores: Tensor, labels: Tensor, x: Tensor, attrs: Attrs): ScoredRows =>
    attrs.loss === 'sphereface' ? { scores, labels, features: x } : { scores, labels };
  return {
    forward([x, w, labels], attrs) {
      return scope(x.gpu, () => {
        const unitX = attrs.loss !== 'softmax' && attrs.loss !== 'sphereface';
        const embeddings = unitX ? normalized(x) : x;
        const weights = attrs.loss === 'softmax' ? w : normalized(w);
        const scores = multiply(embeddings, weights, false, true, [x.shape[0], w.shape[0]]);
        const { loss, totals } = crossEntropy(scored(scores, labels, x, attrs), () => marginOf(attrs), softmax);
        return { output: loss, saved: [embeddings, weights, scores, totals].filter((t) => t !== x && t !== w) };
      });
    },
    backward({ inputs: [x, w, labels], saved, attrs, dy, needs }) {
      return scope(x.gpu, () => {
        const { loss } = attrs;
        const rest = [...saved];
        const embeddings = loss === 'softmax' || loss === 'sphereface' ? x : rest.shift()!;
        const weights = loss === 'softmax' ? w : rest.shift()!;
        const [scores, totals] = rest;
        const margin = () => marginOf(attrs);
        const row = scored(scores, labels, x, attrs);
        const dScores = crossEntropyGradient(row, totals, dy, margin, softmax);
        const dx = (): Tensor => {
          const gradient = multiply(dScores, weights, false, false, x.shape);
          if (loss === 'softmax') return gradient;
          if (loss !== 'sphereface') return normalizeRowsGradient(x, gradient, EPS, rows);
          const byLength = crossEntropyLengthGradient({ ...row, features: x }, totals, dy, margin, softmax);
          return dispatch(addKernel(x.size), [gradient, byLength], x.shape);
        };
        const dw = (): Tensor => {
          const gradient = multiply(dScores, embeddings, true, false, w.shape);
          return loss === 'softmax' ? gradient : normalizeRowsGradient(w, gradient, EPS, rows);
        };
        return [needs[0] ? dx() : null, needs[1] ? dw() : null, null];
      });
    },
  };
}

export const marginLossOps = { marginLoss: marginLossOp() };

/** Losses that train a recogniser on identity labels. */
export const LOSSES = ['cosface', 'arcface', 'sphereface', 'normface', 'softmax'] as const;

export interface LossSpec {
  loss: (typeof LOSSES)[number];
  /** Scale of the logits; not used by sphereface (there it is the embedding's length) and softmax. */
  s: number;
  /**
   * Margin: of the cosine (cosface), of the angle in radians (arcface, 0 to π/2), or the factor of the angle (sphereface: 1,
   * 2, 3 or 4). Not used by normface and softmax.
   */
  m: number;
  /** sphereface: weight of cos θ beside ψ(θ), as in its annealing; 0 is the loss itself. */
  lambda: number;
}

/** @throws ArgumentError that names the value that is out of range */
export function checkLossSpec(where: string, { loss, s, m, lambda }: LossSpec): void {
  const fail = (name: string, value: unknown, expected: string): never => {
    throw new ArgumentError(`${where}: ${name} is ${value}; expected ${expected}`);
  };
  if (!LOSSES.includes(loss)) fail('loss', loss, LOSSES.join(', '));
  if (!(s > 0) || s === Infinity) fail('s', s, 'a positive number');
  if (!(lambda >= 0) || lambda === Infinity) fail('lambda', lambda, 'a number of at least 0');
  if (loss === 'sphereface' && ![1, 2, 3, 4].includes(m)) fail('m', m, '1, 2, 3 or 4 for sphereface');
  if (loss === 'arcface' && !(m >= 0 && m <= Math.PI / 2)) fail('m', m, 'an angle from 0 to π/2 for arcface');
  if (!(m >= 0) || m === Infinity) fail('m', m, 'a number of at least 0');
}

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
