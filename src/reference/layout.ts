import type { OpAttrs } from '../common/op-attrs.js';
import {
  broadcastStrides,
  normalizeAxes,
  normalizeAxis,
  reducedShape,
  type Shape,
  sizeOf,
  stridesOf,
} from '../common/shapes.js';
import { boxOffsets, full, gather, map, type NdArray, scatterAdd, stridedOffsets, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

/** Where each element of x lies in its reduction. */
function reductionOffsets(x: NdArray, attrs: OpAttrs['sum']): Int32Array {
  const kept = reducedShape(x.shape, normalizeAxes(attrs.axes, x.shape.length), true);
  return stridedOffsets(x.shape, broadcastStrides(kept, x.shape));
}

function reduce(average: boolean): ReferenceRule<OpAttrs['sum']> {
  const factor = (x: NdArray, shape: Shape): number => (average ? sizeOf(shape) / x.data.length : 1);
  return {
    forward: ([x], attrs, shape) =>
      map(scatterAdd(zeros(shape), reductionOffsets(x, attrs), x), (v) => v * factor(x, shape)),
    backward: ([x], _output, dy, attrs) => [
      map(gather(dy, reductionOffsets(x, attrs), x.shape), (v) => v * factor(x, dy.shape)),
    ],
  };
}

export const sum = /* @__PURE__ */ reduce(false);
export const mean = /* @__PURE__ */ reduce(true);

export const reshape: ReferenceRule<OpAttrs['reshape']> = {
  forward: ([x], _attrs, shape) => ({ shape, data: x.data.slice() }),
  backward: ([x], _output, dy) => [{ shape: x.shape, data: dy.data.slice() }],
};

/** Where in x each element of its transpose lies. */
function transposeOffsets(x: NdArray, { axes }: OpAttrs['transpose'], shape: Shape): Int32Array {
  const strides = stridesOf(x.shape);
  return stridedOffsets(
    shape,
    axes.map((axis) => strides[normalizeAxis(axis, axes.length)]),
  );
}

export const transpose: ReferenceRule<OpAttrs['transpose']> = {
  forward: ([x], attrs, shape) => gather(x, transposeOffsets(x, attrs, shape), shape),
  backward: ([x], _output, dy, attrs) => [scatterAdd(zeros(x.shape), transposeOffsets(x, attrs, dy.shape), dy)],
};

export const pad: ReferenceRule<OpAttrs['pad']> = {
  forward([x], { before, value }, shape) {
    const out = full(shape, value);
    boxOffsets(shape, before, x.shape).forEach((offset, i) => {
      out.data[offset] = x.data[i];
    });
    return out;
  },
  backward: ([x], _output, dy, { before }) => [gather(dy, boxOffsets(dy.shape, before, x.shape), x.shape)],
};

export const slice: ReferenceRule<OpAttrs['slice']> = {
  forward: ([x], { begin }, shape) => gather(x, boxOffsets(x.shape, begin, shape), shape),
  backward: ([x], _output, dy, { begin }) => [scatterAdd(zeros(x.shape), boxOffsets(x.shape, begin, dy.shape), dy)],
};

/** Where the elements of each input lie in their concatenation. */
function concatOffsets(inputs: readonly NdArray[], attrs: OpAttrs['concat'], shape: Shape): Int32Array[] {
  const axis = normalizeAxis(attrs.axis, shape.length);
  let first = 0;
  return inputs.map((x) => {
    const begin = shape.map((_, a) => (a === axis ? first : 0));
    first += x.shape[axis];
    return boxOffsets(shape, begin, x.shape);
  });
}

export const concat: ReferenceRule<OpAttrs['concat']> = {
  forward(inputs, attrs, shape) {
    const out = zeros(shape);
    concatOffsets(inputs, attrs, shape).forEach((offsets, i) => {
      scatterAdd(out, offsets, inputs[i]);
    });
    return out;
  },
  backward: (inputs, _output, dy, attrs) =>
    concatOffsets(inputs, attrs, dy.shape).map((offsets, i) => gather(dy, offsets, inputs[i].shape)),
};
