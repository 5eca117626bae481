import { type Shape, sizeOf } from '../common/shapes.js';
import { broadcastKernel } from '../kernels/broadcast.js';
import { map, type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { checkDtypes, type DType } from '../tensor/dtype.js';
import { apply, type BackwardContext, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import {
  foldMiddle,
  foldOver,
  isReduced,
  keptShape,
  type ReduceAttrs,
  reduceRuns,
  reduceShape,
  reductionOffsets,
  type SumChoice,
  sumOver,
} from './reduce.js';
import { scanMiddle } from './scan.js';

type Name = 'max' | 'min' | 'prod';

/** dx is dy where x is the extreme, shared by all that are. Where the extreme is NaN, so is dx. */
function extremeGradient({ inputs: [x], output, attrs, dy }: BackwardContext<ReduceAttrs>): Tensor {
  const kept = keptShape(x.shape, attrs);
  const run = (expression: string, operands: readonly Tensor[]) => {
    const shapes = operands.map((operand) => (operand === x ? x.shape : kept));
    return dispatch(broadcastKernel('extreme gradient', expression, shapes, x.shape), operands, x.shape);
  };
  const winners = run('select(V(), V(1.0), x0 == x1)', [x, output]);
  const count = sumOver(winners, isReduced(attrs, x.shape.length), kept);
  return run('keepNan(select(V(), x2 / x3, x0 == x1), x1)', [x, output, dy, count]);
}

/**
 * dx is dy times the product of all others: of those before it and those behind it along each run of reduced axes. So nothing is
 * divided, and zeros need no care.
 */
function productGradient({ inputs: [x], attrs, dy }: BackwardContext<ReduceAttrs>): Tensor {
  const runs: [part: Tensor, sizes: readonly number[]][] = [];
  reduceRuns(x, isReduced(attrs, x.shape.length), (part, sizes) => {
    runs.push([part, sizes]);
    return foldMiddle(part, sizes, 'prod');
  });
  let gradient = dy;
  for (const [part, sizes] of runs.reverse()) {
    const scan = { product: true, exclusive: true };
    const others = [false, true].map((reverse) => scanMiddle(part, sizes, { ...scan, reverse }));
    const shapes = [sizes, sizes, [sizes[0], 1, sizes[2]]];
    const kernel = broadcastKernel('product gradient', 'x0 * x1 * x2', shapes, sizes);
    gradient = dispatch(kernel, [...others, gradient], sizes);
  }
  return gradient.view(x.shape);
}

/** The operation, whose rows are visited as `choose` says. */
export function foldOp(name: Name, choose?: SumChoice): Op<ReduceAttrs> {
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => reduceShape(name, inputs, attrs),
    dtype(inputs) {
      checkDtypes(name, inputs, name === 'prod' ? ['float32', 'int32'] : ['float32', 'int32', 'bool'], ['x']);
      return inputs[0];
    },
    forward: ([x], attrs, shape) => ({
      output: foldOver(x, isReduced(attrs, x.shape.length), shape, name, choose),
    }),
    backward: (context) => [
      scope(context.dy.gpu, () => (name === 'prod' ? productGradient : extremeGradient)(context)),
    ],
  };
}

const maxOp = /* @__PURE__ */ foldOp('max');
const minOp = /* @__PURE__ */ foldOp('min');
const prodOp = /* @__PURE__ */ foldOp('prod');

export const foldOps = { max: maxOp, min: minOp, prod: prodOp };

/**
 * The largest element over axes; of booleans, whether any is true. NaN wins, as in NumPy. Equal largest elements share the gradient
 * equally, as in PyTorch's `amax`; int32 and bool have none.
 * @param axes may be negative; all axes if none is given
 * @param keepDims keep the reduced axes, with size 1, instead of dropping them
 * @returns a scalar of shape [] if all axes are reduced
 * @throws ShapeError for an axis that does not exist or is given twice
 */
export function max<D extends DType = 'float32'>(
  x: Tensor<D>,
  axes: readonly number[] = [],
  keepDims = false,
): Tensor<D> {
  return apply('max', maxOp, [x], { axes, keepDims });
}

/** The smallest element over axes; of booleans, whether all are true. Otherwise as `max`. */
export function min<D extends DType = 'float32'>(
  x: Tensor<D>,
  axes: readonly number[] = [],
  keepDims = false,
): Tensor<D> {
  return apply('min', minOp, [x], { axes, keepDims });
}

/**
 * Product over axes, as `sum`. The gradient is right with zeros, too. Products of int32 wrap around at 32 bits, and have no gradient.
 * @throws ShapeError as `max`
 */
export function prod<D extends 'float32' | 'int32' = 'float32'>(
  x: Tensor<D>,
  axes: readonly number[] = [],
  keepDims = false,
): Tensor<D> {
  return apply('prod', prodOp, [x], { axes, keepDims });
}

/** The places in x of the elements of each result. */
function membersOf(x: NdArray, attrs: ReduceAttrs, shape: Shape): number[][] {
  const members = Array.from({ length: sizeOf(shape) }, (): number[] => []);
  reductionOffsets(x, attrs).forEach((result, at) => {
    members[result].push(at);
  });
  return members;
}

function extremeReference(extreme: (a: number, b: number) => number): ReferenceRule<ReduceAttrs> {
  return {
    forward([x], attrs, shape) {
      const members = membersOf(x, attrs, shape);
      return map(zeros(shape), (_, i) => members[i].map((at) => x.data[at]).reduce((a, b) => extreme(a, b)));
    },
    backward([x], y, dy, attrs) {
      const dx = zeros(x.shape);
      membersOf(x, attrs, y.shape).forEach((members, i) => {
        const winners = members.filter((at) => Number.isNaN(y.data[i]) || x.data[at] === y.data[i]);
        for (const at of winners) dx.data[at] = Number.isNaN(y.data[i]) ? Number.NaN : dy.data[i] / winners.length;
      });
      return [dx];
    },
  };
}

export const maxReference = /* @__PURE__ */ extremeReference(Math.max);
export const minReference = /* @__PURE__ */ extremeReference(Math.min);

export const prodReference: ReferenceRule<ReduceAttrs> = {
  forward([x], attrs, shape) {
    const members = membersOf(x, attrs, shape);
    return map(zeros(shape), (_, i) => members[i].reduce((product, at) => product * x.data[at], 1));
  },
  backward([x], y, dy, attrs) {
    const dx = zeros(x.shape);
    membersOf(x, attrs, y.shape).forEach((members, i) => {
      for (const at of members) {
        dx.data[at] = members.reduce(
          (product, other) => (other === at ? product : product * x.data[other]),
          dy.data[i],
        );
      }
    });
    return [dx];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const foldReferences = { max: maxReference, min: minReference, prod: prodReference };
