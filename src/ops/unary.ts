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

/** Elementwise operations of one input, each with its attributes. */
interface UnaryAttrs {
  exp: NoAttrs;
  log: NoAttrs;
  sqrt: NoAttrs;
  abs: NoAttrs;
  square: NoAttrs;
  sigmoid: NoAttrs;
  relu: NoAttrs;
  /** min ≤ x ≤ max, either of which may be infinite; the gradient passes where min ≤ x ≤ max */
  clamp: { min: number; max: number };
  /** scale·x + offset */
  affine: { scale: number; offset: number };
  neg: NoAttrs;
  reciprocal: NoAttrs;
  sin: NoAttrs;
  cos: NoAttrs;
  tanh: NoAttrs;
  erf: NoAttrs;
  tan: NoAttrs;
  asin: NoAttrs;
  acos: NoAttrs;
  atan: NoAttrs;
  sinh: NoAttrs;
  cosh: NoAttrs;
  asinh: NoAttrs;
  acosh: NoAttrs;
  atanh: NoAttrs;
  floor: NoAttrs;
  ceil: NoAttrs;
  round: NoAttrs;
  sign: NoAttrs;
}

type UnaryName = keyof UnaryAttrs;

/** What is checked of attributes. */
const checks: { [K in UnaryName]?: (attrs: UnaryAttrs[K]) => void } = {
  clamp: ({ min, max }) => checkBounds('clamp', min, max),
  affine({ scale, offset }) {
    checkFinite('affine', 'scale', scale);
    checkFinite('affine', 'offset', offset);
  },
};

/** An infinite bound is none, and WGSL has no literal for it. */
const atLeast = (x: string, min: number): string => (min === -Infinity ? x : `max(${x}, ${f32(min)})`);
const atMost = (x: string, max: number): string => (max === Infinity ? x : `min(${x}, ${f32(max)})`);
const isWithin = (x: string, min: number, max: number): string =>
  `${atLeast(x, min)} == ${x} && ${atMost(x, max)} == ${x}`;

/** An operation's value as WGSL in x, and its derivative as WGSL in x and y, which is left out where no gradient passes. */
export interface UnaryRow {
  value: string;
  derivative?: string;
}

/** One row an operation. Kernels and gradients follow. */
const table: { [K in UnaryName]: (attrs: UnaryAttrs[K]) => UnaryRow } = {
  exp: () => ({ value: 'expOf(x)', derivative: 'y' }),
  log: () => ({ value: 'logOf(x)', derivative: '1.0 / x' }),
  sqrt: () => ({ value: 'sqrt(x)', derivative: '0.5 / y' }),
  abs: () => ({ value: 'abs(x)', derivative: 'keepNan(sign(x), x)' }),
  square: () => ({ value: 'x * x', derivative: '2.0 * x' }),
  // Written so that exp never overflows.
  sigmoid: () => ({
    value: 'keepNan(select(exp(x) / (1.0 + exp(x)), 1.0 / (1.0 + exp(-x)), x >= 0.0), x)',
    derivative: 'y * (1.0 - y)',
  }),
  // By y, so that x need not be kept.
  relu: () => ({ value: 'keepNan(max(x, 0.0), x)', derivative: 'keepNan(select(0.0, 1.0, y > 0.0), y)' }),
  clamp: ({ min, max }) => ({
    value: `keepNan(${atMost(atLeast('x', min), max)}, x)`,
    derivative: `keepNan(select(0.0, 1.0, ${isWithin('x', min, max)}), x)`,
  }),
  affine: ({ scale, offset }) => ({
    // A product with the constant 0 would be folded.
    value: scale === 0 ? `select(nanOf(x), ${f32(offset)}, isFinite(x))` : `${f32(scale)} * x + ${f32(offset)}`,
    derivative: f32(scale),
  }),
  neg: () => ({ value: '-x', derivative: '-1.0' }),
  reciprocal: () => ({ value: '1.0 / x', derivative: '-y * y' }),
  sin: () => ({ value: 'sineOf(x, 0)', derivative: 'sineOf(x, 1)' }),
  cos: () => ({ value: 'sineOf(x, 1)', derivative: 'sineOf(x, 2)' }),
  tanh: () => ({ value: 'tanhOf(x)', derivative: '1.0 - y * y' }),
  erf: () => ({ value: 'erfOf(x)', derivative: `${f32(2 / Math.sqrt(Math.PI))} * expOf(-x * x)` }),
  tan: () => ({ value: 'sineOf(x, 0) / sineOf(x, 1)', derivative: '1.0 + y * y' }),
  // By the arc tangent, which is precise at both ends.
  asin: () => ({
    value: 'atanOf(x / sqrtOf((1.0 - x) * (1.0 + x)))',
    derivative: '1.0 / sqrtOf((1.0 - x) * (1.0 + x))',
  }),
  acos: () => ({
    value: '2.0 * atanOf(sqrtOf((1.0 - x) / (1.0 + x)))',
    derivative: '-1.0 / sqrtOf((1.0 - x) * (1.0 + x))',
  }),
  atan: () => ({ value: 'atanOf(x)', derivative: '1.0 / (1.0 + x * x)' }),
  sinh: () => ({ value: 'sinhOf(x)', derivative: 'coshOf(x)' }),
  cosh: () => ({ value: 'coshOf(x)', derivative: 'sinhOf(x)' }),
  asinh: () => ({ value: 'asinhOf(x)', derivative: '1.0 / rootOf(x, 1.0)' }),
  acosh: () => ({ value: 'acoshOf(x)', derivative: '1.0 / (sqrtOf(x - 1.0) * sqrtOf(x + 1.0))' }),
  atanh: () => ({ value: 'atanhOf(x)', derivative: '1.0 / ((1.0 - x) * (1.0 + x))' }),
  floor: () => ({ value: 'keepNan(floor(x), x)' }),
  ceil: () => ({ value: 'keepNan(ceil(x), x)' }),
  round: () => ({ value: 'keepNan(round(x), x)' }),
  sign: () => ({ value: 'keepNan(sign(x), x)' }),
};

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

const unaryOp = <K extends UnaryName>(name: K): Op<UnaryAttrs[K]> => elementwiseOp(name, table[name], checks[name]);

export const unaryOps = {
  exp: /* @__PURE__ */ unaryOp('exp'),
  log: /* @__PURE__ */ unaryOp('log'),
  sqrt: /* @__PURE__ */ unaryOp('sqrt'),
  abs: /* @__PURE__ */ unaryOp('abs'),
  square: /* @__PURE__ */ unaryOp('square'),
  sigmoid: /* @__PURE__ */ unaryOp('sigmoid'),
  relu: /* @__PURE__ */ unaryOp('relu'),
  clamp: /* @__PURE__ */ unaryOp('clamp'),
  affine: /* @__PURE__ */ unaryOp('affine'),
  neg: /* @__PURE__ */ unaryOp('neg'),
  reciprocal: /* @__PURE__ */ unaryOp('reciprocal'),
  sin: /* @__PURE__ */ unaryOp('sin'),
  cos: /* @__PURE__ */ unaryOp('cos'),
  tanh: /* @__PURE__ */ unaryOp('tanh'),
  erf: /* @__PURE__ */ unaryOp('erf'),
  tan: /* @__PURE__ */ unaryOp('tan'),
  asin: /* @__PURE__ */ unaryOp('asin'),
  acos: /* @__PURE__ */ unaryOp('acos'),
  atan: /* @__PURE__ */ unaryOp('atan'),
  sinh: /* @__PURE__ */ unaryOp('sinh'),
  cosh: /* @__PURE__ */ unaryOp('cosh'),
  asinh: /* @__PURE__ */ unaryOp('asinh'),
  acosh: /* @__PURE__ */ unaryOp('acosh'),
  atanh: /* @__PURE__ */ unaryOp('atanh'),
  floor: /* @__PURE__ */ unaryOp('floor'),
  ceil: /* @__PURE__ */ unaryOp('ceil'),
  round: /* @__PURE__ */ unaryOp('round'),
  sign: /* @__PURE__ */ unaryOp('sign'),
};

/** eˣ, elementwise. */
export const exp = (x: Tensor): Tensor => apply('exp', unaryOps.exp, [x], {});
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => apply('log', unaryOps.log, [x], {});
/** Square root; its gradient at 0 is infinite. */
export const sqrt = (x: Tensor): Tensor => apply('sqrt', unaryOps.sqrt, [x], {});
/** |x|; its gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => apply('abs', unaryOps.abs, [x], {});
/** x². */
export const square = (x: Tensor): Tensor => apply('square', unaryOps.square, [x], {});
/** 1 / (1 + e⁻ˣ). */
export const sigmoid = (x: Tensor): Tensor => apply('sigmoid', unaryOps.sigmoid, [x], {});
/** x where x > 0, else 0; its gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => apply('relu', unaryOps.relu, [x], {});
/**
 * min ≤ x ≤ max; the gradient passes inside, ends included. A bound may be infinite: then it is none. The bounds are
 * written into the kernel.
 */
export const clamp = (x: Tensor, min: number, max: number): Tensor => apply('clamp', unaryOps.clamp, [x], { min, max });
/** scale·x + offset; both are written into the kernel, so factors that change every step belong in `mul`. */
export const affine = (x: Tensor, scale: number, offset = 0): Tensor =>
  apply('affine', unaryOps.affine, [x], { scale, offset });
/** −x. */
export const neg = (x: Tensor): Tensor => apply('neg', unaryOps.neg, [x], {});
/** 1 / x; infinite at 0. */
export const reciprocal = (x: Tensor): Tensor => apply('reciprocal', unaryOps.reciprocal, [x], {});
/**
 * Sine of x in radians. For |x| ≤ 8192 the error is below 2e-7; it grows for larger x, because float32 then holds too few digits of a
 * turn. The result always lies within [−1, 1], and that of an infinite x is NaN.
 */
export const sin = (x: Tensor): Tensor => apply('sin', unaryOps.sin, [x], {});
/** Cosine of x in radians, for x as in `sin`. */
export const cos = (x: Tensor): Tensor => apply('cos', unaryOps.cos, [x], {});
/** Hyperbolic tangent, without overflow. */
export const tanh = (x: Tensor): Tensor => apply('tanh', unaryOps.tanh, [x], {});
/** Error function 2/√π · ∫₀ˣ e^(−t²) dt; its error is below 5e-7. */
export const erf = (x: Tensor): Tensor => apply('erf', unaryOps.erf, [x], {});
/** Tangent of x in radians, for x as in `sin`. */
export const tan = (x: Tensor): Tensor => apply('tan', unaryOps.tan, [x], {});
/** The angle in radians whose sine is x; NaN outside of [−1, 1]. */
export const asin = (x: Tensor): Tensor => apply('asin', unaryOps.asin, [x], {});
/** The angle in radians whose cosine is x; NaN outside of [−1, 1]. */
export const acos = (x: Tensor): Tensor => apply('acos', unaryOps.acos, [x], {});
/** The angle in radians whose tangent is x. */
export const atan = (x: Tensor): Tensor => apply('atan', unaryOps.atan, [x], {});
/** Hyperbolic sine. */
export const sinh = (x: Tensor): Tensor => apply('sinh', unaryOps.sinh, [x], {});
/** Hyperbolic cosine. */
export const cosh = (x: Tensor): Tensor => apply('cosh', unaryOps.cosh, [x], {});
/** The number whose hyperbolic sine is x. */
export const asinh = (x: Tensor): Tensor => apply('asinh', unaryOps.asinh, [x], {});
/** The number whose hyperbolic cosine is x; NaN below 1. */
export const acosh = (x: Tensor): Tensor => apply('acosh', unaryOps.acosh, [x], {});
/** The number whose hyperbolic tangent is x; NaN outside of [−1, 1]. */
export const atanh = (x: Tensor): Tensor => apply('atanh', unaryOps.atanh, [x], {});
/** The largest integer that is at most x. No gradient passes. */
export const floor = (x: Tensor): Tensor => apply('floor', unaryOps.floor, [x], {});
/** The smallest integer that is at least x. No gradient passes. */
export const ceil = (x: Tensor): Tensor => apply('ceil', unaryOps.ceil, [x], {});
/** The nearest integer; of two, the even one, as in ONNX and NumPy. No gradient passes. */
export const round = (x: Tensor): Tensor => apply('round', unaryOps.round, [x], {});
/** −1, 0 or 1. No gradient passes. */
export const sign = (x: Tensor): Tensor => apply('sign', unaryOps.sign, [x], {});

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
export const clampReference = /* @__PURE__ */ unaryReference<UnaryAttrs['clamp']>(
  (x, { min, max }) => Math.min(Math.max(x, min), max),
  (x, _y, { min, max }) => within(x, min, max, 1),
);
export const affineReference = /* @__PURE__ */ unaryReference<UnaryAttrs['affine']>(
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
