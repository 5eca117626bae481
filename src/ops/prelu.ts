import { preluGradientShader, preluShader, type SlopeKind } from '../../shaders/prelu.wgsl.js';
import { ShapeError } from '../common/errors.js';
import { formatShape, type Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import {
  type ChannelWalk,
  chooseWalk,
  partialsShape,
  type WalkPurpose,
  walkGrid,
  walkKernel,
  walkScalars,
} from '../kernels/channel-walk.js';
import { map, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { sumRows } from './reduce.js';
import { checkInputs, checkMinRank } from './shape-checks.js';

export function preluShape(inputs: readonly Shape[]): number[] {
  checkInputs('prelu', inputs, ['input', 'slope']);
  const [x, slope] = inputs;
  checkMinRank('prelu', 'input', x, 1, '[...,C]');
  checkSlope('prelu', slope, x[x.length - 1]);
  return [...x];
}

/** Checks a slope that all channels share, or one a channel. */
export function checkSlope(op: string, slope: Shape, channels: number): void {
  if (slope.length !== 1 || (slope[0] !== 1 && slope[0] !== channels)) {
    throw new ShapeError(`${op}: slope has shape ${formatShape(slope)}; expected [1] or [${channels}]`);
  }
}

/** Bindings x, slope, y. */
export function preluKernel(config: ChannelWalk, kind: SlopeKind): Kernel {
  return { label: 'prelu', ...preluShader(config.width, kind), workgroups: walkGrid(config), pointwise: true };
}

/** Bindings x, slope, dy, then dx and the partial sums [1, parts, channels] of the slope's gradient, each if wanted. */
export function preluGradientKernel(
  config: ChannelWalk,
  kind: SlopeKind,
  wanted: { input: boolean; slope: boolean },
): Kernel {
  return walkKernel('prelu gradient', preluGradientShader(config.width, kind, wanted), config);
}

/** The operation, walking tensors as `choose` says; tests replace the default by the naive plan. */
export function preluOp(choose = chooseWalk): Op<NoAttrs> {
  const planFor = (x: Tensor, slope: Tensor, purpose: WalkPurpose) => {
    // With a shared slope, columns may cross channels; vectors that divide the size are the fastest.
    const columns = slope.size > 1 ? slope.size : x.size % 4 === 0 ? 4 : 1;
    return choose(x.size / columns, columns, x.gpu.limits, purpose);
  };
  const kindOf = (slope: Tensor) => (slope.size > 1 ? 'perChannel' : 'shared');
  return {
    inputs: ['x', 'slope'],
    shape: preluShape,
    forward([x, slope], _, shape) {
      const config = planFor(x, slope, 'map');
      return { output: dispatch(preluKernel(config, kindOf(slope)), [x, slope], shape, walkScalars(config)) };
    },
    backward({ inputs: [x, slope], dy, needs: [input, needsSlope] }) {
      const config = planFor(x, slope, needsSlope ? 'sum' : 'map');
      const kernel = preluGradientKernel(config, kindOf(slope), { input, slope: needsSlope });
      return scope(x.gpu, () => {
        const shapes = [...(input ? [x.shape] : []), ...(needsSlope ? [partialsShape(config)] : [])];
        const results = dispatchMany(kernel, [x, slope, dy], shapes, walkScalars(config));
        const dx = input ? results[0] : null;
        const partials = results[results.length - 1];
        return [dx, needsSlope ? sumRows(partials, partials.size / slope.size, slope.size) : null];
      });
    },
  };
}

export const preluOps = { prelu: /* @__PURE__ */ preluOp() };

/**
 * Parametric ReLU: x where x > 0, else slope·x. He et al. 2015, "Delving deep into rectifiers", arXiv 1502.01852.
 *
 * @param x [..., C]
 * @param slope [1] or [C]
 * @throws ShapeError
 */
export const prelu = (x: Tensor, slope: Tensor): Tensor => apply('prelu', preluOps.prelu, [x, slope], {});

export const preluReference: ReferenceRule<unknown> = {
  forward: ([x, slope]) => map(x, (v, i) => (v > 0 ? v : v * slope.data[i % slope.data.length])),
  backward([x, slope], _output, dy) {
    const slopes = slope.data.length;
    const dSlope = zeros(slope.shape);
    const dx = map(dy, (d, i) => {
      if (x.data[i] > 0) return d;
      // NaN is on neither side.
      if (Number.isNaN(x.data[i])) dSlope.data[i % slopes] = Number.NaN;
      if (Number.isNaN(x.data[i])) return Number.NaN;
      dSlope.data[i % slopes] += d * x.data[i];
      return d * slope.data[i % slopes];
    });
    return [dx, dSlope];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const preluReferences = { prelu: preluReference };
