import { f32Literal as f32 } from '../../shaders/common/literal.js';
import { checkOptions, refuse } from '../common/arguments.js';
import { errorFunction, logistic } from '../reference/scalar-functions.js';
import { apply, type NoAttrs } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkFinite, checkNotNegative, checkPositive } from './shape-checks.js';
import { elementwiseOp, opOf, type UnaryRow, unary, unaryReference } from './unary.js';

type Slope = { slope: number };

const leakyReluOp = /* @__PURE__ */ elementwiseOp<Slope>(
  'leakyRelu',
  ({ slope }) => {
    // A product with the constant 0 would be folded.
    const below = slope === 0 ? '0.0' : `${f32(slope)} * x`;
    // By y where it has the sign of x, so that x need not be kept.
    const by = slope < 0 ? 'x' : 'y';
    return {
      value: `keepNan(select(${below}, x, x > 0.0), x)`,
      derivative: `keepNan(select(${f32(slope)}, 1.0, ${by} > 0.0), ${by})`,
    };
  },
  ({ slope }) => checkFinite('leakyRelu', 'slope', slope),
);

/**
 * x where x > 0, else slope·x; its gradient at 0 is the slope. The slope is written into the kernel; `prelu` has one that is learnt.
 * @throws ArgumentError for a slope that is not finite
 */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor => apply('leakyRelu', leakyReluOp, [x], { slope });
/** scale·x above 0 and depth·(eˣ − 1) below; the derivative is by y, so that x need not be kept. */
const eluRow = (scale: number, depth: number): UnaryRow => ({
  value: `keepNan(select(${f32(depth)} * expm1Of(x), ${f32(scale)} * x, x > 0.0), x)`,
  derivative: `keepNan(select(y + ${f32(depth)}, ${f32(scale)}, y > 0.0), y)`,
});

type Alpha = { alpha: number };

const eluOp = /* @__PURE__ */ elementwiseOp<Alpha>(
  'elu',
  ({ alpha }) => eluRow(1, alpha),
  ({ alpha }) => checkNotNegative('elu', 'alpha', alpha),
);

/**
 * x where x > 0, else alpha·(eˣ − 1); its gradient at 0 is alpha (Clevert et al., 2015).
 * @throws ArgumentError for an alpha that is not finite, or below 0
 */
export const elu = (x: Tensor, alpha = 1): Tensor => apply('elu', eluOp, [x], { alpha });
const seluOp = /* @__PURE__ */ elementwiseOp<NoAttrs>('selu', () =>
  eluRow(1.0507009873554805, 1.0507009873554805 * 1.6732632423543772),
);

/** 1.0507·elu(x, 1.6733), with which layers keep mean and variance (Klambauer et al., 2017). */
export const selu = (x: Tensor): Tensor => apply('selu', seluOp, [x], {});
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

type Gelu = { approximate: 'none' | 'tanh' };

const geluOp = /* @__PURE__ */ elementwiseOp<Gelu>(
  'gelu',
  ({ approximate }) => geluRow(approximate),
  ({ approximate }) => {
    if (!['none', 'tanh'].includes(approximate)) refuse('gelu', 'approximate', approximate, '"none" or "tanh"');
  },
);

/**
 * x·Φ(x), where Φ is the normal distribution function (Hendrycks and Gimpel, 2016). With `approximate: 'tanh'` it is their
 * x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))). Of −∞ it is 0.
 * @throws ArgumentError for another `approximate`
 */
export function gelu(x: Tensor, options: { approximate?: 'none' | 'tanh' } = {}): Tensor {
  const { approximate = 'none' } = checkOptions('gelu', options, ['approximate']);
  return apply('gelu', geluOp, [x], { approximate });
}
/** x·sigmoid(x), also called swish. Of −∞ it is 0. @function */
// Beyond ±200 the sigmoid is 0 or 1 in float32; so an infinite x, times 0, gives no NaN.
export const silu = /* @__PURE__ */ unary(
  'silu',
  'keepNan(max(x, -200.0) * sigmoidOf(x), x)',
  'keepNan(sigmoidOf(x) * (1.0 + clamp(x, -200.0, 200.0) * sigmoidOf(-x)), x)',
);
/** ln(1 + eˣ), without overflow. @function */
export const softplus = /* @__PURE__ */ unary('softplus', 'softplusOf(x)', 'sigmoidOf(x)');
type HardSigmoid = { alpha: number; beta: number };

const hardSigmoidOp = /* @__PURE__ */ elementwiseOp<HardSigmoid>(
  'hardSigmoid',
  ({ alpha, beta }) => ({
    value: `keepNan(clamp(${f32(alpha)} * x + ${f32(beta)}, 0.0, 1.0), x)`,
    derivative: `keepNan(select(0.0, ${f32(alpha)}, y > 0.0 && y < 1.0), y)`,
  }),
  ({ alpha, beta }) => {
    checkPositive('hardSigmoid', 'alpha', alpha);
    checkFinite('hardSigmoid', 'beta', beta);
  },
);

/**
 * alpha·x + beta, within [0, 1]; its gradient at the ends is 0. The defaults are PyTorch's and those of `hardSwish`; ONNX has 0.2
 * as the default of alpha.
 * @throws ArgumentError for an alpha that is not finite or not above 0, or a beta that is not finite
 */
export const hardSigmoid = (x: Tensor, alpha = 1 / 6, beta = 0.5): Tensor =>
  apply('hardSigmoid', hardSigmoidOp, [x], { alpha, beta });
/** x·hardSigmoid(x) (Howard et al., MobileNetV3, 2019); its gradient is 0 at −3 and 1 at 3. Of −∞ it is 0. @function */
export const hardSwish = /* @__PURE__ */ unary(
  'hardSwish',
  'keepNan(max(x, -3.0) * clamp(x / 6.0 + 0.5, 0.0, 1.0), x)',
  'keepNan(select(select(x / 3.0 + 0.5, 1.0, x >= 3.0), 0.0, x <= -3.0), x)',
);

/** The operations, for tests. */
export const activationOps = /* @__PURE__ */ (() => ({
  leakyRelu: leakyReluOp,
  elu: eluOp,
  selu: seluOp,
  gelu: geluOp,
  silu: opOf(silu),
  softplus: opOf(softplus),
  hardSigmoid: hardSigmoidOp,
  hardSwish: opOf(hardSwish),
}))();

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

export const leakyReluReference = /* @__PURE__ */ unaryReference<Slope>(
  (x, { slope }) => (slope === 0 ? Math.max(x, 0) : x > 0 ? x : slope * x),
  (x, _y, { slope }) => (Number.isNaN(x) ? Number.NaN : x > 0 ? 1 : slope),
);
export const eluReference = /* @__PURE__ */ unaryReference<Alpha>(
  (x, { alpha }) => scaledElu(x, 1, alpha),
  (x, _y, { alpha }) => scaledEluDerivative(x, 1, alpha),
);
export const seluReference = /* @__PURE__ */ unaryReference(
  (x) => scaledElu(x, SELU_SCALE, SELU_ALPHA),
  (x) => scaledEluDerivative(x, SELU_SCALE, SELU_ALPHA),
);
export const geluReference = /* @__PURE__ */ unaryReference<Gelu>(
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
export const hardSigmoidReference = /* @__PURE__ */ unaryReference<HardSigmoid>(
  (x, { alpha, beta }) => Math.min(Math.max(alpha * x + beta, 0), 1),
  (_x, y, { alpha }) => (Number.isNaN(y) ? Number.NaN : y > 0 && y < 1 ? alpha : 0),
);
export const hardSwishReference = /* @__PURE__ */ unaryReference(
  (x) => gated(x, Math.min(Math.max(x / 6 + 0.5, 0), 1)),
  (x) => (Number.isNaN(x) ? Number.NaN : x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
);

export const activationReferences = {
  leakyRelu: leakyReluReference,
  elu: eluReference,
  selu: seluReference,
  gelu: geluReference,
  silu: siluReference,
  softplus: softplusReference,
  hardSigmoid: hardSigmoidReference,
  hardSwish: hardSwishReference,
};
