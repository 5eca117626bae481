import { checkList } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { concatShape, padShape, reshapeShape, sliceShape } from '../common/op-shapes-layout.js';
import { formatShape, normalizeAxis } from '../common/shapes.js';
import { chooseVectors, type VectorChoice } from '../kernels/binary.js';
import { boxOf, padKernel, readBoxKernel, writeBoxKernel } from '../kernels/layout.js';
import { dispatch, dispatchInPlace } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { Tensor } from '../tensor/tensor.js';

const reshapeOp: Op<OpAttrs['reshape']> = {
  inputs: ['x'],
  shape: reshapeShape,
  forward: ([x], _attrs, shape) => ({ output: x.view(shape) }),
  backward: ({ inputs: [x], dy }) => [dy.view(x.shape)],
};

/** The operation, in vectors as `choose` says; tests replace the default by single elements. */
export function padOp(choose: VectorChoice = chooseVectors): Op<OpAttrs['pad']> {
  return {
    inputs: ['x'],
    shape: padShape,
    forward: ([x], { before, value }, shape) => ({
      output: dispatch(padKernel(boxOf(shape, before, x.shape, choose), value), [x], shape),
    }),
    backward: ({ inputs: [x], attrs: { before }, dy }) => [
      dispatch(readBoxKernel(boxOf(dy.shape, before, x.shape, choose)), [dy], x.shape),
    ],
  };
}

/** As padOp: each is the gradient of the other. */
export function sliceOp(choose: VectorChoice = chooseVectors): Op<OpAttrs['slice']> {
  return {
    inputs: ['x'],
    shape: sliceShape,
    forward: ([x], { begin }, shape) => ({
      output: dispatch(readBoxKernel(boxOf(x.shape, begin, shape, choose)), [x], shape),
    }),
    backward: ({ inputs: [x], attrs: { begin }, dy }) => [
      dispatch(padKernel(boxOf(x.shape, begin, dy.shape, choose), 0), [dy], x.shape),
    ],
  };
}

/** Where each input begins in the concatenation. */
function beginnings(inputs: readonly Tensor[], axis: number): number[][] {
  let first = 0;
  return inputs.map(({ shape }) => {
    const begin = shape.map((_, a) => (a === axis ? first : 0));
    first += shape[axis];
    return begin;
  });
}

/** One dispatch an input, each of which moves only its own elements: so any number of inputs fits the binding limit. */
export function concatOp(choose: VectorChoice = chooseVectors): Op<OpAttrs['concat']> {
  return {
    shape: concatShape,
    forward(inputs, attrs, shape) {
      const begins = beginnings(inputs, normalizeAxis(attrs.axis, shape.length));
      const output = Tensor.empty(inputs[0].gpu, shape);
      inputs.forEach((x, k) => {
        dispatchInPlace(writeBoxKernel(boxOf(shape, begins[k], x.shape, choose)), [x, output]);
      });
      return { output };
    },
    backward({ inputs, attrs, dy, needs }) {
      const begins = beginnings(inputs, normalizeAxis(attrs.axis, dy.shape.length));
      return inputs.map(({ shape }, k) =>
        needs[k] ? dispatch(readBoxKernel(boxOf(dy.shape, begins[k], shape, choose)), [dy], shape) : null,
      );
    },
  };
}

export const layoutOps = {
  reshape: reshapeOp,
  pad: /* @__PURE__ */ padOp(),
  slice: /* @__PURE__ */ sliceOp(),
  concat: /* @__PURE__ */ concatOp(),
};

/**
 * The same elements in row-major order under another shape; no copy is made.
 * @param shape sizes, of which one may be −1: it follows from the others
 * @throws ShapeError where the sizes do not multiply to the number of elements
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return apply('reshape', layoutOps.reshape, [x], { shape: inferSize(x, shape) });
}

function inferSize(x: Tensor, shape: readonly number[]): readonly number[] {
  checkList('reshape', 'shape', shape, 'a list of sizes');
  const axis = shape.indexOf(-1);
  if (axis < 0) return shape;
  const others = shape.reduce((product, size, a) => (a === axis ? product : product * size), 1);
  if (shape.lastIndexOf(-1) !== axis || x.size % others !== 0) {
    throw new ShapeError(
      `reshape: no size fits in place of -1 when ${formatShape(x.shape)} becomes ${formatShape(shape)}`,
    );
  }
  return shape.map((size) => (size === -1 ? x.size / others : size));
}

/**
 * Surrounds x with `value`.
 * @param before elements to add before each axis, one entry an axis, ≥ 0
 * @param after the same behind each axis
 * @throws ShapeError, ArgumentError
 */
export function pad(x: Tensor, before: readonly number[], after: readonly number[], value = 0): Tensor {
  return apply('pad', layoutOps.pad, [x], { before, after, value });
}

/**
 * The box of `size` elements an axis that starts at `begin`.
 * @throws ShapeError where it reaches out of x; ArgumentError for entries that are not such integers
 */
export function slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor {
  return apply('slice', layoutOps.slice, [x], { begin, size });
}

/**
 * Joins tensors along an axis; all other sizes are the same.
 * @param inputs any number, at least 1
 * @param axis may be negative: −1 is the last
 * @throws ShapeError
 */
export function concat(inputs: readonly Tensor[], axis: number): Tensor {
  checkList('concat', 'inputs', inputs, 'an array of tensors');
  return apply('concat', layoutOps.concat, inputs, { axis });
}
