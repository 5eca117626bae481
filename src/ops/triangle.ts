import { triangleShader } from '../../shaders/triangle.wgsl.js';
import { refuse } from '../common/arguments.js';
import { type Shape, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { map, type NdArray } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { type DType, sameDtype } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkMinRank } from './shape-checks.js';

export interface TriangleAttrs {
  /** The diagonal where the triangle ends, which belongs to it: 0 is the main one, 1 that above it, −1 that below it. */
  k: number;
}

type TriangleName = 'triu' | 'tril';

/** @throws ShapeError, ArgumentError */
export function triangleShape(op: TriangleName, inputs: readonly Shape[], { k }: TriangleAttrs): number[] {
  checkInputs(op, inputs, ['input']);
  checkMinRank(op, 'input', inputs[0], 2, '[..., rows, columns]');
  if (!Number.isSafeInteger(k)) refuse(op, 'k', k, 'an integer');
  return [...inputs[0]];
}

/** Bindings x, y. */
export function triangleKernel(op: TriangleName, shape: Shape, k: number): Kernel {
  const [rows, columns] = shape.slice(-2);
  // Beyond these diagonals nothing changes.
  const shader = triangleShader(rows, columns, op === 'triu', Math.max(-rows, Math.min(columns, k)));
  return { ...elementKernel(op, shader, sizeOf(shape)), pointwise: true };
}

function triangleOp(name: TriangleName): Op<TriangleAttrs> {
  const run = (x: Tensor, { k }: TriangleAttrs): Tensor =>
    dispatch(triangleKernel(name, x.shape, k), [x], x.shape, undefined, x.dtype);
  return {
    inputs: ['x'],
    shape: (inputs, attrs) => triangleShape(name, inputs, attrs),
    dtype: (inputs) => sameDtype(name, inputs),
    forward: ([x], attrs) => ({ output: run(x, attrs) }),
    backward: ({ attrs, dy }) => [run(dy, attrs)],
  };
}

const triuOp = /* @__PURE__ */ triangleOp('triu');
const trilOp = /* @__PURE__ */ triangleOp('tril');

export const triangleOps = { triu: triuOp, tril: trilOp };

/**
 * The upper triangle of each matrix of x, of any type, and 0 below it, as in NumPy. What is not in it counts as 0 even if it is NaN.
 * @param x [..., rows, columns]
 * @param k the lowest diagonal of the triangle: 0 is the main one, 1 that above it, −1 that below it
 * @throws ShapeError, ArgumentError
 */
export const triu = <D extends DType>(x: Tensor<D>, k = 0): Tensor<D> => apply('triu', triuOp, [x], { k });

/** The lower triangle, likewise; k is its highest diagonal. @throws ShapeError, ArgumentError */
export const tril = <D extends DType>(x: Tensor<D>, k = 0): Tensor<D> => apply('tril', trilOp, [x], { k });

function triangleRule(contains: (row: number, column: number, k: number) => boolean): ReferenceRule<TriangleAttrs> {
  const part = (x: NdArray, k: number): NdArray => {
    const [rows, columns] = x.shape.slice(-2);
    return map(x, (v, i) => (contains(Math.floor(i / columns) % rows, i % columns, k) ? v : 0));
  };
  return {
    forward: ([x], { k }) => part(x, k),
    backward: (_inputs, _output, dy, { k }) => [part(dy, k)],
  };
}

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const triangleReferences = {
  triu: /* @__PURE__ */ triangleRule((row, column, k) => column >= row + k),
  tril: /* @__PURE__ */ triangleRule((row, column, k) => column <= row + k),
};
