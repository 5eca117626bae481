import { logisticBitsGradientShader, logisticBitsShader } from '../../shaders/bits.wgsl.js';
import type { Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import {
  type ChannelWalk,
  chooseWalk,
  partialsShape,
  type WalkPurpose,
  walkKernel,
  walkScalars,
} from '../kernels/channel-walk.js';
import { map, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { logistic } from '../reference/scalar-functions.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { sumRows } from './reduce.js';
import { checkInputs, checkMinRank, checkPerChannel } from './shape-checks.js';

/*
 * logisticBits: inputs y [..., C], logScale [C] → bits of each element [..., C]: −log2 of the mass that a zero-mean logistic
 * distribution of scale exp(logScale) has on [y − ½, y + ½], floored at 2^−40.
 */

export function logisticBitsShape(inputs: readonly Shape[]): number[] {
  const op = 'logisticBits';
  checkInputs(op, inputs, ['input', 'logScale']);
  const [y, logScale] = inputs;
  checkMinRank(op, 'input', y, 1, '[...,C]');
  checkPerChannel(op, 'logScale', logScale, y[y.length - 1], 'the input');
  return [...y];
}

// y and the bits are [rows, channels], logScale is [channels]. The uniform binding takes walkScalars.

/** Bindings y, logScale, bits. */
export function logisticBitsKernel(config: ChannelWalk): Kernel {
  return walkKernel('logistic bits', logisticBitsShader(config.width), config);
}

/** Bindings y, logScale, dBits, then dy and the partial sums [parts, channels] of logScale's gradient, each if wanted. */
export function logisticBitsGradientKernel(config: ChannelWalk, wanted: { input: boolean; logScale: boolean }): Kernel {
  return walkKernel('logistic bits gradient', logisticBitsGradientShader(config.width, wanted), config);
}

/** The operation, walking tensors as `choose` says; tests replace the default by the naive plan. */
export function logisticBitsOp(choose = chooseWalk): Op<NoAttrs> {
  const planFor = (y: Tensor, logScale: Tensor, purpose: WalkPurpose) =>
    choose(y.size / logScale.size, logScale.size, y.gpu.limits, purpose);
  return {
    inputs: ['y', 'logScale'],
    shape: logisticBitsShape,
    forward([y, logScale], _, shape) {
      const config = planFor(y, logScale, 'map');
      return { output: dispatch(logisticBitsKernel(config), [y, logScale], shape, walkScalars(config)) };
    },
    backward({ inputs: [y, logScale], dy: dBits, needs: [input, needsScale] }) {
      const config = planFor(y, logScale, needsScale ? 'sum' : 'map');
      const kernel = logisticBitsGradientKernel(config, { input, logScale: needsScale });
      return scope(y.gpu, () => {
        const shapes = [...(input ? [y.shape] : []), ...(needsScale ? [partialsShape(config)] : [])];
        const results = dispatchMany(kernel, [y, logScale, dBits], shapes, walkScalars(config));
        const partials = results[results.length - 1];
        return [input ? results[0] : null, needsScale ? sumRows(partials, config.parts, logScale.size) : null];
      });
    },
  };
}

export const bitsOps = { logisticBits: /* @__PURE__ */ logisticBitsOp() };

/**
 * Bits that an ideal entropy coder spends on each element of y under a zero-mean logistic distribution of the channel's
 * own scale: −log2 of its mass on [y − ½, y + ½], at most 40. For y with additive uniform noise this estimates the rate
 * of the rounded values: Ballé, Laparra, Simoncelli 2017, arXiv 1611.01704; Ballé et al. 2018, arXiv 1802.01436.
 *
 * @param y [..., C], in integer units
 * @param logScale [C], natural logarithm of the scale in integer units
 * @returns bits, of y's shape
 * @throws ShapeError
 */
export const logisticBits = (y: Tensor, logScale: Tensor): Tensor =>
  apply('logisticBits', bitsOps.logisticBits, [y, logScale], {});

const MAX_BITS = 40;

/** log(1 + e^x), without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** 1 / scale, for scales from e^−40 to e^40: beyond them, every result is at its limit. */
const inverseScale = (logScale: number): number => Math.exp(-Math.min(Math.max(logScale, -40), 40));

/**
 * −log2(σ(u) − σ(l)) for u, l = (±½ − |y|) / s, by the symmetry of the distribution. The difference is
 * σ(u)·σ(−l)·(1 − e^−(u−l)), a product, so that nothing cancels out in the tails.
 */
function bitsOf(y: number, logScale: number): number {
  const inverse = inverseScale(logScale);
  const upper = (0.5 - Math.abs(y)) * inverse;
  const lower = (-0.5 - Math.abs(y)) * inverse;
  return (softplus(-upper) + softplus(lower) - Math.log(-Math.expm1(-inverse))) / Math.LN2;
}

export const logisticBitsReference: ReferenceRule<unknown> = {
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

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const bitsReferences = { logisticBits: logisticBitsReference };
