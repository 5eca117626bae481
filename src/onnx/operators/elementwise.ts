import { elu, gelu, hardSigmoid, hardSwish, leakyRelu, selu, silu, softplus } from '../../ops/activations.js';
import { add, div, maximum, minimum, mod, mul, pow, sub } from '../../ops/binary.js';
import {
  cast,
  equal,
  greater,
  greaterEqual,
  isInf,
  isNan,
  less,
  lessEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  where,
} from '../../ops/compare.js';
import { prelu } from '../../ops/prelu.js';
import {
  abs,
  acos,
  acosh,
  affine,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  clamp,
  cos,
  cosh,
  erf,
  exp,
  floor,
  log,
  neg,
  reciprocal,
  relu,
  round,
  sigmoid,
  sign,
  sin,
  sinh,
  sqrt,
  square,
  tan,
  tanh,
} from '../../ops/unary.js';
import { roundToEven } from '../../reference/scalar-functions.js';
import type { AnyTensor, Tensor } from '../../tensor/tensor.js';
import { elementwise } from '../host-arrays.js';
import type { Context, NodeView, Operator, OperatorTable } from '../operator.js';
import { hostType, isNarrow, typeName } from '../tensor-values.js';
import { GpuValue, type HostType, HostValue, type Value, viewed } from '../values.js';

/** The axis of channels-last tensors in which several tensors that are broadcast lie, or file order. */
export function together(values: readonly GpuValue[], f: (...tensors: AnyTensor[]) => AnyTensor): GpuValue {
  const rank = Math.max(...values.map(({ shape }) => shape.length));
  const isLast = rank >= 3 && values.some((value) => value.isLast && value.shape.length === rank);
  return isLast
    ? GpuValue.last(f(...values.map((value) => value.lastOf(rank))))
    : GpuValue.file(f(...values.map((value) => value.file())));
}

type Float = (x: Tensor) => Tensor;

/** An operator of one input. */
function unary(f: Float, host?: (x: number) => number): Operator {
  return {
    inputs: [1, 1],
    run: (c) => c.gpuValue(0).map(f as never),
    host: host && ((c) => elementwise([c.host(0)], c.host(0).dtype, host)),
  };
}

/** The same with attributes. */
const activation = (attributes: string, f: (c: Context) => Float): Operator => ({
  inputs: [1, 1],
  attributes,
  run: (c) => c.gpuValue(0).map(f(c) as never),
});

type Pair = (a: Tensor, b: Tensor) => Tensor;

/** An operator of two inputs that are broadcast. */
function binary(f: Pair, host: (a: number, b: number) => number, type?: HostType): Operator {
  return {
    inputs: [2, 2],
    run: (c) => together([c.gpuValue(0), c.gpuValue(1)], f as never),
    host: (c) => elementwise([c.host(0), c.host(1)], type ?? c.host(0).dtype, host),
  };
}

/** An operator of any number of inputs: f of the first two, and of each result with the next. */
function variadic(
  f: Pair,
  host: (a: number, b: number) => number,
  end?: (x: Tensor, count: number) => Tensor,
): Operator {
  return {
    inputs: [1, Infinity],
    run(c) {
      const values = c.inputValues.map((_, k) => c.gpuValue(k));
      const result = values.length === 1 ? values[0] : together(values, (...all) => (all as Tensor[]).reduce(f));
      return end ? result.map((x) => end(x as Tensor, values.length)) : result;
    },
    host: end
      ? undefined
      : (c) =>
          elementwise(
            c.inputValues.map((_, k) => c.host(k)),
            c.host(0).dtype,
            (...values) => values.reduce(host),
          ),
  };
}

/** Division of the numbers of a type: that of integers cuts off. */
const isInteger = (value: Value): boolean => value.dtype === 'int32' || value.dtype === 'int64';

export const isWhole = (x: AnyTensor): boolean => x.dtype === 'int32';

/** |x| of numbers of float32 or int32. */
export const absolute = (x: Tensor): Tensor => (isWhole(x) ? maximum(x, sub(0, x)) : abs(x));

const nan = (a: number, b: number): boolean => Number.isNaN(a) || Number.isNaN(b);

function clip(c: Context): Value {
  const x = c.gpuValue(0);
  const bound = (k: number, name: string, none: number): number | undefined => {
    if (c.opset < 11) return c.float(name, none);
    if (!c.has(k)) return none;
    return c.value(k) instanceof HostValue ? c.hostNumber(k) : undefined;
  };
  const min = bound(1, 'min', -Infinity);
  const max = bound(2, 'max', Infinity);
  if (x.dtype === 'float32' && min !== undefined && max !== undefined && min <= max) {
    return min === -Infinity && max === Infinity ? x : x.map((t) => clamp(t as Tensor, min, max));
  }
  const least = c.has(1) ? together([x, c.gpuValue(1)], maximum as never) : x;
  return c.has(2) ? together([least, c.gpuValue(2)], minimum as never) : least;
}

/** An operator that moves no element and looks at none. */
export const identity: Operator = { inputs: [1, 1], run: (c) => c.value(0), host: (c) => c.value(0) };

/** Why values of a type cannot be made. */
function refuseType(node: NodeView, attribute: string): string | false {
  const to = node.int(attribute, 0);
  return (hostType(to) === undefined || isNarrow(to)) && `makes values of ${typeName(to)}`;
}

/** A value as another type. */
export function converted(value: Value, type: HostType): Value {
  if (value.dtype === type) return value;
  if (value instanceof HostValue) {
    const integer = type === 'int32' || type === 'int64';
    return elementwise([value], type, integer ? Math.trunc : (x) => x);
  }
  const dtype = type === 'int64' ? 'int32' : type;
  return value.dtype === dtype ? value : value.map((x) => cast(x, dtype));
}

/** Powers of integers are exact below 2⁵³. */
const power = (a: number, b: number): number => (nan(a, b) ? NaN : a ** b);

/** A power has the type of its base; that of an integer is cut off, but rounded first where the exponent is an integer, too. */
function powerOf(c: Context): Value {
  const given = c.value(1);
  const isExact = given.dtype !== 'float32';
  if (given instanceof HostValue && given.size === 1 && given.data[0] === 2 && given.shape.length <= c.rank) {
    return c.gpuValue(0).map(((x: Tensor) => (isWhole(x) ? mul(x, x) : square(x))) as never);
  }
  const exponent = converted(given, 'float32');
  return together([c.gpuValue(0), c.toGpu(exponent)], ((a: Tensor, b: Tensor) => {
    if (!isWhole(a)) return pow(a, b);
    const value = pow(cast(a, 'float32'), b);
    return cast(isExact ? round(value) : value, 'int32');
  }) as never);
}

function preluOf(c: Context): Value {
  const [x, given] = [c.gpuValue(0), c.gpuValue(1)];
  const [size, channels, rank] = [given.tensors()[0].size, x.shape[1], x.shape.length];
  // A list is of the last axis, but of the channels in files where it fits nothing else.
  const isList = given.shape.length === 1 && x.shape[rank - 1] !== channels;
  const isOfChannels = size === channels && (isList || given.shape[given.shape.length - (rank - 1)] === channels);
  if (x.isLast && (size === 1 || isOfChannels)) {
    return x.map((t) => prelu(t as Tensor, viewed(given.tensors()[0], [size]) as Tensor));
  }
  const slope = isOfChannels
    ? GpuValue.file(viewed(given.file(), [channels, ...new Array<number>(rank - 2).fill(1)]))
    : given;
  // The product is with no number above 0: that of 0 and ∞ would be NaN.
  return together([x, slope], ((t: Tensor, s: Tensor) =>
    where(greater(t, 0), t, mul(s, where(greater(t, 0), 0, t)))) as never);
}

const unaryOperators = /* @__PURE__ */ ((): OperatorTable => ({
  Abs: {
    ...unary(abs, Math.abs),
    run: (c) => c.gpuValue(0).map(absolute as never),
  },
  Acos: unary(acos, Math.acos),
  Acosh: unary(acosh, Math.acosh),
  Asin: unary(asin, Math.asin),
  Asinh: unary(asinh, Math.asinh),
  Atan: unary(atan, Math.atan),
  Atanh: unary(atanh, Math.atanh),
  Ceil: unary(ceil, Math.ceil),
  Cos: unary(cos, Math.cos),
  Cosh: unary(cosh, Math.cosh),
  Erf: unary(erf),
  Exp: unary(exp, Math.exp),
  Floor: unary(floor, Math.floor),
  Log: unary(log, Math.log),
  Neg: {
    ...unary(neg, (x) => -x),
    run: (c) => c.gpuValue(0).map(((x: Tensor) => (isWhole(x) ? sub(0, x) : neg(x))) as never),
  },
  Reciprocal: unary(reciprocal, (x) => 1 / x),
  Relu: unary(
    (x) => (isWhole(x) ? maximum(x, 0) : relu(x)),
    (x) => (x < 0 ? 0 : x),
  ),
  Round: unary(round, roundToEven),
  Sigmoid: unary(sigmoid),
  Sign: unary((x) => (isWhole(x) ? maximum(minimum(x, 1), -1) : sign(x)), Math.sign),
  Sin: unary(sin, Math.sin),
  Sinh: unary(sinh, Math.sinh),
  Sqrt: unary(sqrt, Math.sqrt),
  Tan: unary(tan, Math.tan),
  Tanh: unary(tanh, Math.tanh),
  Softplus: unary(softplus),
  Softsign: unary((x) => div(x, affine(abs(x), 1, 1))),
  HardSwish: unary(hardSwish),
  Mish: unary((x) => mul(x, tanh(softplus(x)))),
  Celu: activation('alpha', (c) => (x) => affine(elu(affine(x, 1 / c.float('alpha', 1))), c.float('alpha', 1))),
  Elu: activation('alpha', (c) => (x) => elu(x, c.float('alpha', 1))),
  Gelu: activation('approximate', (c) => (x) => gelu(x, { approximate: c.text('approximate', 'none') as 'none' })),
  HardSigmoid: activation('alpha beta', (c) => (x) => hardSigmoid(x, c.float('alpha', 0.2), c.float('beta', 0.5))),
  LeakyRelu: activation('alpha', (c) => (x) => leakyRelu(x, c.float('alpha', 0.01))),
  Selu: activation('alpha gamma', (c) => {
    const [alpha, gamma] = [c.float('alpha', 1.6732632), c.float('gamma', 1.050701)];
    return (x) => (c.given('alpha') || c.given('gamma') ? affine(elu(x, alpha), gamma) : selu(x));
  }),
  Shrink: activation('bias lambd', (c) => (x) => {
    const [bias, limit] = [c.float('bias', 0), c.float('lambd', 0.5)];
    return where(less(x, -limit), affine(x, 1, bias), where(greater(x, limit), affine(x, 1, -bias), 0));
  }),
  ThresholdedRelu: activation('alpha', (c) => (x) => where(greater(x, c.float('alpha', 1)), x, 0)),
  IsNaN: { inputs: [1, 1], run: (c) => c.gpuValue(0).map(isNan as never) },
  IsInf: activation('detect_negative detect_positive', (c) => (x) => {
    const [low, high] = [c.int('detect_negative', 1), c.int('detect_positive', 1)];
    const found = isInf(x);
    if (low && high) return found as never;
    return logicalAnd(found, low ? less(x, 0) : high ? greater(x, 0) : isNan(x)) as never;
  }),
  Swish: activation('alpha', (c) => (x) => {
    const alpha = c.float('alpha', 1);
    return alpha === 1 ? silu(x) : mul(x, sigmoid(affine(x, alpha)));
  }),
}))();

const arithmetic = /* @__PURE__ */ ((): OperatorTable => ({
  Add: binary(add, (a, b) => a + b),
  Sub: binary(sub, (a, b) => a - b),
  Mul: binary(mul, (a, b) => a * b),
  Div: {
    ...binary(div, (a, b) => a / b),
    host(c) {
      const cut = isInteger(c.host(0));
      if (cut && Array.from(c.host(1).data).includes(0)) c.misfit('an integer is divided by 0');
      return elementwise([c.host(0), c.host(1)], c.host(0).dtype, (a, b) => (cut ? Math.trunc(a / b) : a / b));
    },
  },
  Pow: {
    inputs: [2, 2],
    host: (c) => elementwise([c.host(0), c.host(1)], c.host(0).dtype, power),
    run: powerOf,
  },
  Max: variadic(maximum, (a, b) => Math.max(a, b)),
  Min: variadic(minimum, (a, b) => Math.min(a, b)),
  Sum: variadic(add, (a, b) => a + b),
  Mean: variadic(
    add,
    (a, b) => a + b,
    (x, count) => affine(x, 1 / count),
  ),
  Clip: {
    inputs: [1, 3],
    attributes: 'min max',
    run: clip,
    host(c) {
      if (c.opset < 11)
        return elementwise([c.host(0)], 'float32', (x) =>
          Math.min(Math.max(x, c.float('min', -Infinity)), c.float('max', Infinity)),
        );
      const [min, max] = [c.hostNumber(1) ?? -Infinity, c.hostNumber(2) ?? Infinity];
      return elementwise([c.host(0)], c.host(0).dtype, (x) => Math.min(Math.max(x, min), max));
    },
  },
  PRelu: {
    inputs: [2, 2],
    run: preluOf,
  },
}))();

const logic = /* @__PURE__ */ ((): OperatorTable => ({
  Identity: identity,
  Cast: {
    inputs: [1, 1],
    attributes: 'to saturate round_mode',
    refuse: (node) => refuseType(node, 'to'),
    run: (c) => converted(c.value(0), hostType(c.int('to', 0))!),
    host: (c) => converted(c.value(0), hostType(c.int('to', 0))!),
  },
  CastLike: {
    inputs: [2, 2],
    attributes: 'saturate round_mode',
    run: (c) => converted(c.value(0), c.value(1).dtype),
    host: (c) => converted(c.value(0), c.value(1).dtype),
  },
  Equal: binary(equal as never, (a, b) => Number(a === b), 'bool'),
  Less: binary(less as never, (a, b) => Number(a < b), 'bool'),
  LessOrEqual: binary(lessEqual as never, (a, b) => Number(a <= b), 'bool'),
  Greater: binary(greater as never, (a, b) => Number(a > b), 'bool'),
  GreaterOrEqual: binary(greaterEqual as never, (a, b) => Number(a >= b), 'bool'),
  And: binary(logicalAnd as never, (a, b) => a & b, 'bool'),
  Or: binary(logicalOr as never, (a, b) => a | b, 'bool'),
  Xor: binary(logicalXor as never, (a, b) => a ^ b, 'bool'),
  Not: { ...unary(logicalNot as never, (x) => 1 - x) },
  Where: {
    inputs: [3, 3],
    run: (c) => together([c.gpuValue(0), c.gpuValue(1), c.gpuValue(2)], where as never),
    host: (c) => elementwise([c.host(0), c.host(1), c.host(2)], c.host(1).dtype, (on, a, b) => (on ? a : b)),
  },
  Mod: {
    inputs: [2, 2],
    attributes: 'fmod',
    run: (c) => together([c.gpuValue(0), c.gpuValue(1)], (c.int('fmod', 0) ? signedRest : mod) as never),
    host: (c) => elementwise([c.host(0), c.host(1)], c.host(0).dtype, c.int('fmod', 0) ? (a, b) => a % b : floorRest),
  },
}))();

export const elementwiseOperators = /* @__PURE__ */ ((): OperatorTable => ({
  ...unaryOperators,
  ...arithmetic,
  ...logic,
}))();

/** The rest of a / b with the sign of a, as which a zero counts, too. */
function signedRest(a: Tensor, b: Tensor): Tensor {
  const size = (x: Tensor): Tensor => maximum(x, sub(0, x));
  const rest = mod(size(a), size(b));
  return where(less(a, 0), mul(rest, -1), rest);
}

/** The same with the sign of b, of numbers on the host. */
const floorRest = (a: number, b: number): number => (a % b !== 0 && a % b < 0 !== b < 0 ? (a % b) + b : a % b);
