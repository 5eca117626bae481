import type { OpAttrs } from '../common/op-attrs.js';
import { quantizationNoise } from '../common/random.js';
import { logistic, within } from './elementwise.js';
import { map, type NdArray, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

/** Nearest integer; halves go to the even neighbour, as WGSL's `round` does. */
export function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** The quantised value before the clamp. */
function unclamped(x: NdArray, attrs: OpAttrs['quantize']): NdArray {
  const { mode, scale, seed, stream } = attrs;
  if (mode === 'noise') return map(x, (v, i) => v * scale + quantizationNoise(seed, stream, i));
  return map(x, (v) => roundHalfEven(v * scale));
}

/** Additive uniform noise: Ballé, Laparra, Simoncelli 2017, "End-to-end optimized image compression", arXiv 1611.01704. */
export const quantize: ReferenceRule<OpAttrs['quantize']> = {
  forward: ([x], attrs) => map(unclamped(x, attrs), (v) => Math.min(Math.max(v, attrs.min), attrs.max)),
  backward([x], _output, dy, attrs) {
    if (attrs.mode === 'hard') return [null];
    return [map(unclamped(x, attrs), (v, i) => within(v, attrs.min, attrs.max, dy.data[i] * attrs.scale))];
  },
};

const MAX_BITS = 40;

/** log(1 + e^x), without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** 1 / scale, for scales from e^−40 to e^40: beyond them every result has reached its limit. */
const inverseScale = (logScale: number): number => Math.exp(-Math.min(Math.max(logScale, -40), 40));

/**
 * −log2(σ(u) − σ(l)) for u, l = (±½ − |y|) / s, by the symmetry of the distribution. The difference is
 * σ(u)·σ(−l)·(1 − e^−(u−l)), a product, so that nothing cancels in the tails.
 */
function bitsOf(y: number, logScale: number): number {
  const inverse = inverseScale(logScale);
  const upper = (0.5 - Math.abs(y)) * inverse;
  const lower = (-0.5 - Math.abs(y)) * inverse;
  return (softplus(-upper) + softplus(lower) - Math.log(-Math.expm1(-inverse))) / Math.LN2;
}

export const logisticBits: ReferenceRule<unknown> = {
  forward([y, logScale]) {
    const channels = logScale.data.length;
    return map(y, (v, i) => Math.min(bitsOf(v, logScale.data[i % channels]), MAX_BITS));
  },
  backward([y, logScale], _output, dy) {
    const channels = logScale.data.length;
    const dLogScale = zeros(logScale.shape);
    const dInput = map(y, (v, i) => {
      const inverse = inverseScale(logScale.data[i % channels]);
      if (bitsOf(v, logScale.data[i % channels]) > MAX_BITS) return Number.isNaN(dy.data[i]) ? Number.NaN : 0;
      const upper = (0.5 - Math.abs(v)) * inverse;
      const lower = (-0.5 - Math.abs(v)) * inverse;
      const [atUpper, atLower] = [logistic(-upper), logistic(lower)];
      const each = dy.data[i] / Math.LN2;
      dLogScale.data[i % channels] += each * (atUpper * upper - atLower * lower + inverse / Math.expm1(inverse));
      return each * Math.sign(v) * (atUpper - atLower) * inverse;
    });
    return [dInput, dLogScale];
  },
};
