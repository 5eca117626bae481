import { broadcastPlan } from '../../shaders/binary.wgsl.js';
import { refuse } from '../common/arguments.js';
import { broadcastShapes, broadcastStrides, type Shape, sameShape } from '../common/shapes.js';
import { broadcastKernel } from '../kernels/broadcast.js';
import { chooseVectors, type VectorChoice } from '../kernels/elementwise.js';
import { map, type NdArray, scalar, scatterAdd, stridedOffsets, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { power } from '../reference/scalar-functions.js';
import { dispatch } from '../tensor/dispatch.js';
import { type DType, sameDtype } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import { type AnyTensor, scope, type Tensor } from '../tensor/tensor.js';
import { sumToShape } from './reduce.js';
import { checkFinite, checkInputs } from './shape-checks.js';

type BinaryName = 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'mod' | 'minimum' | 'maximum';

/** A number in place of one of the two tensors. */
export type BinaryAttrs = { a?: number; b?: number };

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

/** One row for each operation: its value in x0 and x1, also for integers, and its two partial derivatives, times dy. */
const table: Record<BinaryName, { value: string; integer?: string; partials: readonly [Partial, Partial] }> = {
  add: { value: 'x0 + x1', integer: 'x0 + x1', partials: [1, 1] },
  sub: { value: 'x0 - x1', integer: 'x0 - x1', partials: [1, -1] },
  mul: {
    value: 'x0 * x1',
    integer: 'x0 * x1',
    partials: [
      { of: ['dy', 'b'], expression: 'x0 * x1' },
      { of: ['dy', 'a'], expression: 'x0 * x1' },
    ],
  },
  div: {
    value: 'x0 / x1',
    integer: 'x0 / x1',
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
  mod: {
    value: 'modOf(x0, x1)',
    // What is left of a division by a negative number has its sign.
    integer: 'x0 % x1 + select(I(), x1, (x0 % x1 != I()) & ((x0 < I()) != (x1 < I())))',
    partials: [1, /* @__PURE__ */ partialOf('-x0 * quotientOf(x1, x2)')],
  },
  minimum: {
    value: 'keepNan(keepNan(min(x0, x1), x0), x1)',
    integer: 'min(x0, x1)',
    partials: [/* @__PURE__ */ partialOfChoice('x1 < x2'), /* @__PURE__ */ partialOfChoice('x2 < x1')],
  },
  maximum: {
    value: 'keepNan(keepNan(max(x0, x1), x0), x1)',
    integer: 'max(x0, x1)',
    partials: [/* @__PURE__ */ partialOfChoice('x1 > x2'), /* @__PURE__ */ partialOfChoice('x2 > x1')],
  },
};

/** The operands in order, of the tensors that are given and the numbers in place of others. */
export function bothOperands<T>([first, second]: readonly T[], { a, b }: BinaryAttrs): [T | number, T | number] {
  return [a ?? first, b ?? (a === undefined ? second : first)];
}

/** The shape rule of two operands that broadcast, of which one may be a number. @throws ShapeError */
export function binaryShape(name: string, inputs: readonly Shape[], attrs: BinaryAttrs): Shape {
  const [a, b] = bothOperands<Shape>(inputs, attrs);
  const names = ['a', 'b'].filter((_, k) => typeof [a, b][k] !== 'number');
  checkInputs(name, inputs, names);
  return typeof a === 'number' || typeof b === 'number' ? inputs[0] : broadcastShapes(a, b, name);
}

/** The operation, in vectors as `choose` says; tests replace the default by single elements. */
export function binaryOp(name: BinaryName, choose: VectorChoice = chooseVectors): Op<BinaryAttrs> {
  const { value, integer, partials } = table[name];
  return {
    inputs: ['a', 'b'],
    shape: (inputs, attrs) => binaryShape(name, inputs, attrs),
    dtype(inputs, attrs) {
      const dtype = sameDtype(name, inputs, integer ? ['float32', 'int32'] : ['float32']);
      checkNumbers(name, attrs, dtype);
      return dtype;
    },
    forward(inputs, attrs, shape) {
      const [{ dtype }] = inputs as readonly AnyTensor[];
      const expression = dtype === 'int32' ? integer! : value;
      return {
        output: broadcastTo(name, expression, bothOperands(inputs, attrs), shape, {
          choose,
          result: dtype,
        }) as AnyTensor as Tensor,
      };
    },
    backward({ inputs, attrs, dy, needs }) {
      const [a, b] = bothOperands(inputs, attrs);
      return inputs.map((operand, k) => {
        if (!needs[k]) return null;
        // Of two operands that are one tensor, each has its own derivative.
        const partial = partials[typeof a === 'number' ? 1 : k];
        if (typeof partial === 'number') return sumToShape(dy, operand.shape, partial);
        const operands = partial.of.map((what) => ({ dy, a, b })[what]);
        return scope(dy.gpu, () =>
          sumToShape(
            broadcastTo(`${name} gradient`, partial.expression, operands, dy.shape, { choose }),
            operand.shape,
          ),
        );
      });
    },
  };
}

/** @throws ArgumentError for a number in place of a tensor that the other's type does not hold */
export function checkNumbers(name: string, attrs: BinaryAttrs, dtype: DType): void {
  for (const [operand, value] of Object.entries(attrs)) {
    if (value === undefined) continue;
    if (dtype === 'float32' && !Number.isFinite(value)) continue; // NaN and infinity are numbers of float32
    checkFinite(name, operand, value);
    if (dtype !== 'float32' && !(Number.isInteger(value) && Math.abs(value) <= 2 ** 24)) {
      refuse(name, operand, value, `a whole number up to 2^24, beside a tensor of ${dtype}`);
    }
  }
}

/**
 * A new tensor f(x0, x1, …) by WGSL in the operands, which broadcast to `shape`. At most one operand is a number, which goes into
 * the uniform, so that each number takes the same pipeline. Not recorded.
 */
export function broadcastTo<D extends DType = 'float32'>(
  label: string,
  expression: string,
  operands: readonly (AnyTensor | number)[],
  shape: readonly number[],
  { choose = chooseVectors, result = 'float32' as D } = {},
): Tensor<D> {
  const tensors = operands.filter((operand): operand is AnyTensor => typeof operand !== 'number');
  const scale = operands.find((operand): operand is number => typeof operand === 'number');
  const kernel = broadcastKernel(
    label,
    expression,
    operands.map((operand) => (typeof operand === 'number' ? null : operand.shape)),
    shape,
    {
      choose,
      scaled: scale !== undefined,
      // A number has the type of the last tensor: the first may be a mask.
      types: operands.map((operand) => (typeof operand === 'number' ? tensors.at(-1)! : operand).dtype),
      result,
    },
  );
  return dispatch(kernel, tensors, shape, scale === undefined ? undefined : broadcastPlan.pack({ scale }), result);
}

const addOp = /* @__PURE__ */ binaryOp('add');
const subOp = /* @__PURE__ */ binaryOp('sub');
const mulOp = /* @__PURE__ */ binaryOp('mul');
const divOp = /* @__PURE__ */ binaryOp('div');
const powOp = /* @__PURE__ */ binaryOp('pow');
const modOp = /* @__PURE__ */ binaryOp('mod');
const minimumOp = /* @__PURE__ */ binaryOp('minimum');
const maximumOp = /* @__PURE__ */ binaryOp('maximum');

export const binaryOps = {
  add: addOp,
  sub: subOp,
  mul: mulOp,
  div: divOp,
  pow: powOp,
  mod: modOp,
  minimum: minimumOp,
  maximum: maximumOp,
};

/** The types that arithmetic takes: both operands have the same. */
export type NumericType = 'float32' | 'int32';

/** Runs an operation of two operands, of which one may be a number. @throws ArgumentError if both are */
export function applyBinary<A, D extends DType>(
  name: string,
  op: Op<A & BinaryAttrs>,
  a: AnyTensor | number,
  b: AnyTensor | number,
  attrs: A,
): Tensor<D> {
  if (typeof a !== 'number') {
    return typeof b === 'number' ? apply(name, op, [a], { ...attrs, b }) : apply(name, op, [a, b], attrs);
  }
  if (typeof b === 'number') refuse(name, 'b', b, 'a tensor, as a is a number');
  return apply(name, op, [b], { ...attrs, a });
}

/** A tensor, or a number that stands for one. */
export type Operand<D extends DType = 'float32'> = Tensor<D> | number;

/**
 * a + b. Shapes broadcast as in NumPy: aligned at the last axis, missing or size-1 axes stretch. Both are float32 or both int32; one may
 * be a number.
 * @throws ShapeError, ArgumentError
 */
export const add = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Tensor<D> =>
  applyBinary('add', addOp, a, b, {});
/** a − b, with operands as in `add`. @throws ShapeError, ArgumentError */
export const sub = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Tensor<D> =>
  applyBinary('sub', subOp, a, b, {});
/** a·b, broadcastTo, with operands as in `add`. @throws ShapeError, ArgumentError */
export const mul = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Tensor<D> =>
  applyBinary('mul', mulOp, a, b, {});
/**
 * a / b, broadcastTo, with operands as in `add`. Quotients of int32 are rounded towards 0, and a / 0 is a.
 * @throws ShapeError, ArgumentError
 */
export const div = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Tensor<D> =>
  applyBinary('div', divOp, a, b, {});
/**
 * aᵇ, broadcastTo, with operands as in `add`, but float32 only. a⁰ is 1; a below 0 has powers with whole b only, others are NaN; unlike
 * in IEEE 754, NaN in a or b always gives NaN. Whole b up to ±16 make products; for others, the relative error grows with |b·log₂ a|.
 * The gradient by a at b = 0 is 0, that by b at a = 0 is 0 for b ≥ 0, and that by b for a below 0 is NaN.
 * @throws ShapeError, ArgumentError
 */
export const pow = (a: Operand, b: Operand): Tensor => applyBinary('pow', powOp, a, b, {});
/**
 * The rest of a / b with the sign of b, as Python's `%`: a − b·⌊a/b⌋ without rounding in between, with operands as in `add`. By 0 it
 * is NaN (int32: 0). The gradient by b is −⌊a/b⌋.
 * @throws ShapeError, ArgumentError
 */
export const mod = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Tensor<D> =>
  applyBinary('mod', modOp, a, b, {});
/**
 * The smaller of a and b, broadcastTo, with operands as in `add`. NaN in a or b gives NaN. Where a = b, each gets half of the
 * gradient, as in PyTorch.
 * @throws ShapeError, ArgumentError
 */
export const minimum = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Tensor<D> =>
  applyBinary('minimum', minimumOp, a, b, {});
/** The larger of a and b, broadcastTo, otherwise as `minimum`. @throws ShapeError, ArgumentError */
export const maximum = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Tensor<D> =>
  applyBinary('maximum', maximumOp, a, b, {});

/** Where each element of the output shape reads a (broadcast) input. */
function broadcastOffsets(x: NdArray, shape: Shape): Int32Array {
  return stridedOffsets(shape, broadcastStrides(x.shape, shape));
}

/** Both operands as arrays, a number as one without axes. */
export function arraysOf(inputs: readonly NdArray[], { a, b }: { a?: number; b?: number }): [NdArray, NdArray] {
  const rest = [...inputs];
  const next = (given: number | undefined): NdArray => (given === undefined ? rest.shift()! : scalar(given));
  return [next(a), next(b)];
}

/** An operation z = f(a, b) with broadcasting, with its partial derivatives. */
function binaryReference(
  f: (a: number, b: number) => number,
  byA: (a: number, b: number) => number,
  byB: (a: number, b: number) => number,
): ReferenceRule<BinaryAttrs> {
  return {
    forward(inputs, attrs, shape) {
      const out = zeros(shape);
      const [a, b] = arraysOf(inputs, attrs);
      const [ia, ib] = [broadcastOffsets(a, shape), broadcastOffsets(b, shape)];
      for (let i = 0; i < out.data.length; i++) out.data[i] = f(a.data[ia[i]], b.data[ib[i]]);
      return out;
    },
    backward(inputs, _output, dy, attrs) {
      const [a, b] = arraysOf(inputs, attrs);
      const [ia, ib] = [broadcastOffsets(a, dy.shape), broadcastOffsets(b, dy.shape)];
      const gradient = (x: NdArray, offsets: Int32Array, partial: (a: number, b: number) => number): NdArray => {
        const each = map(dy, (d, i) => d * partial(a.data[ia[i]], b.data[ib[i]]));
        return sameShape(x.shape, dy.shape) ? each : scatterAdd(zeros(x.shape), offsets, each);
      };
      const both = [gradient(a, ia, byA), gradient(b, ib, byB)];
      return both.filter((_, k) => attrs[k === 0 ? 'a' : 'b'] === undefined);
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

/** Whether JavaScript's rest, which has the sign of a, has another sign than b. */
const isOther = (a: number, b: number): boolean => a % b !== 0 && a % b < 0 !== b < 0;

export const modReference = /* @__PURE__ */ binaryReference(
  (a, b) => (isOther(a, b) ? (a % b) + b : a % b),
  () => 1,
  (a, b) => Number(isOther(a, b)) - Math.round((a - (a % b)) / b),
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
  mod: modReference,
  minimum: minimumReference,
  maximum: maximumReference,
};
