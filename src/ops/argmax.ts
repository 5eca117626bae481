import { argmaxShader } from '../../shaders/argmax.wgsl.js';
import { ShapeError } from '../common/errors.js';
import { formatShape, type Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkMinRank } from './shape-checks.js';

/** @throws ShapeError */
export function argmaxShape(inputs: readonly Shape[]): Shape {
  checkInputs('argmax', inputs, ['input']);
  const [x] = inputs;
  checkMinRank('argmax', 'input', x, 1, '[...,C]');
  // Up to here float32 holds every index.
  if (x[x.length - 1] > 2 ** 24) {
    throw new ShapeError(`argmax: input has shape ${formatShape(x)}; expected a last axis of at most 2^24`);
  }
  return x.slice(0, -1);
}

/** One invocation a row. Bindings x, y. */
export function argmaxKernel(rows: number, size: number): Kernel {
  return elementKernel('argmax', argmaxShader(size), rows);
}

const argmaxOp: Op<NoAttrs> = {
  inputs: ['x'],
  shape: argmaxShape,
  forward([x], _, shape) {
    const size = x.shape[x.shape.length - 1];
    return { output: dispatch(argmaxKernel(x.size / size, size), [x], shape) };
  },
  backward: () => [null],
};

export const argmaxOps = { argmax: argmaxOp };

/**
 * Index of the largest element in each row of the last axis. Of equal ones the first counts; the first NaN wins, as in NumPy.
 * It has no gradient.
 *
 * @param x [..., C] with C ≤ 2²⁴
 * @returns [...], integers from 0 to C − 1 as float32
 * @throws ShapeError
 */
export const argmax = (x: Tensor): Tensor => apply('argmax', argmaxOps.argmax, [x], {});

export const argmaxReference: ReferenceRule<unknown> = {
  forward([x], _, shape) {
    const y = zeros(shape);
    const size = x.data.length / y.data.length;
    for (let row = 0; row < y.data.length; row++) {
      const values = x.data.subarray(row * size, (row + 1) * size);
      const nan = values.findIndex(Number.isNaN);
      y.data[row] = nan >= 0 ? nan : values.indexOf(values.reduce((a, b) => Math.max(a, b)));
    }
    return y;
  },
  backward: () => [null],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const argmaxReferences = { argmax: argmaxReference };
