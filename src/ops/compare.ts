import { broadcastShapes, broadcastStrides, type Shape } from '../common/shapes.js';
import { map, type NdArray, scatterAdd, stridedOffsets, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { checkDtype, checkDtypes, type DType, sameDtype } from '../tensor/dtype.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import { type AnyTensor, scope, type Tensor } from '../tensor/tensor.js';
import {
  applyBinary,
  arraysOf,
  type BinaryAttrs,
  binaryShape,
  bothOperands,
  broadcastTo,
  checkNumbers,
  type NumericType,
  type Operand,
} from './binary.js';
import { sumToShape } from './reduce.js';
import { checkInputs } from './shape-checks.js';

// Operations that ask, choose and convert: masks (tensors of bool), and tensors made of them.

/** WGSL of a condition on x0 and x1, and the types that it takes. Masks are 0 and 1. */
interface Condition {
  value: string;
  types: readonly DType[];
}

/** False where a or b is NaN, which compilers may overlook. */
const ordered = (condition: string): string => `(${condition}) & !isNan(x0) & !isNan(x1)`;
const NUMBERS = ['float32', 'int32'] as const;
const ALL = ['float32', 'int32', 'bool'] as const;
const MASKS = ['bool'] as const;

/** Conditions on two tensors. */
const conditions = {
  equal: { value: 'x0 == x1', types: ALL },
  less: { value: 'x0 < x1', types: NUMBERS },
  lessEqual: { value: 'x0 <= x1', types: NUMBERS },
  greater: { value: 'x0 > x1', types: NUMBERS },
  greaterEqual: { value: 'x0 >= x1', types: NUMBERS },
  logicalAnd: { value: '(x0 & x1) != U()', types: MASKS },
  logicalOr: { value: '(x0 | x1) != U()', types: MASKS },
  logicalXor: { value: '(x0 ^ x1) != U()', types: MASKS },
} as const satisfies Record<string, Condition>;

type ConditionName = keyof typeof conditions;

function conditionOp(name: ConditionName): Op<BinaryAttrs> {
  const { value, types }: Condition = conditions[name];
  return {
    inputs: ['a', 'b'],
    shape: (inputs, attrs) => binaryShape(name, inputs, attrs),
    dtype(inputs, attrs) {
      checkNumbers(name, attrs, sameDtype(name, inputs, types));
      return 'bool';
    },
    forward(inputs, attrs, shape) {
      const isFloat = inputs[0].dtype === 'float32';
      const expression = `U(${isFloat ? ordered(value) : value})`;
      const result = broadcastTo(name, expression, bothOperands(inputs, attrs), shape, { result: 'bool' });
      return { output: result as AnyTensor as Tensor };
    },
    backward: ({ inputs }) => inputs.map(() => null),
  };
}

/** A mask of what holds for each element of one tensor: WGSL on x0. */
function maskOp(name: string, value: string, types: readonly DType[]): Op<NoAttrs> {
  return {
    inputs: ['x'],
    shape(inputs) {
      checkInputs(name, inputs, ['input']);
      return inputs[0];
    },
    dtype(inputs) {
      checkDtypes(name, inputs, types);
      return 'bool';
    },
    forward: ([x], _attrs, shape) => ({
      output: broadcastTo(name, value, [x], shape, { result: 'bool' }) as AnyTensor as Tensor,
    }),
    backward: () => [null],
  };
}

const whereOp: Op<BinaryAttrs> = {
  inputs: ['condition', 'a', 'b'],
  shape([condition, ...inputs], attrs) {
    const names = ['a', 'b'].filter((_, k) => attrs[k === 0 ? 'a' : 'b'] === undefined);
    checkInputs('where', [condition, ...inputs], ['condition', ...names]);
    return inputs.reduce((shape, input) => broadcastShapes(shape, input, 'where'), condition);
  },
  dtype([condition, ...inputs], attrs) {
    checkDtypes('where', [condition], MASKS, ['condition']);
    const dtype = sameDtype('where', inputs);
    checkNumbers('where', attrs, dtype);
    return dtype;
  },
  forward([condition, ...inputs], attrs, shape) {
    const operands = [condition, ...bothOperands(inputs, attrs)];
    const result: DType = inputs[0].dtype;
    return { output: broadcastTo('where', 'select(x2, x1, x0 != U())', operands, shape, { result }) as Tensor };
  },
  backward({ inputs: [condition, ...inputs], attrs, dy, needs }) {
    const gradients = inputs.map((operand, k) => {
      if (!needs[k + 1] || (operand as AnyTensor).dtype !== 'float32') return null;
      const isA = k === 0 && attrs.a === undefined;
      const expression = isA ? 'select(V(), x1, x0 != U())' : 'select(x1, V(), x0 != U())';
      return scope(dy.gpu, () =>
        sumToShape(broadcastTo('where gradient', expression, [condition, dy], dy.shape), operand.shape),
      );
    });
    return [null, ...gradients];
  },
};

export interface CastAttrs {
  dtype: DType;
}

/** WGSL that converts x0, by the types from and to. */
const conversions: Record<DType, Record<DType, string>> = {
  float32: {
    float32: 'x0',
    int32: 'select(I(clamp(x0, V(-2147483648.0), V(2147483520.0))), I(), isNan(x0))',
    bool: 'U((x0 != V()) | isNan(x0))',
  },
  int32: { float32: 'V(x0)', int32: 'x0', bool: 'U(x0 != I())' },
  bool: { float32: 'V(x0)', int32: 'I(x0)', bool: 'x0' },
};

const castOp: Op<CastAttrs> = {
  inputs: ['x'],
  shape(inputs, { dtype }) {
    checkInputs('cast', inputs, ['input']);
    checkDtype('cast', dtype);
    return inputs[0];
  },
  dtype: (_inputs, { dtype }) => dtype,
  forward([x], { dtype }, shape) {
    const from: DType = x.dtype;
    if (from === dtype) return { output: x.view(shape) };
    return {
      output: broadcastTo('cast', conversions[from][dtype], [x], shape, { result: dtype }) as AnyTensor as Tensor,
    };
  },
  backward: ({ inputs: [x], attrs: { dtype }, dy }) => [
    dtype === 'float32' && (x as AnyTensor).dtype === 'float32' ? dy.view(x.shape) : null,
  ],
};

const equalOp = /* @__PURE__ */ conditionOp('equal');
const lessOp = /* @__PURE__ */ conditionOp('less');
const lessEqualOp = /* @__PURE__ */ conditionOp('lessEqual');
const greaterOp = /* @__PURE__ */ conditionOp('greater');
const greaterEqualOp = /* @__PURE__ */ conditionOp('greaterEqual');
const logicalAndOp = /* @__PURE__ */ conditionOp('logicalAnd');
const logicalOrOp = /* @__PURE__ */ conditionOp('logicalOr');
const logicalXorOp = /* @__PURE__ */ conditionOp('logicalXor');
const logicalNotOp = /* @__PURE__ */ maskOp('logicalNot', 'x0 ^ U(1u)', MASKS);
const isNanOp = /* @__PURE__ */ maskOp('isNan', 'U(isNan(x0))', ['float32']);
const isInfOp = /* @__PURE__ */ maskOp('isInf', 'U(!isFinite(x0) & !isNan(x0))', ['float32']);

export const compareOps = {
  equal: equalOp,
  less: lessOp,
  lessEqual: lessEqualOp,
  greater: greaterOp,
  greaterEqual: greaterEqualOp,
  logicalAnd: logicalAndOp,
  logicalOr: logicalOrOp,
  logicalXor: logicalXorOp,
  logicalNot: logicalNotOp,
  isNan: isNanOp,
  isInf: isInfOp,
  where: whereOp,
  cast: castOp,
};

type Mask = Tensor<'bool'>;

/**
 * A mask, true where a = b. Shapes broadcast as in `add`; both are of one type, and one may be a number. NaN equals nothing.
 * @throws ShapeError, ArgumentError
 */
export const equal = <D extends DType = 'float32'>(a: Operand<D>, b: Operand<D>): Mask =>
  applyBinary('equal', equalOp, a, b, {});
/** A mask, true where a < b, with operands as in `equal`; false where one is NaN. @throws ShapeError, ArgumentError */
export const less = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Mask =>
  applyBinary('less', lessOp, a, b, {});
/** A mask, true where a ≤ b; otherwise as `less`. @throws ShapeError, ArgumentError */
export const lessEqual = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Mask =>
  applyBinary('lessEqual', lessEqualOp, a, b, {});
/** A mask, true where a > b; otherwise as `less`. @throws ShapeError, ArgumentError */
export const greater = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Mask =>
  applyBinary('greater', greaterOp, a, b, {});
/** A mask, true where a ≥ b; otherwise as `less`. @throws ShapeError, ArgumentError */
export const greaterEqual = <D extends NumericType = 'float32'>(a: Operand<D>, b: Operand<D>): Mask =>
  applyBinary('greaterEqual', greaterEqualOp, a, b, {});
/** True where both masks are, with broadcasting. @throws ShapeError, ArgumentError */
export const logicalAnd = (a: Mask, b: Mask): Mask => applyBinary('logicalAnd', logicalAndOp, a, b, {});
/** True where one mask is, or both. @throws ShapeError, ArgumentError */
export const logicalOr = (a: Mask, b: Mask): Mask => applyBinary('logicalOr', logicalOrOp, a, b, {});
/** True where the masks differ. @throws ShapeError, ArgumentError */
export const logicalXor = (a: Mask, b: Mask): Mask => applyBinary('logicalXor', logicalXorOp, a, b, {});
/** True where the mask is not. @throws ArgumentError */
export const logicalNot = (x: Mask): Mask => apply('logicalNot', logicalNotOp, [x], {});
/** A mask, true where x is NaN. @throws ArgumentError */
export const isNan = (x: Tensor): Mask => apply('isNan', isNanOp, [x], {});
/** A mask, true where x is ∞ or −∞. @throws ArgumentError */
export const isInf = (x: Tensor): Mask => apply('isInf', isInfOp, [x], {});

/**
 * a where the condition is true, else b, with broadcasting of all three. a and b are of one type, and one may be a number. A gradient
 * reaches the one that was chosen.
 * @throws ShapeError, ArgumentError
 */
export function where<D extends DType = 'float32'>(condition: Mask, a: Operand<D>, b: Operand<D>): Tensor<D> {
  const inputs = [condition, a, b].filter((operand): operand is Tensor<D> => typeof operand !== 'number');
  // Of two numbers, the second is left out, so that the shape rule misses an input.
  const numbers = { ...(typeof a === 'number' && { a }), ...(typeof b === 'number' && inputs.length > 1 && { b }) };
  return apply('where', whereOp, inputs, numbers);
}

/**
 * The same numbers as elements of another type. float32 becomes int32 by cutting what follows the point, numbers beyond int32 become its
 * ends and NaN 0; true is 1, and every number but 0 is true. A gradient passes from float32 to float32 alone.
 * @throws ArgumentError for a type that is not 'float32', 'int32' or 'bool'
 */
export const cast = <D extends DType>(x: AnyTensor, dtype: D): Tensor<D> => apply('cast', castOp, [x], { dtype });

/** Where each element of `shape` reads an operand. */
const offsetsOf = (x: NdArray, shape: Shape): Int32Array => stridedOffsets(shape, broadcastStrides(x.shape, shape));

const conditionReference = (of: (a: number, b: number) => boolean): ReferenceRule<{ a?: number; b?: number }> => ({
  forward(inputs, attrs, shape) {
    const [a, b] = arraysOf(inputs, attrs);
    const [ia, ib] = [offsetsOf(a, shape), offsetsOf(b, shape)];
    return map(zeros(shape), (_, i) => Number(of(a.data[ia[i]], b.data[ib[i]])));
  },
  backward: (inputs) => inputs.map(() => null),
});

const questionReference = (of: (x: number) => boolean): ReferenceRule<unknown> => ({
  forward: ([x]) => map(x, (value) => Number(of(value))),
  backward: () => [null],
});

export const whereReference: ReferenceRule<{ a?: number; b?: number }> = {
  forward([condition, ...inputs], attrs, shape) {
    const [a, b] = arraysOf(inputs, attrs);
    const [ic, ia, ib] = [condition, a, b].map((x) => offsetsOf(x, shape));
    return map(zeros(shape), (_, i) => (condition.data[ic[i]] > 0 ? a.data[ia[i]] : b.data[ib[i]]));
  },
  backward([condition, ...inputs], _output, dy, attrs) {
    const ic = offsetsOf(condition, dy.shape);
    const gradients = arraysOf(inputs, attrs).map((x, k) => {
      const chosen = map(dy, (d, i) => (condition.data[ic[i]] > 0 === (k === 0) ? d : 0));
      return scatterAdd(zeros(x.shape), offsetsOf(x, dy.shape), chosen);
    });
    return [null, ...gradients.filter((_, k) => attrs[k === 0 ? 'a' : 'b'] === undefined)];
  },
};

/** Of float32, as that is what finite differences ask. */
export const castReference: ReferenceRule<CastAttrs> = {
  forward([x], { dtype }) {
    if (dtype === 'float32') return map(x, (value) => value);
    if (dtype === 'bool') return map(x, (value) => Number(value !== 0));
    return map(x, (value) => (Number.isNaN(value) ? 0 : Math.trunc(Math.min(Math.max(value, -(2 ** 31)), 2147483520))));
  },
  backward: (_inputs, _output, dy, { dtype }) => [dtype === 'float32' ? map(dy, (d) => d) : null],
};

export const compareReferences = {
  equal: /* @__PURE__ */ conditionReference((a, b) => a === b),
  less: /* @__PURE__ */ conditionReference((a, b) => a < b),
  lessEqual: /* @__PURE__ */ conditionReference((a, b) => a <= b),
  greater: /* @__PURE__ */ conditionReference((a, b) => a > b),
  greaterEqual: /* @__PURE__ */ conditionReference((a, b) => a >= b),
  logicalAnd: /* @__PURE__ */ conditionReference((a, b) => a > 0 && b > 0),
  logicalOr: /* @__PURE__ */ conditionReference((a, b) => a > 0 || b > 0),
  logicalXor: /* @__PURE__ */ conditionReference((a, b) => a > 0 !== b > 0),
  logicalNot: /* @__PURE__ */ questionReference((x) => x === 0),
  isNan: /* @__PURE__ */ questionReference((x) => Number.isNaN(x)),
  isInf: /* @__PURE__ */ questionReference((x) => Math.abs(x) === Infinity),
  where: whereReference,
  cast: castReference,
};
