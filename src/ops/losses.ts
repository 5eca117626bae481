import { f32Literal as f32 } from '../../shaders/common/literal.js';
import { type NllKind, nllLossGradientShader, nllLossShader } from '../../shaders/nll-loss.wgsl.js';
import { refuse, withDefaults } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import { formatShape, type Shape, sameShape } from '../common/shapes.js';
import { broadcastKernel } from '../kernels/broadcast.js';
import { elementKernel } from '../kernels/elementwise.js';
import { map, scalar, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { checkDtypes } from '../tensor/dtype.js';
import { apply, composed, type Op } from '../tensor/tape.js';
import { type AnyTensor, scope, type Tensor } from '../tensor/tensor.js';
import { softplus } from './activations.js';
import { add, mul, sub } from './binary.js';
import { lossSum } from './loss-sum.js';
import { mean, sum } from './reduce.js';
import { logSoftmax } from './row-softmax.js';
import { checkInputs, checkMinRank, checkPositive, checkSame } from './shape-checks.js';
import { abs, affine, elementwiseOp, neg } from './unary.js';

/** What becomes of the losses of single elements or rows: their mean, their sum, or nothing. */
export type Reduction = 'mean' | 'sum' | 'none';

/** Options of every loss here. */
export interface LossOptions {
  /** Default `'mean'`. */
  reduction?: Reduction;
}

/** The threshold of the Huber loss. */
export interface HuberAttrs {
  delta: number;
}

/** reduction 'mean' divides by the sum of the weights of the labels. */
export interface NllLossAttrs {
  reduction: Reduction;
  /** A label whose rows do not count; null for none. */
  ignoreIndex: number | null;
}

/** @throws ArgumentError */
function checkReduction(op: string, reduction: unknown): void {
  if (reduction !== 'mean' && reduction !== 'sum' && reduction !== 'none') {
    refuse(op, 'reduction', reduction, "'mean', 'sum' or 'none'");
  }
}

/** Inputs x [...,C], labels [...], optional weights [C]. */
function nllLossShape(inputs: readonly Shape[], { reduction, ignoreIndex }: NllLossAttrs): Shape {
  const op = 'nllLoss';
  checkInputs(op, inputs, ['log probabilities', 'labels', 'weight'], 1);
  const [x, labels, weight] = inputs;
  checkMinRank(op, 'log probabilities', x, 1, '[...,C]');
  const classes = x[x.length - 1];
  if (!sameShape(labels, x.slice(0, -1))) {
    throw new ShapeError(
      `${op}: labels have shape ${formatShape(labels)}; expected ${formatShape(x.slice(0, -1))}, one a row of ${formatShape(x)}`,
    );
  }
  if (weight && !sameShape(weight, [classes])) {
    throw new ShapeError(`${op}: weight has shape ${formatShape(weight)}; expected [${classes}], one a class`);
  }
  checkReduction(op, reduction);
  if (ignoreIndex !== null && (ignoreIndex | 0) !== ignoreIndex) {
    refuse(op, 'ignoreIndex', ignoreIndex, 'an integer of 32 bits, or null');
  }
  return reduction === 'none' ? labels : [];
}

const kindOf = ([x, labels, weight]: readonly AnyTensor[], { ignoreIndex }: NllLossAttrs): NllKind => ({
  classes: x.shape[x.shape.length - 1],
  labels: labels.dtype === 'int32' ? 'i32' : 'f32',
  weighted: weight !== undefined,
  ignoreIndex,
});

const nllLossOp: Op<NllLossAttrs> = {
  inputs: ['log probabilities', 'labels', 'weight'],
  shape: nllLossShape,
  dtype([x, labels, ...weight]) {
    checkDtypes('nllLoss', [x, ...weight], ['float32'], ['log probabilities', 'weight']);
    checkDtypes('nllLoss', [labels], ['float32', 'int32'], ['labels']);
    return 'float32';
  },
  forward(inputs, attrs) {
    const { shape } = inputs[1];
    const kernel = elementKernel('nll loss', nllLossShader(kindOf(inputs, attrs)), inputs[1].size);
    return scope(inputs[0].gpu, () => {
      const [losses, counts] = dispatchMany(kernel, inputs, [shape, shape]);
      if (attrs.reduction === 'none') return { output: losses };
      const total = lossSum(losses, 1);
      if (attrs.reduction === 'sum') return { output: total };
      const count = lossSum(counts, 1);
      const output = dispatch(broadcastKernel('mean loss', 'x0 / x1', [[], []], []), [total, count], []);
      return { output, saved: [count] };
    });
  },
  backward({ inputs, saved, attrs, dy }) {
    const [x, ...labels] = inputs;
    const perRow = attrs.reduction === 'none';
    const shader = nllLossGradientShader(kindOf(inputs, attrs), saved.length > 0, perRow);
    const dx = dispatch(elementKernel('nll loss gradient', shader, x.size), [...labels, ...saved, dy], x.shape);
    return [dx, ...labels.map(() => null)];
  },
};

const huberOp = /* @__PURE__ */ elementwiseOp<HuberAttrs>(
  'huber',
  ({ delta }) => ({
    value: `keepNan(select(0.5 * x * x, ${f32(delta)} * (abs(x) - ${f32(delta / 2)}), abs(x) > ${f32(delta)}), x)`,
    derivative: `keepNan(clamp(x, ${f32(-delta)}, ${f32(delta)}), x)`,
  }),
  ({ delta }) => checkPositive('huber', 'delta', delta),
);

export const lossOps = { huber: huberOp, nllLoss: nllLossOp };

function reduced(x: Tensor, reduction: Reduction): Tensor {
  return reduction === 'none' ? x : reduction === 'mean' ? mean(x) : sum(x);
}

/** The losses of the differences of two tensors of one shape. */
function differenceLoss(
  op: string,
  a: Tensor,
  b: Tensor,
  reduction: Reduction,
  lossOf: (difference: Tensor) => Tensor,
): Tensor {
  checkReduction(op, reduction);
  if (a?.shape && b?.shape) checkSame(op, a.shape, b.shape);
  return composed(a, () => reduced(lossOf(sub(a, b)), reduction));
}

/**
 * |a − b|, averaged. Its gradient where a = b is 0.
 * @returns a scalar, or the shape of a for the reduction 'none'
 * @throws ShapeError unless a and b have one shape; ArgumentError
 */
export function l1Loss(a: Tensor, b: Tensor, options?: LossOptions): Tensor {
  const { reduction } = withDefaults<Required<LossOptions>>('l1Loss', options, { reduction: 'mean' });
  return differenceLoss('l1Loss', a, b, reduction, abs);
}

/**
 * ½·d² for d = a − b up to |d| = delta, and the tangent delta·(|d| − ½·delta) beyond, averaged. Huber 1964, Robust estimation of
 * a location parameter.
 * @param options.delta above 0; default 1
 * @returns as `l1Loss`
 * @throws ShapeError unless a and b have one shape; ArgumentError
 */
export function huberLoss(a: Tensor, b: Tensor, options?: LossOptions & { delta?: number }): Tensor {
  const { delta, reduction } = withDefaults<Required<LossOptions> & HuberAttrs>('huberLoss', options, {
    delta: 1,
    reduction: 'mean',
  });
  checkPositive('huberLoss', 'delta', delta);
  return differenceLoss('huberLoss', a, b, reduction, (d) => apply('huber', huberOp, [d], { delta }));
}

/**
 * The Huber loss of the threshold beta, divided by beta: ½·d² / beta for d = a − b up to |d| = beta, |d| − ½·beta beyond, averaged.
 * @param options.beta at least 0, where it is the L1 loss; default 1
 * @returns as `l1Loss`
 * @throws ShapeError unless a and b have one shape; ArgumentError
 */
export function smoothL1Loss(a: Tensor, b: Tensor, options?: LossOptions & { beta?: number }): Tensor {
  const { beta, reduction } = withDefaults<Required<LossOptions> & { beta: number }>('smoothL1Loss', options, {
    beta: 1,
    reduction: 'mean',
  });
  if (beta === 0) return differenceLoss('smoothL1Loss', a, b, reduction, abs);
  checkPositive('smoothL1Loss', 'beta', beta);
  return differenceLoss('smoothL1Loss', a, b, reduction, (d) =>
    affine(apply('huber', huberOp, [d], { delta: beta }), 1 / beta, 0),
  );
}

/**
 * Binary cross-entropy of logits: −(p·y·ln σ(x) + (1 − y)·ln(1 − σ(x))) with p = posWeight, averaged. Computed by softplus, so that no
 * logit of a finite size loses it.
 * @param logits any shape
 * @param targets y, from 0 to 1, of the same shape
 * @param options.posWeight weight of the targets of 1, which broadcasts to the shape of the logits; default 1
 * @returns a scalar, in nats, or the shape of the logits for the reduction 'none'
 * @throws ShapeError, ArgumentError
 */
export function bceWithLogits(
  logits: Tensor,
  targets: Tensor,
  options?: LossOptions & { posWeight?: Tensor | null },
): Tensor {
  const { posWeight, reduction } = withDefaults<Required<LossOptions> & { posWeight: Tensor | null }>(
    'bceWithLogits',
    options,
    { posWeight: null, reduction: 'mean' },
  );
  checkReduction('bceWithLogits', reduction);
  if (logits?.shape && targets?.shape) checkSame('bceWithLogits', logits.shape, targets.shape);
  return composed(logits, () => {
    const positive = mul(targets, softplus(neg(logits)));
    const weighted = posWeight ? mul(positive, posWeight) : positive;
    if (!sameShape(weighted.shape, logits.shape)) {
      throw new ShapeError(`bceWithLogits: posWeight does not broadcast to ${formatShape(logits.shape)}`);
    }
    return reduced(add(weighted, mul(affine(targets, -1, 1), softplus(logits))), reduction);
  });
}

/** Options of losses by label. */
export interface NllLossOptions extends LossOptions {
  /** Weights of the classes, [C]; default 1. They have no gradient. */
  weight?: Tensor | null;
  /** A label whose rows do not count, such as −100; default null, for none. */
  ignoreIndex?: number | null;
}

/**
 * −weight·x at the label of each row of log probabilities, averaged: the mean divides by the sum of the labels' weights. The loss of a
 * label that is no class is NaN.
 *
 * @param logProbabilities [...,C], such as `logSoftmax` gives
 * @param labels [...], integers from 0 to C − 1, as int32 or float32; they have no gradient
 * @returns a scalar, or [...] for the reduction 'none'
 * @throws ShapeError, ArgumentError
 */
export function nllLoss(logProbabilities: Tensor, labels: Tensor<'int32'> | Tensor, options?: NllLossOptions): Tensor {
  const { weight, ...attrs } = nllOptions('nllLoss', options);
  const inputs = [logProbabilities, labels, ...(weight === null ? [] : [weight])];
  return apply('nllLoss', nllLossOp, inputs, attrs);
}

const nllOptions = (op: string, options?: NllLossOptions): Required<NllLossOptions> =>
  withDefaults<Required<NllLossOptions>>(op, options, { weight: null, ignoreIndex: null, reduction: 'mean' });

/**
 * Cross-entropy of labels: `nllLoss` of `logSoftmax`. Where no option is needed, `softmaxCrossEntropy` is faster.
 *
 * @param logits [...,C]
 * @param labels as of `nllLoss`
 * @returns as `nllLoss`, in nats
 * @throws ShapeError, ArgumentError
 */
export function crossEntropy(logits: Tensor, labels: Tensor<'int32'> | Tensor, options?: NllLossOptions): Tensor {
  nllOptions('crossEntropy', options);
  return composed(logits, () => nllLoss(logSoftmax(logits), labels, options));
}

export const huberReference: ReferenceRule<HuberAttrs> = {
  forward: ([x], { delta }) => map(x, (d) => (Math.abs(d) > delta ? delta * (Math.abs(d) - delta / 2) : (d * d) / 2)),
  backward: ([x], _output, dy, { delta }) => [map(dy, (d, i) => d * Math.min(Math.max(x.data[i], -delta), delta))],
};

/** Weight of each row, by its label. */
function rowWeights(labels: Float64Array, weights: Float64Array | undefined, classes: number, ignored: number | null) {
  return labels.map((label) => {
    if (label === ignored) return 0;
    const isClass = label > -1 && label < classes;
    return isClass ? (weights?.[Math.trunc(label)] ?? 1) : Number.NaN;
  });
}

const total = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);

export const nllLossReference: ReferenceRule<NllLossAttrs> = {
  forward([x, labels, weight], { reduction, ignoreIndex }) {
    const classes = x.shape[x.shape.length - 1];
    const weights = rowWeights(labels.data, weight?.data, classes, ignoreIndex);
    const losses = map(labels, (label, row) =>
      label === ignoreIndex ? 0 : -weights[row] * (x.data[row * classes + Math.trunc(label)] ?? Number.NaN),
    );
    if (reduction === 'none') return losses;
    return scalar(total(losses.data) / (reduction === 'mean' ? total(weights) : 1));
  },
  backward([x, labels, weight], _output, dy, { reduction, ignoreIndex }) {
    const classes = x.shape[x.shape.length - 1];
    const weights = rowWeights(labels.data, weight?.data, classes, ignoreIndex);
    const dx = zeros(x.shape);
    labels.data.forEach((label, row) => {
      if (label === ignoreIndex || !(label > -1 && label < classes)) return;
      const each = dy.data[reduction === 'none' ? row : 0] / (reduction === 'mean' ? total(weights) : 1);
      dx.data[row * classes + Math.trunc(label)] = -weights[row] * each;
    });
    return [dx, null, ...(weight ? [null] : [])];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const lossReferences = { huber: huberReference, nllLoss: nllLossReference };
