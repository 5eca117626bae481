import type { OpAttrs } from '../common/op-attrs.js';
import { broadcastStrides, type Shape, sameShape } from '../common/shapes.js';
import { map, type NdArray, scatterAdd, stridedOffsets, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

/** 1 / (1 + e^−x), without overflow. */
export function logistic(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** `gradient` where min ≤ x ≤ max, else 0; NaN where x or the gradient is, since a NaN may be on either side. */
export function within(x: number, min: number, max: number, gradient: number): number {
  if (Number.isNaN(x) || Number.isNaN(gradient)) return Number.NaN;
  return x >= min && x <= max ? gradient : 0;
}

/** An operation y = f(x) with its derivative as a function of x and y. */
function unary<A>(
  f: (x: number, attrs: A) => number,
  derivative: (x: number, y: number, attrs: A) => number,
): ReferenceRule<A> {
  return {
    forward: ([x], attrs) => map(x, (v) => f(v, attrs)),
    backward: ([x], y, dy, attrs) => [map(dy, (d, i) => d * derivative(x.data[i], y.data[i], attrs))],
  };
}

export const exp = /* @__PURE__ */ unary(Math.exp, (_x, y) => y);
export const log = /* @__PURE__ */ unary(Math.log, (x) => 1 / x);
export const sqrt = /* @__PURE__ */ unary(Math.sqrt, (_x, y) => 0.5 / y);
export const abs = /* @__PURE__ */ unary(Math.abs, Math.sign);
export const square = /* @__PURE__ */ unary(
  (x) => x * x,
  (x) => 2 * x,
);
export const sigmoid = /* @__PURE__ */ unary(logistic, (_x, y) => y * (1 - y));
export const clamp = /* @__PURE__ */ unary<OpAttrs['clamp']>(
  (x, { min, max }) => Math.min(Math.max(x, min), max),
  (x, _y, { min, max }) => within(x, min, max, 1),
);
export const affine = /* @__PURE__ */ unary<OpAttrs['affine']>(
  (x, { scale, offset }) => scale * x + offset,
  (_x, _y, { scale }) => scale,
);

/** Where each element of the output shape reads a (broadcast) input. */
function broadcastOffsets(x: NdArray, shape: Shape): Int32Array {
  return stridedOffsets(shape, broadcastStrides(x.shape, shape));
}

/** An operation z = f(a, b) with broadcasting, with its partial derivatives. */
function binary(
  f: (a: number, b: number) => number,
  byA: (a: number, b: number) => number,
  byB: (a: number, b: number) => number,
): ReferenceRule<unknown> {
  return {
    forward([a, b], _attrs, shape) {
      const out = zeros(shape);
      const [ia, ib] = [broadcastOffsets(a, shape), broadcastOffsets(b, shape)];
      for (let i = 0; i < out.data.length; i++) out.data[i] = f(a.data[ia[i]], b.data[ib[i]]);
      return out;
    },
    backward([a, b], _output, dy) {
      const [ia, ib] = [broadcastOffsets(a, dy.shape), broadcastOffsets(b, dy.shape)];
      const gradient = (x: NdArray, offsets: Int32Array, partial: (a: number, b: number) => number): NdArray => {
        const each = map(dy, (d, i) => d * partial(a.data[ia[i]], b.data[ib[i]]));
        return sameShape(x.shape, dy.shape) ? each : scatterAdd(zeros(x.shape), offsets, each);
      };
      return [gradient(a, ia, byA), gradient(b, ib, byB)];
    },
  };
}

export const add = /* @__PURE__ */ binary(
  (a, b) => a + b,
  () => 1,
  () => 1,
);
export const sub = /* @__PURE__ */ binary(
  (a, b) => a - b,
  () => 1,
  () => -1,
);
export const mul = /* @__PURE__ */ binary(
  (a, b) => a * b,
  (_a, b) => b,
  (a) => a,
);
export const div = /* @__PURE__ */ binary(
  (a, b) => a / b,
  (_a, b) => 1 / b,
  (a, b) => -a / (b * b),
);

export const prelu: ReferenceRule<unknown> = {
  forward: ([x, slope]) => map(x, (v, i) => (v > 0 ? v : v * slope.data[i % slope.data.length])),
  backward([x, slope], _output, dy) {
    const slopes = slope.data.length;
    const dSlope = zeros(slope.shape);
    const dx = map(dy, (d, i) => {
      if (x.data[i] > 0) return d;
      // NaN is on neither side.
      if (Number.isNaN(x.data[i])) dSlope.data[i % slopes] = Number.NaN;
      if (Number.isNaN(x.data[i])) return Number.NaN;
      dSlope.data[i % slopes] += d * x.data[i];
      return d * slope.data[i % slopes];
    });
    return [dx, dSlope];
  },
};
