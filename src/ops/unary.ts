import { f32Literal as f32 } from '../../shaders/common/literal.js';
import { operandsOf } from '../../shaders/elementwise.wgsl.js';
import { unaryGradientKernel, unaryKernel } from '../kernels/elementwise.js';
import { map } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { errorFunction, logistic, roundToEven, within } from '../reference/scalar-functions.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkBounds, checkFinite, checkInputs } from './shape-checks.js';

/** An operation's value as WGSL in x, and its derivative as WGSL in x and y, which is left out where no gradient passes. */
export interface UnaryRow {
  value: string;
  derivative?: string;
}

/** The operation of a row; `check` refuses attributes. */
export function elementwiseOp<A>(name: string, row: (attrs: A) => UnaryRow, check?: (attrs: A) => void): Op<A> {
  return {
    inputs: ['x'],
    shape(inputs, attrs) {
      checkInputs(name, inputs, ['input']);
      check?.(attrs);
      return inputs[0];
    },
    forward: ([x], attrs, shape) => ({
      output: dispatch(unaryKernel(name, row(attrs).value, x.size), [x], shape),
    }),
    backward({ inputs: [x], output, attrs, dy }) {
      const { derivative } = row(attrs);
      if (derivative === undefined) return [null];
      const operands = operandsOf(derivative).map((operand) => ({ x, y: output })[operand]);
      return [dispatch(unaryGradientKernel(name, derivative, x.size), [...operands, dy], x.shape)];
    },
  };
}

/**
 * An elementwise function without attributes: its value as WGSL in x, and its derivative as WGSL in x and y, without which no gradient
 * passes.
 */
export function unary(name: string, value: string, derivative?: string): (x: Tensor) => Tensor {
  const op = elementwiseOp<NoAttrs>(name, () => ({ value, derivative }));
  return Object.assign((x: Tensor) => apply(name, op, [x], {}), { op });
}

/** The operation of a function that `unary` made. */
export const opOf = (made: (x: Tensor) => Tensor): Op<NoAttrs> => (made as typeof made & { op: Op<NoAttrs> }).op;

/** eˣ, elementwise. @function */
export const exp = /* @__PURE__ */ unary('exp', 'expOf(x)', 'y');
/** Natural logarithm. @function */
export const log = /* @__PURE__ */ unary('log', 'logOf(x)', '1.0 / x');
/** Square root; its gradient at 0 is infinite. @function */
export const sqrt = /* @__PURE__ */ unary('sqrt', 'sqrt(x)', '0.5 / y');
/** |x|; its gradient at 0 is 0. @function */
export const abs = /* @__PURE__ */ unary('abs', 'abs(x)', 'keepNan(sign(x), x)');
/** x². @function */
export const square = /* @__PURE__ */ unary('square', 'x * x', '2.0 * x');
/** 1 / (1 + e⁻ˣ). @function */
// Written so that exp never overflows.
export const sigmoid = /* @__PURE__ */ unary(
  'sigmoid',
  'keepNan(select(exp(x) / (1.0 + exp(x)), 1.0 / (1.0 + exp(-x)), x >= 0.0), x)',
  'y * (1.0 - y)',
);
/** x where x > 0, else 0; its gradient at 0 is 0. @function */
// By y, so that x need not be kept.
export const relu = /* @__PURE__ */ unary('relu', 'keepNan(max(x, 0.0), x)', 'keepNan(select(0.0, 1.0, y > 0.0), y)');

type Bounds = { min: number; max: number };

/** An infinite bound is none, and WGSL has no literal for it. */
const atLeast = (x: string, min: number): string => (min === -Infinity ? x : `max(${x}, ${f32(min)})`);
const atMost = (x: string, max: number): string => (max === Infinity ? x : `min(${x}, ${f32(max)})`);
const isWithin = (x: string, min: number, max: number): string =>
  `${atLeast(x, min)} == ${x} && ${atMost(x, max)} == ${x}`;

const clampOp = /* @__PURE__ */ elementwiseOp<Bounds>(
  'clamp',
  ({ min, max }) => ({
    value: `keepNan(${atMost(atLeast('x', min), max)}, x)`,
    derivative: `keepNan(select(0.0, 1.0, ${isWithin('x', min, max)}), x)`,
  }),
  ({ min, max }) => checkBounds('clamp', min, max),
);

/**
 * min ≤ x ≤ max; the gradient passes inside, ends included. A bound may be infinite: then it is none. The bounds are
 * written into the kernel.
 */
export const clamp = (x: Tensor, min: number, max: number): Tensor => apply('clamp', clampOp, [x], { min, max });

type Line = { scale: number; offset: number };

const affineOp = /* @__PURE__ */ elementwiseOp<Line>(
  'affine',
  ({ scale, offset }) => ({
    // A product with the constant 0 would be folded.
    value: scale === 0 ? `select(nanOf(x), ${f32(offset)}, isFinite(x))` : `${f32(scale)} * x + ${f32(offset)}`,
    derivative: f32(scale),
  }),
  ({ scale, offset }) => {
    checkFinite('affine', 'scale', scale);
    checkFinite('affine', 'offset', offset);
  },
);

/** scale·x + offset; both are written into the kernel, so factors that change every step belong in `mul`. */
export const affine = (x: Tensor, scale: number, offset = 0): Tensor =>
  apply('affine', affineOp, [x], { scale, offset });

/** −x. @function */
export const neg = /* @__PURE__ */ unary('neg', '-x', '-1.0');
/** 1 / x; infinite at 0. @function */
export const reciprocal = /* @__PURE__ */ unary('reciprocal', '1.0 / x', '-y * y');
/**
 * Sine of x in radians. For |x| ≤ 8192 the error is below 2e-7; it grows for larger x, because float32 then holds too few digits of a
 * turn. The result always lies within [−1, 1], and that of an infinite x is NaN.
 * @function
 */
export const sin = /* @__PURE__ */ unary('sin', 'sineOf(x, 0)', 'sineOf(x, 1)');
/** Cosine of x in radians, for x as in `sin`. @function */
export const cos = /* @__PURE__ */ unary('cos', 'sineOf(x, 1)', 'sineOf(x, 2)');
/** Hyperbolic tangent, without overflow. @function */
export const tanh = /* @__PURE__ */ unary('tanh', 'tanhOf(x)', '1.0 - y * y');
/** Error function 2/√π · ∫₀ˣ e^(−t²) dt; its error is below 5e-7. @function */
// The factor is 2/√π.
export const erf = /* @__PURE__ */ unary('erf', 'erfOf(x)', '1.1283791670955126 * expOf(-x * x)');
/** Tangent of x in radians, for x as in `sin`. @function */
export const tan = /* @__PURE__ */ unary('tan', 'sineOf(x, 0) / sineOf(x, 1)', '1.0 + y * y');
/** The angle in radians whose sine is x; NaN outside of [−1, 1]. @function */
// By the arc tangent, which is precise at both ends.
export const asin = /* @__PURE__ */ unary(
  'asin',
  'atanOf(x / sqrtOf((1.0 - x) * (1.0 + x)))',
  '1.0 / sqrtOf((1.0 - x) * (1.0 + x))',
);
/** The angle in radians whose cosine is x; NaN outside of [−1, 1]. @function */
export const acos = /* @__PURE__ */ unary(
  'acos',
  '2.0 * atanOf(sqrtOf((1.0 - x) / (1.0 + x)))',
  '-1.0 / sqrtOf((1.0 - x) * (1.0 + x))',
);
/** The angle in radians whose tangent is x. @function */
export const atan = /* @__PURE__ */ unary('atan', 'atanOf(x)', '1.0 / (1.0 + x * x)');
/** Hyperbolic sine. @function */
export const sinh = /* @__PURE__ */ unary('sinh', 'sinhOf(x)', 'coshOf(x)');
/** Hyperbolic cosine. @function */
export const cosh = /* @__PURE__ */ unary('cosh', 'coshOf(x)', 'sinhOf(x)');
/** The number whose hyperbolic sine is x. @function */
export const asinh = /* @__PURE__ */ unary('asinh', 'asinhOf(x)', '1.0 / rootOf(x, 1.0)');
/** The number whose hyperbolic cosine is x; NaN below 1. @function */
export const acosh = /* @__PURE__ */ unary('acosh', 'acoshOf(x)', '1.0 / (sqrtOf(x - 1.0) * sqrtOf(x + 1.0))');
/** The number whose hyperbolic tangent is x; NaN outside of [−1, 1]. @function */
export const atanh = /* @__PURE__ */ unary('atanh', 'atanhOf(x)', '1.0 / ((1.0 - x) * (1.0 + x))');
/** The largest integer that is at most x. No gradient passes. @function */
export const floor = /* @__PURE__ */ unary('floor', 'keepNan(floor(x), x)');
/** The smallest integer that is at least x. No gradient passes. @function */
export const ceil = /* @__PURE__ */ unary('ceil', 'keepNan(ceil(x), x)');
/** The nearest integer; of two, the even one, as in ONNX and NumPy. No gradient passes. @function */
export const round = /* @__PURE__ */ unary('round', 'keepNan(round(x), x)');
/** −1, 0 or 1. No gradient passes. @function */
export const sign = /* @__PURE__ */ unary('sign', 'keepNan(sign(x), x)');

/** The operations, for tests and references. */
export const unaryOps = /* @__PURE__ */ (() => ({
  exp: opOf(exp),
  log: opOf(log),
  sqrt: opOf(sqrt),
  abs: opOf(abs),
  square: opOf(square),
  sigmoid: opOf(sigmoid),
  relu: opOf(relu),
  clamp: clampOp,
  affine: affineOp,
  neg: opOf(neg),
  reciprocal: opOf(reciprocal),
  sin: opOf(sin),
  cos: opOf(cos),
  tanh: opOf(tanh),
  erf: opOf(erf),
  tan: opOf(tan),
  asin: opOf(asin),
  acos: opOf(acos),
  atan: opOf(atan),
  sinh: opOf(sinh),
  cosh: opOf(cosh),
  asinh: opOf(asinh),
  acosh: opOf(acosh),
  atanh: opOf(atanh),
  floor: opOf(floor),
  ceil: opOf(ceil),
  round: opOf(round),
  sign: opOf(sign),
}))();

/** An operation y = f(x) with its derivative as a function of x and y; without one, no gradient passes. */
export function unaryReference<A>(
  f: (x: number, attrs: A) => number,
  derivative?: (x: number, y: number, attrs: A) => number,
): ReferenceRule<A> {
  return {
    forward: ([x], attrs) => map(x, (v) => f(v, attrs)),
    backward: ([x], y, dy, attrs) => [
      derivative ? map(dy, (d, i) => d * derivative(x.data[i], y.data[i], attrs)) : null,
    ],
  };
}

/** The same rows in float64: value and derivative, the latter in x and y. */
export const expReference = /* @__PURE__ */ unaryReference(Math.exp, (_x, y) => y);
export const logReference = /* @__PURE__ */ unaryReference(Math.log, (x) => 1 / x);
export const sqrtReference = /* @__PURE__ */ unaryReference(Math.sqrt, (_x, y) => 0.5 / y);
export const absReference = /* @__PURE__ */ unaryReference(Math.abs, Math.sign);
export const squareReference = /* @__PURE__ */ unaryReference(
  (x) => x * x,
  (x) => 2 * x,
);
export const sigmoidReference = /* @__PURE__ */ unaryReference(logistic, (_x, y) => y * (1 - y));
export const reluReference = /* @__PURE__ */ unaryReference(
  (x) => Math.max(x, 0),
  (x) => (Number.isNaN(x) ? Number.NaN : Number(x > 0)),
);
export const clampReference = /* @__PURE__ */ unaryReference<Bounds>(
  (x, { min, max }) => Math.min(Math.max(x, min), max),
  (x, _y, { min, max }) => within(x, min, max, 1),
);
export const affineReference = /* @__PURE__ */ unaryReference<Line>(
  (x, { scale, offset }) => scale * x + offset,
  (_x, _y, { scale }) => scale,
);
export const negReference = /* @__PURE__ */ unaryReference(
  (x) => -x,
  () => -1,
);
export const reciprocalReference = /* @__PURE__ */ unaryReference(
  (x) => 1 / x,
  (x) => -1 / (x * x),
);
export const sinReference = /* @__PURE__ */ unaryReference(Math.sin, Math.cos);
export const cosReference = /* @__PURE__ */ unaryReference(Math.cos, (x) => -Math.sin(x));
export const tanhReference = /* @__PURE__ */ unaryReference(Math.tanh, (_x, y) => 1 - y * y);
export const erfReference = /* @__PURE__ */ unaryReference(
  errorFunction,
  (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x),
);
export const tanReference = /* @__PURE__ */ unaryReference(Math.tan, (_x, y) => 1 + y * y);
export const asinReference = /* @__PURE__ */ unaryReference(Math.asin, (x) => 1 / Math.sqrt(1 - x * x));
export const acosReference = /* @__PURE__ */ unaryReference(Math.acos, (x) => -1 / Math.sqrt(1 - x * x));
export const atanReference = /* @__PURE__ */ unaryReference(Math.atan, (x) => 1 / (1 + x * x));
export const sinhReference = /* @__PURE__ */ unaryReference(Math.sinh, Math.cosh);
export const coshReference = /* @__PURE__ */ unaryReference(Math.cosh, Math.sinh);
export const asinhReference = /* @__PURE__ */ unaryReference(Math.asinh, (x) => 1 / Math.hypot(x, 1));
export const acoshReference = /* @__PURE__ */ unaryReference(
  Math.acosh,
  (x) => 1 / Math.sqrt(x - 1) / Math.sqrt(x + 1),
);
export const atanhReference = /* @__PURE__ */ unaryReference(Math.atanh, (x) => 1 / (1 - x) / (1 + x));
export const floorReference = /* @__PURE__ */ unaryReference(Math.floor);
export const ceilReference = /* @__PURE__ */ unaryReference(Math.ceil);
export const roundReference = /* @__PURE__ */ unaryReference(roundToEven);
export const signReference = /* @__PURE__ */ unaryReference(Math.sign);

export const unaryReferences = {
  exp: expReference,
  log: logReference,
  sqrt: sqrtReference,
  abs: absReference,
  square: squareReference,
  sigmoid: sigmoidReference,
  relu: reluReference,
  clamp: clampReference,
  affine: affineReference,
  neg: negReference,
  reciprocal: reciprocalReference,
  sin: sinReference,
  cos: cosReference,
  tanh: tanhReference,
  erf: erfReference,
  tan: tanReference,
  asin: asinReference,
  acos: acosReference,
  atan: atanReference,
  sinh: sinhReference,
  cosh: coshReference,
  asinh: asinhReference,
  acosh: acoshReference,
  atanh: atanhReference,
  floor: floorReference,
  ceil: ceilReference,
  round: roundReference,
  sign: signReference,
};
