import { broadcastShapes, broadcastStrides, type Shape, sameShape } from '../common/shapes.js';
import { broadcastKernel } from '../kernels/broadcast.js';
import { chooseVectors, type VectorChoice } from '../kernels/elementwise.js';
import { map, type NdArray, scatterAdd, stridedOffsets, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { power } from '../reference/scalar-functions.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { sumToShape } from './reduce.js';
import { checkInputs } from './shape-checks.js';

type BinaryName = 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'minimum' | 'maximum';

/** dy times a constant, or an expression of some of `dy`, `a` and `b`, which become x0, x1, … in this order. */
type Partial = number | { of: readonly ('dy' | 'a' | 'b')[]; expression: string };

/** An expression of dy = x0, a = x1 and b = x2, but NaN where one of them is. */
const partialOf = (expression: string): Partial => ({
  of: ['dy', 'a', 'b'],
  expression: `keepNan(keepNan(keepNan(${expression}, x0), x1), x2)`,
});

/** dy where a condition holds, half of it where a = b, else 0. */
const partialOfChoice = (condition: string): Partial =>
  partialOf(`x0 * select(select(V(), V(1.0), ${condition}), V(0.5), x1 == x2)`);

/** One row for each operation: its value in x0 and x1, and its two partial derivatives, times dy. */
const table: Record<BinaryName, { value: string; partials: readonly [Partial, Partial] }> = {
  add: { value: 'x0 + x1', partials: [1, 1] },
  sub: { value: 'x0 - x1', partials: [1, -1] },
  mul: {
    value: 'x0 * x1',
    partials: [
      { of: ['dy', 'b'], expression: 'x0 * x1' },
      { of: ['dy', 'a'], expression: 'x0 * x1' },
    ],
  },
  div: {
    value: 'x0 / x1',
    partials: [
      { of: ['dy', 'b'], expression: 'x0 / x1' },
      { of: ['dy', 'a', 'b'], expression: '-(x0 / x2) * (x1 / x2)' },
    ],
  },
  pow: {
    value: 'powOf(x0, x1)',
    // Both are 0 where the power does not change, though the other factor is infinite: at b = 0, and at a = 0 with b ≥ 0.
    partials: [
      /* @__PURE__ */ partialOf('x0 * select(x2 * powOf(x1, x2 - 1.0), V(), x2 == V())'),
      /* @__PURE__ */ partialOf('x0 * select(powOf(x1, x2) * logOf(x1), V(), (x1 == V()) & (x2 >= V()))'),
    ],
  },
  minimum: {
    value: 'keepNan(keepNan(min(x0, x1), x0), x1)',
    partials: [/* @__PURE__ */ partialOfChoice('x1 < x2'), /* @__PURE__ */ partialOfChoice('x2 < x1')],
  },
  maximum: {
    value: 'keepNan(keepNan(max(x0, x1), x0), x1)',
    partials: [/* @__PURE__ */ partialOfChoice('x1 > x2'), /* @__PURE__ */ partialOfChoice('x2 > x1')],
  },
};

/** The operation, in vectors as `choose` says; tests replace the default by single elements. */
export function binaryOp(name: BinaryName, choose: VectorChoice = chooseVectors): Op<NoAttrs> {
  const run = (label: string, expression: string, operands: readonly Tensor[], shape: readonly number[]) => {
    const shapes = operands.map((operand) => operand.shape);
    return dispatch(broadcastKernel(label, expression, shapes, shape, { choose }), operands, shape);
  };
  return {
    inputs: ['a', 'b'],
    shape(inputs) {
      checkInputs(name, inputs, ['a', 'b']);
      return broadcastShapes(inputs[0], inputs[1], name);
    },
    forward: (inputs, _attrs, shape) => ({ output: run(name, table[name].value, inputs, shape) }),
    backward: ({ inputs: [a, b], dy, needs }) =>
      [a, b].map((operand, k) => {
        if (!needs[k]) return null;
        const partial = table[name].partials[k];
        if (typeof partial === 'number') return sumToShape(dy, operand.shape, partial);
        const operands = partial.of.map((what) => ({ dy, a, b })[what]);
        return scope(dy.gpu, () =>
          sumToShape(run(`${name} gradient`, partial.expression, operands, dy.shape), operand.shape),
        );
      }),
  };
}

export const binaryOps = {
  add: /* @__PURE__ */ binaryOp('add'),
  sub: /* @__PURE__ */ binaryOp('sub'),
  mul: /* @__PURE__ */ binaryOp('mul'),
  div: /* @__PURE__ */ binaryOp('div'),
  pow: /* @__PURE__ */ binaryOp('pow'),
  minimum: /* @__PURE__ */ binaryOp('minimum'),
  maximum: /* @__PURE__ */ binaryOp('maximum'),
};

/** a + b. Shapes broadcast as in NumPy: aligned at the last axis, missing or size-1 axes stretch. @throws ShapeError */
export const add = (a: Tensor, b: Tensor): Tensor => apply('add', binaryOps.add, [a, b], {});
/** a − b, with broadcasting as in `add`. @throws ShapeError */
export const sub = (a: Tensor, b: Tensor): Tensor => apply('sub', binaryOps.sub, [a, b], {});
/** a·b, elementwise, with broadcasting as in `add`. @throws ShapeError */
export const mul = (a: Tensor, b: Tensor): Tensor => apply('mul', binaryOps.mul, [a, b], {});
/** a / b, elementwise, with broadcasting as in `add`. @throws ShapeError */
export const div = (a: Tensor, b: Tensor): Tensor => apply('div', binaryOps.div, [a, b], {});
/**
 * aᵇ, elementwise, with broadcasting as in `add`. a⁰ is 1; a below 0 has powers with whole b only, others are NaN; unlike in IEEE 754,
 * NaN in a or b always gives NaN. Whole b up to ±16 make products; for others, the relative error grows with |b·log₂ a|. The gradient by a at b = 0 is 0, that by b at a = 0
 * is 0 for b ≥ 0, and that by b for a below 0 is NaN.
 * @throws ShapeError
 */
export const pow = (a: Tensor, b: Tensor): Tensor => apply('pow', binaryOps.pow, [a, b], {});
/**
 * The smaller of a and b, elementwise, with broadcasting as in `add`. NaN in a or b gives NaN. Where a = b, each gets half of the
 * gradient, as in PyTorch.
 * @throws ShapeError
 */
export const minimum = (a: Tensor, b: Tensor): Tensor => apply('minimum', binaryOps.minimum, [a, b], {});
/** The larger of a and b, elementwise, with broadcasting as in `add`, and NaN and gradients as in `minimum`. @throws ShapeError */
export const maximum = (a: Tensor, b: Tensor): Tensor => apply('maximum', binaryOps.maximum, [a, b], {});

/** Where each element of the output shape reads a (broadcast) input. */
function broadcastOffsets(x: NdArray, shape: Shape): Int32Array {
  return stridedOffsets(shape, broadcastStrides(x.shape, shape));
}

/** An operation z = f(a, b) with broadcasting, with its partial derivatives. */
function binaryReference(
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

/** The same rows in float64: value and partial derivatives. */
export const addReference = /* @__PURE__ */ binaryReference(
  (a, b) => a + b,
  () => 1,
  () => 1,
);
export const subReference = /* @__PURE__ */ binaryReference(
  (a, b) => a - b,
  () => 1,
  () => -1,
);
export const mulReference = /* @__PURE__ */ binaryReference(
  (a, b) => a * b,
  (_a, b) => b,
  (a) => a,
);
export const divReference = /* @__PURE__ */ binaryReference(
  (a, b) => a / b,
  (_a, b) => 1 / b,
  (a, b) => -a / (b * b),
);
export const powReference = /* @__PURE__ */ binaryReference(
  power,
  (a, b) => (b === 0 && !Number.isNaN(a) ? 0 : b * power(a, b - 1)),
  (a, b) => (a === 0 && b >= 0 ? 0 : power(a, b) * Math.log(a)),
);

/** The derivative by the first of what chooses one of two numbers, half at ties. */
const shareOf = (isChosen: boolean, a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : a === b ? 0.5 : Number(isChosen);

export const minimumReference = /* @__PURE__ */ binaryReference(
  Math.min,
  (a, b) => shareOf(a < b, a, b),
  (a, b) => shareOf(b < a, a, b),
);
export const maximumReference = /* @__PURE__ */ binaryReference(
  Math.max,
  (a, b) => shareOf(a > b, a, b),
  (a, b) => shareOf(b > a, a, b),
);

export const binaryReferences = {
  add: addReference,
  sub: subReference,
  mul: mulReference,
  div: divReference,
  pow: powReference,
  minimum: minimumReference,
  maximum: maximumReference,
};
