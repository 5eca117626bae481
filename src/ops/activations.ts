import { f32Literal as f32 } from '../../shaders/common/literal.js';
import { checkOptions, refuse } from '../common/arguments.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { errorFunction, logistic } from '../reference/scalar-functions.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkFinite, checkNotNegative, checkPositive } from './shape-checks.js';
import { elementwiseOp, type UnaryRow, unaryReference } from './unary.js';

/** Activations, each with its attributes. */
interface ActivationAttrs {
  /** slope·x below 0 */
  leakyRelu: { slope: number };
  /** alpha·(eˣ − 1) below 0 */
  elu: { alpha: number };
  selu: NoAttrs;
  /** by the error function, or nearly so by tanh */
  gelu: { approximate: 'none' | 'tanh' };
  silu: NoAttrs;
  softplus: NoAttrs;
  /** alpha·x + beta, within [0, 1] */
  hardSigmoid: { alpha: number; beta: number };
  hardSwish: NoAttrs;
}

type ActivationName = keyof ActivationAttrs;

/** What is checked of attributes. */
const checks: { [K in ActivationName]?: (attrs: ActivationAttrs[K]) => void } = {
  leakyRelu: ({ slope }) => checkFinite('leakyRelu', 'slope', slope),
  elu: ({ alpha }) => checkNotNegative('elu', 'alpha', alpha),
  gelu({ approximate }) {
    if (!['none', 'tanh'].includes(approximate)) refuse('gelu', 'approximate', approximate, '"none" or "tanh"');
  },
  hardSigmoid({ alpha, beta }) {
    checkPositive('hardSigmoid', 'alpha', alpha);
    checkFinite('hardSigmoid', 'beta', beta);
  },
};

/** scale·x above 0 and depth·(eˣ − 1) below; the derivative is by y, so that x need not be kept. */
const eluRow = (scale: number, depth: number): UnaryRow => ({
  value: `keepNan(select(${f32(depth)} * expm1Of(x), ${f32(scale)} * x, x > 0.0), x)`,
  derivative: `keepNan(select(y + ${f32(depth)}, ${f32(scale)}, y > 0.0), y)`,
});

/** x·Φ(x), by erf or by tanh. Beyond ±20, Φ is 0 or 1 in float32; so c stands for x, and an infinite x, times 0, gives no NaN. */
function geluRow(approximate: 'none' | 'tanh'): UnaryRow {
  const c = 'clamp(x, -20.0, 20.0)';
  if (approximate === 'none') {
    const distribution = `0.5 * erfcOf(${f32(-Math.SQRT1_2)} * x)`;
    const density = `${f32(1 / Math.sqrt(2 * Math.PI))} * exp(-0.5 * ${c} * ${c})`;
    return {
      value: `keepNan(max(x, -20.0) * (${distribution}), x)`,
      derivative: `keepNan(${distribution} + ${c} * ${density}, x)`,
    };
  }
  // (1 + tanh u) / 2 is the sigmoid of 2u.
  const twoU = `${f32(Math.sqrt(8 / Math.PI))} * ${c} * (1.0 + 0.044715 * ${c} * ${c})`;
  const slope = `${f32(Math.sqrt(8 / Math.PI))} * (1.0 + ${f32(3 * 0.044715)} * ${c} * ${c})`;
  return {
    value: `keepNan(max(x, -20.0) * sigmoidOf(${twoU}), x)`,
    derivative: `keepNan(sigmoidOf(${twoU}) * (1.0 + ${c} * sigmoidOf(-(${twoU})) * ${slope}), x)`,
  };
}

/** One row an operation: its value as WGSL in x, its derivative as WGSL in x and y. */
const table: { [K in ActivationName]: (attrs: ActivationAttrs[K]) => UnaryRow } = {
  leakyRelu({ slope }) {
    // A product with the constant 0 would be folded.
    const below = slope === 0 ? '0.0' : `${f32(slope)} * x`;
    // By y where it has the sign of x, so that x need not be kept.
    const by = slope < 0 ? 'x' : 'y';
    return {
      value: `keepNan(select(${below}, x, x > 0.0), x)`,
      derivative: `keepNan(select(${f32(slope)}, 1.0, ${by} > 0.0), ${by})`,
    };
  },
  elu: ({ alpha }) => eluRow(1, alpha),
  selu: () => eluRow(1.0507009873554805, 1.0507009873554805 * 1.6732632423543772),
  gelu: ({ approximate }) => geluRow(approximate),
  // Beyond ±200 the sigmoid is 0 or 1 in float32; so an infinite x, times 0, gives no NaN.
  silu: () => ({
    value: 'keepNan(max(x, -200.0) * sigmoidOf(x), x)',
    derivative: 'keepNan(sigmoidOf(x) * (1.0 + clamp(x, -200.0, 200.0) * sigmoidOf(-x)), x)',
  }),
  softplus: () => ({ value: 'softplusOf(x)', derivative: 'sigmoidOf(x)' }),
  hardSigmoid: ({ alpha, beta }) => ({
    value: `keepNan(clamp(${f32(alpha)} * x + ${f32(beta)}, 0.0, 1.0), x)`,
    derivative: `keepNan(select(0.0, ${f32(alpha)}, y > 0.0 && y < 1.0), y)`,
  }),
  hardSwish: () => ({
    value: 'keepNan(max(x, -3.0) * clamp(x / 6.0 + 0.5, 0.0, 1.0), x)',
    derivative: 'keepNan(select(select(x / 3.0 + 0.5, 1.0, x >= 3.0), 0.0, x <= -3.0), x)',
  }),
};

const activationOp = <K extends ActivationName>(name: K): Op<ActivationAttrs[K]> =>
  elementwiseOp(name, table[name], checks[name]);

export const activationOps = {
  leakyRelu: /* @__PURE__ */ activationOp('leakyRelu'),
  elu: /* @__PURE__ */ activationOp('elu'),
  selu: /* @__PURE__ */ activationOp('selu'),
  gelu: /* @__PURE__ */ activationOp('gelu'),
  silu: /* @__PURE__ */ activationOp('silu'),
  softplus: /* @__PURE__ */ activationOp('softplus'),
  hardSigmoid: /* @__PURE__ */ activationOp('hardSigmoid'),
  hardSwish: /* @__PURE__ */ activationOp('hardSwish'),
};

/**
 * x where x > 0, else slope·x; its gradient at 0 is the slope. The slope is written into the kernel; `prelu` has one that is learnt.
 * @throws ArgumentError for a slope that is not finite
 */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor =>
  apply('leakyRelu', activationOps.leakyRelu, [x], { slope });
/**
 * x where x > 0, else alpha·(eˣ − 1); its gradient at 0 is alpha (Clevert et al., 2015).
 * @throws ArgumentError for an alpha that is not finite, or below 0
 */
export const elu = (x: Tensor, alpha = 1): Tensor => apply('elu', activationOps.elu, [x], { alpha });
/** 1.0507·elu(x, 1.6733), with which layers keep mean and variance (Klambauer et al., 2017). */
export const selu = (x: Tensor): Tensor => apply('selu', activationOps.selu, [x], {});
/**
 * x·Φ(x), where Φ is the normal distribution function (Hendrycks and Gimpel, 2016). With `approximate: 'tanh'` it is their
 * x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))). Of −∞ it is 0.
 * @throws ArgumentError for another `approximate`
 */
export function gelu(x: Tensor, options: { approximate?: 'none' | 'tanh' } = {}): Tensor {
  const { approximate = 'none' } = checkOptions('gelu', options, ['approximate']);
  return apply('gelu', activationOps.gelu, [x], { approximate });
}
/** x·sigmoid(x), also called swish. Of −∞ it is 0. */
export const silu = (x: Tensor): Tensor => apply('silu', activationOps.silu, [x], {});
/** ln(1 + eˣ), without overflow. */
export const softplus = (x: Tensor): Tensor => apply('softplus', activationOps.softplus, [x], {});
/**
 * alpha·x + beta, within [0, 1]; its gradient at the ends is 0. The defaults are PyTorch's and those of `hardSwish`; ONNX has 0.2
 * as the default of alpha.
 * @throws ArgumentError for an alpha that is not finite or not above 0, or a beta that is not finite
 */
export const hardSigmoid = (x: Tensor, alpha = 1 / 6, beta = 0.5): Tensor =>
  apply('hardSigmoid', activationOps.hardSigmoid, [x], { alpha, beta });
/** x·hardSigmoid(x) (Howard et al., MobileNetV3, 2019); its gradient is 0 at −3 and 1 at 3. Of −∞ it is 0. */
export const hardSwish = (x: Tensor): Tensor => apply('hardSwish', activationOps.hardSwish, [x], {});

/** x·gate(x), for gates that are 0 at −∞ and 1 at ∞. */
const gated = (x: number, gate: number): number => (x === -Infinity ? 0 : x * gate);
/** The derivative of x·gate(x), which at ±∞ is that of the gate. */
const gatedDerivative = (x: number, gate: number, derivative: number): number =>
  Math.abs(x) === Infinity ? gate : gate + x * derivative;

const [SELU_SCALE, SELU_ALPHA] = [1.0507009873554805, 1.6732632423543772];
const scaledElu = (x: number, scale: number, alpha: number): number => scale * (x > 0 ? x : alpha * Math.expm1(x));
const scaledEluDerivative = (x: number, scale: number, alpha: number): number =>
  scale * (x > 0 ? 1 : alpha * Math.exp(x));

const normalDistribution = (x: number): number => (1 + errorFunction(x / Math.SQRT2)) / 2;
const tanhOfGelu = (x: number): number => Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3));

export const leakyReluReference = /* @__PURE__ */ unaryReference<ActivationAttrs['leakyRelu']>(
  (x, { slope }) => (slope === 0 ? Math.max(x, 0) : x > 0 ? x : slope * x),
  (x, _y, { slope }) => (Number.isNaN(x) ? Number.NaN : x > 0 ? 1 : slope),
);
export const eluReference = /* @__PURE__ */ unaryReference<ActivationAttrs['elu']>(
  (x, { alpha }) => scaledElu(x, 1, alpha),
  (x, _y, { alpha }) => scaledEluDerivative(x, 1, alpha),
);
export const seluReference = /* @__PURE__ */ unaryReference(
  (x) => scaledElu(x, SELU_SCALE, SELU_ALPHA),
  (x) => scaledEluDerivative(x, SELU_SCALE, SELU_ALPHA),
);
export const geluReference = /* @__PURE__ */ unaryReference<ActivationAttrs['gelu']>(
  (x, { approximate }) => gated(x, approximate === 'none' ? normalDistribution(x) : (1 + tanhOfGelu(x)) / 2),
  (x, _y, { approximate }) => {
    if (approximate === 'none') {
      return gatedDerivative(x, normalDistribution(x), Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI));
    }
    const t = tanhOfGelu(x);
    const inner = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    return gatedDerivative(x, (1 + t) / 2, ((1 - t * t) / 2) * inner);
  },
);
export const siluReference = /* @__PURE__ */ unaryReference(
  (x) => gated(x, logistic(x)),
  (x) => gatedDerivative(x, logistic(x), logistic(x) * logistic(-x)),
);
export const softplusReference = /* @__PURE__ */ unaryReference(
  (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  logistic,
);
export const hardSigmoidReference = /* @__PURE__ */ unaryReference<ActivationAttrs['hardSigmoid']>(
  (x, { alpha, beta }) => Math.min(Math.max(alpha * x + beta, 0), 1),
  (_x, y, { alpha }) => (Number.isNaN(y) ? Number.NaN : y > 0 && y < 1 ? alpha : 0),
);
export const hardSwishReference = /* @__PURE__ */ unaryReference(
  (x) => gated(x, Math.min(Math.max(x / 6 + 0.5, 0), 1)),
  (x) => (Number.isNaN(x) ? Number.NaN : x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
);

export const activationReferences: { readonly [K in ActivationName]: ReferenceRule<ActivationAttrs[K]> } = {
  leakyRelu: leakyReluReference,
  elu: eluReference,
  selu: seluReference,
  gelu: geluReference,
  silu: siluReference,
  softplus: softplusReference,
  hardSigmoid: hardSigmoidReference,
  hardSwish: hardSwishReference,
};
