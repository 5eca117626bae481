import { normalizeAxis, type Shape, sizeOf, stridesOf } from '../../common/shapes.js';
import { allOf, map, type NdArray, stridedOffsets, zeros } from '../../reference/ndarray.js';
import type { ReferenceRule } from '../../reference/reference-op.js';
import type { GatherAttrs, GatherNDAttrs, OneHotAttrs, ScatterAttrs, ScatterElementsAttrs } from './shape.js';

/** An index from 0 on; −1 if it is outside an axis of this size. */
function resolved(index: number, dim: number): number {
  const place = index < 0 ? index + dim : index;
  return place >= 0 && place < dim ? place : -1;
}

/** For each element of an output or update, where it lies in x; −1 for nowhere. */
type OffsetsOf<A> = (x: Shape, indices: NdArray, attrs: A) => number[];

const axisOffsets: OffsetsOf<GatherAttrs> = (x, indices, attrs) => {
  const axis = normalizeAxis(attrs.axis, x.length);
  const [before, dim, after] = [sizeOf(x.slice(0, axis)), x[axis], sizeOf(x.slice(axis + 1))];
  const offsets: number[] = [];
  for (let b = 0; b < before; b++) {
    for (const index of indices.data) {
      const place = resolved(index, dim);
      for (let c = 0; c < after; c++) offsets.push(place < 0 ? -1 : (b * dim + place) * after + c);
    }
  }
  return offsets;
};

const elementOffsets: OffsetsOf<GatherAttrs> = (x, indices, attrs) => {
  const axis = normalizeAxis(attrs.axis, x.length);
  const strides = stridesOf(x);
  const along = strides[axis];
  strides[axis] = 0;
  return [...stridedOffsets(indices.shape, strides)].map((base, i) => {
    const place = resolved(indices.data[i], x[axis]);
    return place < 0 ? -1 : base + place * along;
  });
};

const tupleOffsets: OffsetsOf<{ batchDims?: number }> = (x, indices, { batchDims = 0 }) => {
  const strides = stridesOf(x);
  const { shape, data } = indices;
  const components = shape[shape.length - 1];
  const [batches, inner] = [sizeOf(x.slice(0, batchDims)), sizeOf(x.slice(batchDims + components))];
  const tuples = data.length / components;
  const offsets: number[] = [];
  for (let t = 0; t < tuples; t++) {
    const places = Array.from({ length: components }, (_, k) => resolved(data[t * components + k], x[batchDims + k]));
    const batch = Math.floor(t / (tuples / batches));
    const first = places.reduce((sum, place, k) => sum + place * strides[batchDims + k], batch * (sizeOf(x) / batches));
    for (let c = 0; c < inner; c++) offsets.push(places.includes(-1) ? -1 : first + c);
  }
  return offsets;
};

function gatherRule<A>(offsetsOf: OffsetsOf<A>): ReferenceRule<A> {
  return {
    forward([x, indices], attrs, shape) {
      const offsets = offsetsOf(x.shape, indices, attrs);
      return map(allOf(shape, Number.NaN), (nan, i) => (offsets[i] < 0 ? nan : x.data[offsets[i]]));
    },
    backward([x, indices], _output, dy, attrs) {
      const dx = zeros(x.shape);
      offsetsOf(x.shape, indices, attrs).forEach((offset, i) => {
        if (offset >= 0) dx.data[offset] += dy.data[i];
      });
      return [dx, null];
    },
  };
}

const combinations: Record<ScatterAttrs['reduction'], (x: number, update: number) => number> = {
  none: (_, update) => update,
  add: (x, update) => x + update,
  mul: (x, update) => x * update,
  max: Math.max,
  min: Math.min,
};

function scatterRule<A extends ScatterAttrs>(offsetsOf: OffsetsOf<A>): ReferenceRule<A> {
  return {
    forward([x, indices, updates], attrs) {
      const out = map(x, (value) => value);
      const combined = combinations[attrs.reduction];
      offsetsOf(x.shape, indices, attrs).forEach((offset, i) => {
        if (offset >= 0) out.data[offset] = combined(out.data[offset], updates.data[i]);
      });
      return out;
    },
    backward([x, indices, updates], _output, dy, attrs) {
      const offsets = offsetsOf(x.shape, indices, attrs);
      const every = attrs.reduction === 'add';
      const winners = new Map(offsets.map((offset, i) => [offset, i]));
      const dx = map(dy, (d, at) => (every || !winners.has(at) ? d : 0));
      const dUpdates = map(updates, (_, i) =>
        offsets[i] >= 0 && (every || winners.get(offsets[i]) === i) ? dy.data[offsets[i]] : 0,
      );
      return [dx, null, dUpdates];
    },
  };
}

export const oneHotReference: ReferenceRule<OneHotAttrs> = {
  forward([indices], { depth, on, off, ...attrs }, shape) {
    const out = allOf(shape, off);
    const axis = normalizeAxis(attrs.axis, shape.length);
    const after = sizeOf(shape.slice(axis + 1));
    indices.data.forEach((index, i) => {
      const place = resolved(index, depth);
      if (place >= 0) out.data[(Math.floor(i / after) * depth + place) * after + (i % after)] = on;
    });
    return out;
  },
  backward: () => [null],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const indexingReferences = {
  gather: /* @__PURE__ */ gatherRule(axisOffsets),
  gatherElements: /* @__PURE__ */ gatherRule(elementOffsets),
  gatherND: /* @__PURE__ */ gatherRule<GatherNDAttrs>(tupleOffsets),
  scatterElements: /* @__PURE__ */ scatterRule<ScatterElementsAttrs>(elementOffsets),
  scatterND: /* @__PURE__ */ scatterRule<ScatterAttrs>((x, indices) => tupleOffsets(x, indices, {})),
  oneHot: oneHotReference,
};
