import { checkOptions, refuse } from '../common/arguments.js';
import { ArgumentError, ShapeError } from '../common/errors.js';
import { formatShape, type Shape } from '../common/shapes.js';
import { addKernel } from '../kernels/elementwise.js';
import { map, type NdArray, scalar, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { checkFloat32 } from './float32-constants.js';
import { type MatmulOptions, matmulOp, multiplyReference } from './matmul/matmul.js';
import { chooseRows, normalizeRows, normalizeRowsGradient, type RowChoice } from './normalize.js';
import { checkInputs, checkLabels, checkRank } from './shape-checks.js';
import {
  additiveMargin,
  chooseSoftmax,
  crossEntropyGradient,
  crossEntropyGradientReference,
  crossEntropyLengthGradient,
  crossEntropyReference,
  type Margin,
  meanCrossEntropy,
  type ScoredRows,
  type SoftmaxChoice,
} from './softmax.js';

/** Losses that train a recogniser on identity labels: see `marginLoss`. */
export const LOSSES = ['cosface', 'arcface', 'sphereface', 'normface', 'softmax'] as const;

export interface LossSpec {
  loss: (typeof LOSSES)[number];
  /** Scale of the logits; not used by sphereface (there it is the embedding's length) and softmax. */
  scale: number;
  /**
   * Margin: of the cosine (cosface), of the angle in radians (arcface, 0 to π/2), or the factor of the angle (sphereface: 1,
   * 2, 3 or 4). Not used by normface and softmax.
   */
  margin: number;
  /** sphereface: weight of cos θ relative to ψ(θ), as in its annealing; 0 is the loss itself. */
  lambda: number;
}

/** Scale and margin by their old names, which the new names override. */
export interface OldMarginNames {
  /** @deprecated Use `scale`. */
  s?: number;
  /** @deprecated Use `margin`. */
  m?: number;
}

/** @throws ArgumentError that names the value that is out of range */
export function checkLossSpec(where: string, { loss, scale, margin, lambda }: LossSpec): void {
  const fail = (name: string, value: unknown, expected: string): never => {
    throw new ArgumentError(`${where}: ${name} is ${value}; expected ${expected}`);
  };
  if (!LOSSES.includes(loss)) fail('loss', loss, LOSSES.join(', '));
  checkFloat32(where, 'scale', scale, 0, true);
  checkFloat32(where, 'lambda', lambda, 0);
  if (loss === 'sphereface' && ![1, 2, 3, 4].includes(margin)) fail('margin', margin, '1, 2, 3 or 4 for sphereface');
  // Above about 2.33 the logit would jump up where θ + m passes π.
  if (loss === 'arcface' && !(margin >= 0 && margin <= Math.PI / 2)) {
    fail('margin', margin, 'an angle from 0 to π/2 for arcface');
  }
  checkFloat32(where, 'margin', margin, 0);
}

export function marginLossShape(inputs: readonly Shape[], attrs: LossSpec): number[] {
  checkLabelledEmbeddings('marginLoss', inputs);
  checkLossSpec('marginLoss', attrs);
  return [];
}

export function checkLabelledEmbeddings(op: string, inputs: readonly Shape[]): void {
  checkInputs(op, inputs, ['embeddings', 'weights', 'labels']);
  const [x, w, labels] = inputs;
  checkRank(op, 'embeddings', x, 2, '[B,D]');
  checkRank(op, 'weights', w, 2, '[classes,D]');
  if (x[1] !== w[1]) {
    throw new ShapeError(
      `${op}: embeddings ${formatShape(x)} have ${x[1]} dimensions, weights ${formatShape(w)} ${w[1]}`,
    );
  }
  checkLabels(op, labels, x[0], 'embeddings');
}

/** For tests and benches: kernels instead of the chosen ones. */
export interface MarginLossKernels {
  rows?: RowChoice;
  softmax?: SoftmaxChoice;
  matmul?: MatmulOptions;
}

const EPS = 1e-12;

/** Whether a loss uses only the directions of embeddings and weights, as unit vectors. */
const unitsOf = (loss: LossSpec['loss']): { x: boolean; w: boolean } => ({
  x: loss !== 'softmax' && loss !== 'sphereface',
  w: loss !== 'softmax',
});

/** The margin as the kernels of the softmax rows take it, checked in each run of a recorded step, since it may change. */
function marginOf(attrs: LossSpec): Margin {
  const { loss, scale: s, margin: m, lambda } = attrs;
  checkLossSpec('marginLoss', { loss, scale: s, margin: m, lambda });
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
 * The operation. Scale and margin are applied where the softmax reads the scores, so that besides the scores, [B, classes],
 * nothing of that size is made: no logits and no one-hot labels.
 */
export function marginLossOp({
  rows = chooseRows,
  softmax = chooseSoftmax,
  matmul,
}: MarginLossKernels = {}): Op<LossSpec> {
  const { forward } = matmulOp(matmul);
  const multiply = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, shape: readonly number[]) =>
    forward([a, b], { transposeA, transposeB }, shape).output;
  const scored = (scores: Tensor, labels: Tensor, x: Tensor, { loss }: LossSpec): ScoredRows =>
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
        const { loss, totals } = meanCrossEntropy(scored(scores, labels, x, attrs), () => marginOf(attrs), softmax);
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

/** Functions for the numbers of a loss are called in each run of a recorded step. */
export type LossSchedule = Pick<LossSpec, 'loss'> & {
  [K in keyof OldMarginNames | 'scale' | 'margin' | 'lambda']?: number | (() => number);
};

/**
 * A loss for training recognisers: the mean over the batch of the softmax cross-entropy of logits, with a margin that makes the
 * label's class harder. With θ the angle between embedding x and the weights of a class:
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
 * @param spec scale s, margin m, λ: 64, 0.35 (arcface 0.5, sphereface 4) and 0 by default; sphereface's margin is fixed in a
 * recorded step; `s` and `m` are older names of `scale` and `margin`
 * @returns a scalar, in nats
 * @throws ShapeError, ArgumentError
 */
export function marginLoss(embeddings: Tensor, weights: Tensor, labels: Tensor, spec: LossSchedule): Tensor {
  const current = (value: number | (() => number)): number => (typeof value === 'function' ? value() : value);
  if (spec === undefined) refuse('marginLoss', 'spec', spec, 'an object with a loss');
  checkOptions('marginLoss', spec, ['loss', 'scale', 'margin', 'lambda', 's', 'm']);
  const { loss, s = 64, m = { arcface: 0.5, sphereface: 4 }[loss as string] ?? 0.35, lambda = 0 } = spec;
  const { scale = s, margin = m } = spec;
  return apply('marginLoss', marginLossOps.marginLoss, [embeddings, weights, labels], {
    loss,
    get scale() {
      return current(scale);
    },
    get margin() {
      return current(margin);
    },
    get lambda() {
      return current(lambda);
    },
  });
}

const norms = (x: NdArray): number[] =>
  Array.from({ length: x.shape[0] }, (_, row) =>
    Math.max(Math.hypot(...x.data.subarray(row * x.shape[1], (row + 1) * x.shape[1])), 1e-12),
  );

const divided = (x: NdArray, lengths: readonly number[]): NdArray =>
  map(x, (value, i) => value / lengths[Math.floor(i / x.shape[1])]);

/** Below it the derivative by cos θ is that at this sine, as the label's logit has a pole there. */
const MIN_SINE = 1e-3;

/** The label's logit as a multiple of the scale, as a function of cos θ, and its derivative. */
function labelFunction({ loss, margin: m, lambda }: LossSpec, cosine: number): { value: number; derivative: number } {
  const theta = Math.acos(Math.max(-1, Math.min(1, cosine)));
  if (loss === 'cosface') return { value: cosine - m, derivative: 1 };
  if (loss === 'arcface') {
    if (theta + m >= Math.PI) return { value: cosine - m * Math.sin(m), derivative: 1 };
    const sine = Math.max(Math.sin(theta), MIN_SINE);
    return { value: Math.cos(theta + m), derivative: Math.cos(m) + (cosine * Math.sin(m)) / sine };
  }
  if (loss === 'sphereface') {
    const k = Math.min(m - 1, Math.floor((m * theta) / Math.PI));
    const sign = k % 2 === 0 ? 1 : -1;
    const psi = sign * Math.cos(m * theta) - 2 * k;
    // d cos(mθ) / d cos θ = m·sin(mθ) / sin θ, which tends to ±m² at the ends.
    const sine = Math.sin(theta);
    const slope = sine > 1e-9 ? (m * Math.sin(m * theta)) / sine : m * m * (cosine > 0 || m % 2 === 1 ? 1 : -1);
    return { value: (lambda * cosine + psi) / (1 + lambda), derivative: (lambda + sign * slope) / (1 + lambda) };
  }
  return { value: cosine, derivative: 1 };
}

interface Scored {
  /** Lengths that embeddings and weights are divided by; 1 for softmax, which does not use angles. */
  lengthsX: number[];
  lengthsW: number[];
  units: NdArray;
  weights: NdArray;
  cosines: NdArray;
  logits: NdArray;
  /** Factor of each row's logits: s, or ‖x‖. */
  scales: number[];
}

function score([x, w, labels]: readonly NdArray[], attrs: LossSpec): Scored {
  const plain = attrs.loss === 'softmax';
  const lengthsX = plain ? new Array(x.shape[0]).fill(1) : norms(x);
  const lengthsW = plain ? new Array(w.shape[0]).fill(1) : norms(w);
  const [units, weights] = [divided(x, lengthsX), divided(w, lengthsW)];
  const cosines = multiplyReference(units, weights, false, true);
  const scales = lengthsX.map((length) => (attrs.loss === 'sphereface' ? length : plain ? 1 : attrs.scale));
  const classes = w.shape[0];
  const logits = map(cosines, (cosine, i) => {
    const row = Math.floor(i / classes);
    const isLabel = i % classes === labels.data[row];
    return scales[row] * (isLabel ? labelFunction(attrs, cosine).value : cosine);
  });
  return { lengthsX, lengthsW, units, weights, cosines, logits, scales };
}

/** The gradient through v / ‖v‖: the part of dy across the unit vector, over the length. */
function throughUnit(units: NdArray, lengths: readonly number[], dy: NdArray): NdArray {
  const size = units.shape[1];
  const result = zeros(units.shape);
  lengths.forEach((length, row) => {
    let along = 0;
    for (let d = 0; d < size; d++) along += units.data[row * size + d] * dy.data[row * size + d];
    for (let d = 0; d < size; d++) {
      const i = row * size + d;
      result.data[i] = (dy.data[i] - along * units.data[i]) / length;
    }
  });
  return result;
}

export const marginLossReference: ReferenceRule<LossSpec> = {
  forward: (inputs, attrs) => scalar(crossEntropyReference('marginLoss', score(inputs, attrs).logits, inputs[2]).loss),
  backward(inputs, _output, dy, attrs) {
    const [, w, labels] = inputs;
    const { lengthsX, lengthsW, units, weights, cosines, logits, scales } = score(inputs, attrs);
    const classes = w.shape[0];
    const dLogits = crossEntropyGradientReference('marginLoss', logits, labels, dy);
    const dCosines = map(dLogits, (d, i) => {
      const row = Math.floor(i / classes);
      const isLabel = i % classes === labels.data[row];
      return d * scales[row] * (isLabel ? labelFunction(attrs, cosines.data[i]).derivative : 1);
    });
    const [dUnits, dWeights] = [multiplyReference(dCosines, weights), multiplyReference(dCosines, units, true)];
    if (attrs.loss === 'softmax') return [dUnits, dWeights, null];
    const dx = throughUnit(units, lengthsX, dUnits);
    if (attrs.loss === 'sphereface') {
      const size = units.shape[1];
      lengthsX.forEach((_, row) => {
        let byLength = 0;
        for (let c = 0; c < classes; c++) {
          const i = row * classes + c;
          byLength += (dLogits.data[i] * logits.data[i]) / scales[row];
        }
        for (let d = 0; d < size; d++) dx.data[row * size + d] += byLength * units.data[row * size + d];
      });
    }
    return [dx, throughUnit(weights, lengthsW, dWeights), null];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const marginLossReferences = { marginLoss: marginLossReference };
