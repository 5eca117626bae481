import { argmaxShader, argPlan } from '../../shaders/argmax.wgsl.js';
import { checkOptions } from '../common/arguments.js';
import { aroundAxis, normalizeAxis, reducedShape, type Shape, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { map, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { checkDtypes, type DType, WGSL_TYPES } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkMinRank } from './shape-checks.js';

type Name = 'argmax' | 'argmin';

export interface ArgmaxAttrs {
  axis: number;
  /** Whether the axis stays, with size 1. */
  keepDims: boolean;
  /** Whether the last of equals counts, not the first. */
  last: boolean;
}

/** @throws ShapeError */
export function argmaxShape(name: Name, inputs: readonly Shape[], { axis, keepDims }: ArgmaxAttrs): number[] {
  checkInputs(name, inputs, ['input']);
  const [x] = inputs;
  checkMinRank(name, 'input', x, 1, '[...]');
  return reducedShape(x, [normalizeAxis(axis, x.length, name)], keepDims);
}

/** One invocation a line of the axis. Bindings x, y, and `argPlan`. */
export function argmaxKernel(name: Name, last: boolean, dtype: DType, lines: number): Kernel {
  return elementKernel(name, argmaxShader(name === 'argmax', last, WGSL_TYPES[dtype]), lines);
}

function argmaxOp(name: Name): Op<ArgmaxAttrs> {
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => argmaxShape(name, inputs, attrs),
    dtype(inputs) {
      checkDtypes(name, inputs, ['float32', 'int32'], ['x']);
      return 'int32';
    },
    forward([x], { axis, last }, shape) {
      const [, size, inner] = aroundAxis(x.shape, normalizeAxis(axis, x.shape.length));
      const threads = sizeOf(shape);
      const kernel = argmaxKernel(name, last, x.dtype, threads);
      const output = dispatch(kernel, [x], shape, argPlan.pack({ size, inner, threads }), 'int32');
      return { output: output as Tensor<never> };
    },
    backward: () => [null],
  };
}

const argmaxDefault = /* @__PURE__ */ argmaxOp('argmax');
const argminOp = /* @__PURE__ */ argmaxOp('argmin');

export const argmaxOps = { argmax: argmaxDefault, argmin: argminOp };

/** Options of argmax and argmin. */
export interface ArgmaxOptions {
  /** Keep the axis, with size 1, instead of dropping it. Default false. */
  keepDims?: boolean;
  /** Of equal elements, the last counts. Default false: the first. */
  last?: boolean;
}

function argmaxAttrs(name: Name, axis: number, options?: ArgmaxOptions): ArgmaxAttrs {
  const { keepDims = false, last = false } = checkOptions(name, options, ['keepDims', 'last']);
  return { axis, keepDims, last };
}

/**
 * Index of the largest element along an axis. Of equal ones the first counts, and NaN counts as the largest, as in NumPy. It has no
 * gradient.
 *
 * @param x float32 or int32, of rank 1 or more
 * @param axis may be negative; default: the last
 * @returns int32, from 0 to the size of the axis − 1
 * @throws ShapeError, ArgumentError
 */
export const argmax = (x: Tensor<'float32' | 'int32'>, axis = -1, options?: ArgmaxOptions): Tensor<'int32'> =>
  apply('argmax', argmaxDefault, [x], argmaxAttrs('argmax', axis, options));

/** Index of the smallest element along an axis. NaN wins here, too; otherwise as `argmax`. */
export const argmin = (x: Tensor<'float32' | 'int32'>, axis = -1, options?: ArgmaxOptions): Tensor<'int32'> =>
  apply('argmin', argminOp, [x], argmaxAttrs('argmin', axis, options));

function argReference(extreme: (a: number, b: number) => number): ReferenceRule<ArgmaxAttrs> {
  return {
    forward([x], { axis, last }, shape) {
      const [, size, inner] = aroundAxis(x.shape, normalizeAxis(axis, x.shape.length));
      return map(zeros(shape), (_, i) => {
        const first = Math.floor(i / inner) * size * inner + (i % inner);
        const line = Array.from({ length: size }, (_, k) => x.data[first + k * inner]);
        const best = line.reduce((a, b) => extreme(a, b)); // NaN if there is one
        const wins = line.map((value) => value === best || (Number.isNaN(value) && Number.isNaN(best)));
        return last ? wins.lastIndexOf(true) : wins.indexOf(true);
      });
    },
    backward: () => [null],
  };
}

export const argmaxReference = /* @__PURE__ */ argReference(Math.max);
export const argminReference = /* @__PURE__ */ argReference(Math.min);

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const argmaxReferences = { argmax: argmaxReference, argmin: argminReference };
