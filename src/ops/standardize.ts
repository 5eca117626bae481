import { f32Literal as f32 } from '../../shaders/common/literal.js';
import { refuse, withDefaults } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import {
  broadcastShapes,
  broadcastStrides,
  formatShape,
  normalizeAxes,
  reducedShape,
  type Shape,
  sameShape,
  sizeOf,
} from '../common/shapes.js';
import { broadcastKernel } from '../kernels/broadcast.js';
import { gatherAt, map, type NdArray, scatterAdd, stridedOffsets, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, composed, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { add, mul } from './binary.js';
import { reshape } from './layout.js';
import { sumPool1d } from './pool/pool.js';
import { constantPower } from './power.js';
import { sumOver } from './reduce.js';
import { checkFinite, checkInputs, checkIntegers, checkPositive } from './shape-checks.js';
import { affine, square } from './unary.js';

/** (x − mean) / √(variance + epsilon) over the axes; without the centre, x / √(mean of x² + epsilon). */
export interface StandardizeAttrs {
  axes: readonly number[];
  epsilon: number;
  centred: boolean;
}

function standardizeShape(inputs: readonly Shape[], { axes, epsilon }: StandardizeAttrs): Shape {
  checkInputs('standardize', inputs, ['input']);
  normalizeAxes(axes, inputs[0].length, 'standardize');
  checkPositive('standardize', 'epsilon', epsilon);
  return inputs[0];
}

/** The value of an expression of the operands, which broadcast to `shape`. */
const broadcast = (label: string, expression: string, operands: readonly Tensor[], shape: Shape): Tensor => {
  const shapes = operands.map((operand) => operand.shape);
  return dispatch(broadcastKernel(label, expression, shapes, shape), operands, shape);
};

/** The mean over the axes, with ones in their place. */
function meanOver(axes: readonly number[]): (x: Tensor) => Tensor {
  return (x) => {
    const reduced = normalizeAxes(axes, x.shape.length);
    const shape = reducedShape(x.shape, reduced, true);
    return sumOver(x, (axis) => reduced.includes(axis), shape, sizeOf(shape) / x.size);
  };
}

const standardizeOp: Op<StandardizeAttrs> = {
  inputs: ['x'],
  shape: standardizeShape,
  forward: ([x], { axes, epsilon, centred }) =>
    scope(x.gpu, () => {
      const meanOf = meanOver(axes);
      // The mean first: a mean of squares less the square of the mean would cancel.
      const centre = centred ? [meanOf(x)] : [];
      const difference = centred ? '(x0 - x1)' : 'x0';
      const variance = meanOf(broadcast('deviation', `${difference} * ${difference}`, [x, ...centre], x.shape));
      const scale = broadcast(
        'scale of variance',
        `V(1.0) / sqrt(x0 + V(${f32(epsilon)}))`,
        [variance],
        variance.shape,
      );
      const operands = [x, ...centre, scale];
      const output = broadcast('standardize', `${difference} * x${operands.length - 1}`, operands, x.shape);
      return { output, saved: [scale] };
    }),
  backward: ({ output: y, saved: [scale], attrs: { axes, centred }, dy }) =>
    scope(y.gpu, () => {
      const meanOf = meanOver(axes);
      const along = meanOf(broadcast('product', 'x0 * x1', [y, dy], y.shape));
      const operands = [scale, dy, y, along, ...(centred ? [meanOf(dy)] : [])];
      const expression = `x0 * (x1 - x2 * x3${centred ? ' - x4' : ''})`;
      return [broadcast('standardize gradient', expression, operands, y.shape)];
    }),
};

export const standardizeOps = { standardize: standardizeOp };

/** What is normalised, and how. */
export interface NormOptions {
  /** Axes of the statistics; may be negative. Default: the last. */
  axes?: readonly number[];
  /** Number of last axes of the statistics, in place of `axes`. */
  normalizedAxes?: number;
  /** Added to the variance; default 1e-5. */
  epsilon?: number;
}

/** y·gamma + beta, each if given, which broadcast to the shape of y. */
function scaledAndShifted(op: string, y: Tensor, gamma: Tensor | null, beta: Tensor | null): Tensor {
  for (const [name, operand] of [
    ['gamma', gamma],
    ['beta', beta],
  ] as const) {
    if (operand === null) continue;
    if (!Array.isArray(operand?.shape)) refuse(op, name, operand, 'a tensor or null');
    if (!sameShape(broadcastShapes(y.shape, operand.shape, `${op}: ${name}`), y.shape)) {
      throw new ShapeError(
        `${op}: ${name} has shape ${formatShape(operand.shape)}; the input is ${formatShape(y.shape)}`,
      );
    }
  }
  const scaled = gamma ? mul(y, gamma) : y;
  return beta ? add(scaled, beta) : scaled;
}

/** The attributes of an operation from its options. @throws ArgumentError, ShapeError */
function normAttrs(op: string, x: Tensor, options: NormOptions | undefined, centred: boolean): StandardizeAttrs {
  const { axes, normalizedAxes, epsilon } = withDefaults<NormOptions>(op, options, {
    axes: undefined,
    normalizedAxes: undefined,
    epsilon: 1e-5,
  });
  const rank = checkedRank(op, x);
  checkPositive(op, 'epsilon', epsilon as number);
  if (axes && normalizedAxes !== undefined)
    refuse(op, 'normalizedAxes', normalizedAxes, 'no number of axes beside axes');
  const count = normalizedAxes ?? 1;
  if (!Number.isInteger(count) || count < 1 || count > rank) {
    refuse(op, 'normalizedAxes', count, `an integer from 1 to ${rank}, the axes of the input`);
  }
  const last = Array.from({ length: count }, (_, k) => rank - count + k);
  return { axes: normalizeAxes(axes ?? last, rank, op), epsilon: epsilon as number, centred };
}

/** @throws ArgumentError */
function checkedRank(op: string, x: Tensor): number {
  if (!Array.isArray(x?.shape)) refuse(op, 'x', x, 'a tensor');
  return x.shape.length;
}

const standardize = (x: Tensor, attrs: StandardizeAttrs): Tensor =>
  apply('standardize', standardizeOps.standardize, [x], attrs);

/**
 * Layer normalisation: (x − mean) / √(variance + epsilon)·gamma + beta, with the statistics over some axes, by default the last.
 * Ba, Kiros and Hinton 2016, arXiv 1607.06450.
 *
 * @param x [...]
 * @param gamma broadcasts to x, such as [C]; null for none
 * @param beta likewise
 * @throws ShapeError, ArgumentError
 */
export function layerNorm(
  x: Tensor,
  gamma: Tensor | null = null,
  beta: Tensor | null = null,
  options?: NormOptions,
): Tensor {
  const attrs = normAttrs('layerNorm', x, options, true);
  return composed(x, () => scaledAndShifted('layerNorm', standardize(x, attrs), gamma, beta));
}

/**
 * x / √(mean of x² + epsilon)·gamma, over some axes, by default the last. Zhang and Sennrich 2019, arXiv 1910.07467.
 *
 * @param x [...]
 * @param gamma broadcasts to x; null for none
 * @throws ShapeError, ArgumentError
 */
export function rmsNorm(x: Tensor, gamma: Tensor | null = null, options?: NormOptions): Tensor {
  const attrs = normAttrs('rmsNorm', x, options, false);
  return composed(x, () => scaledAndShifted('rmsNorm', standardize(x, attrs), gamma, null));
}

/** @throws ArgumentError */
function epsilonOf(op: string, options?: { epsilon?: number }): number {
  const { epsilon } = withDefaults(op, options, { epsilon: 1e-5 });
  checkPositive(op, 'epsilon', epsilon);
  return epsilon;
}

/**
 * Group normalisation: as `layerNorm`, over the pixels and the channels of a group of neighbouring channels. Wu and He 2018, arXiv
 * 1803.08494.
 *
 * @param x [N,...,C], such as NHWC
 * @param groups divides C
 * @param gamma [C], or null for none
 * @param beta likewise
 * @param options.epsilon added to the variance; default 1e-5
 * @throws ShapeError, ArgumentError
 */
export function groupNorm(
  x: Tensor,
  groups: number,
  gamma: Tensor | null = null,
  beta: Tensor | null = null,
  options?: { epsilon?: number },
): Tensor {
  const op = 'groupNorm';
  const epsilon = epsilonOf(op, options);
  const rank = checkedRank(op, x);
  checkIntegers(op, 'groups', [groups], 1, 1);
  const channels = x.shape[rank - 1];
  if (rank < 2 || channels % groups !== 0) {
    throw new ShapeError(
      `${op}: input has shape ${formatShape(x.shape)}; expected [N,...,C], of which ${groups} divides C`,
    );
  }
  return composed(x, () => {
    const split = reshape(x, [x.shape[0], -1, groups, channels / groups]);
    const y = reshape(standardize(split, { axes: [1, 3], epsilon, centred: true }), x.shape);
    return scaledAndShifted(op, y, gamma, beta);
  });
}

/**
 * Instance normalisation: `groupNorm` with a group for each channel. Ulyanov et al. 2016, arXiv 1607.08022.
 *
 * @param x [N,...,C], such as NHWC
 * @param gamma [C], or null for none
 * @param beta likewise
 * @param options.epsilon added to the variance; default 1e-5
 * @throws ShapeError, ArgumentError
 */
export function instanceNorm(
  x: Tensor,
  gamma: Tensor | null = null,
  beta: Tensor | null = null,
  options?: { epsilon?: number },
): Tensor {
  const op = 'instanceNorm';
  const epsilon = epsilonOf(op, options);
  const rank = checkedRank(op, x);
  if (rank < 3) throw new ShapeError(`${op}: input has shape ${formatShape(x.shape)}; expected [N,...,C]`);
  const axes = Array.from({ length: rank - 2 }, (_, k) => 1 + k);
  return composed(x, () => scaledAndShifted(op, standardize(x, { axes, epsilon, centred: true }), gamma, beta));
}

/**
 * x / (bias + alpha/size·Σ x²)^beta, where the sum is over `size` neighbouring channels, with ⌊(size − 1)/2⌋ before. Krizhevsky et al.
 * 2012, ImageNet classification with deep convolutional neural networks, section 3.3; with alpha over size, as in ONNX and PyTorch.
 *
 * @param x [...,C], such as NHWC
 * @param options.size an integer of at least 1
 * @param options.alpha default 1e-4
 * @param options.beta default 0.75
 * @param options.bias default 1
 * @throws ShapeError, ArgumentError
 */
export function localResponseNorm(
  x: Tensor,
  options: { size: number; alpha?: number; beta?: number; bias?: number },
): Tensor {
  const op = 'localResponseNorm';
  const { size, alpha, beta, bias } = withDefaults(op, options, {
    size: undefined as never as number, // has none, and is checked
    alpha: 1e-4,
    beta: 0.75,
    bias: 1,
  });
  checkIntegers(op, 'size', [size], 1, 1);
  checkFinite(op, 'alpha', alpha);
  checkFinite(op, 'beta', beta);
  checkFinite(op, 'bias', bias);
  if (checkedRank(op, x) < 1) throw new ShapeError(`${op}: input has shape []; expected [...,C]`);
  const before = Math.floor((size - 1) / 2);
  return composed(x, () => {
    const squares = reshape(square(x), [-1, x.shape[x.shape.length - 1], 1]);
    const sums = reshape(sumPool1d(squares, size, [before, size - 1 - before]), x.shape);
    return mul(x, constantPower(affine(sums, alpha / size, bias), -beta));
  });
}

/** Where each element of x lies in its statistics, and those. */
function referenceMeans(shape: Shape, axes: readonly number[]) {
  const kept = reducedShape(shape, normalizeAxes(axes, shape.length), true);
  const offsets = stridedOffsets(shape, broadcastStrides(kept, shape));
  const count = sizeOf(shape) / sizeOf(kept);
  /** The mean over the axes, at each element. */
  return (x: NdArray): NdArray =>
    gatherAt(
      map(scatterAdd(zeros(kept), offsets, x), (sum) => sum / count),
      offsets,
      shape,
    );
}

/** 1 / √(variance + epsilon) at each element, and what it multiplies. */
function referenceParts(x: NdArray, { axes, epsilon, centred }: StandardizeAttrs) {
  const meanOf = referenceMeans(x.shape, axes);
  const centre = centred ? meanOf(x) : zeros(x.shape);
  const difference = map(x, (value, i) => value - centre.data[i]);
  const variance = meanOf(map(difference, (value) => value * value));
  return { meanOf, difference, scale: map(variance, (value) => 1 / Math.sqrt(value + epsilon)) };
}

export const standardizeReference: ReferenceRule<StandardizeAttrs> = {
  forward([x], attrs) {
    const { difference, scale } = referenceParts(x, attrs);
    return map(difference, (value, i) => value * scale.data[i]);
  },
  backward([x], y, dy, attrs) {
    const { meanOf, scale } = referenceParts(x, attrs);
    const along = meanOf(map(y, (value, i) => value * dy.data[i]));
    const level = attrs.centred ? meanOf(dy) : zeros(x.shape);
    return [map(dy, (d, i) => scale.data[i] * (d - y.data[i] * along.data[i] - level.data[i]))];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const standardizeReferences = { standardize: standardizeReference };
