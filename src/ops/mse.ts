import { type LossWidth, mseGradientShader, msePartialsShader } from '../../shaders/mse.wgsl.js';
import type { Shape } from '../common/shapes.js';
import type { Kernel, KernelLimits } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { map, scalar } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { lossSum } from './loss-sum.js';
import { checkInputs, checkSame } from './shape-checks.js';

export function mseShape(inputs: readonly Shape[]): number[] {
  checkInputs('mse', inputs, ['a', 'b']);
  checkSame('mse', inputs[0], inputs[1]);
  return [];
}

/** How two arrays of one size are compared: elements in a load, and the number of partial sums. */
export interface MseConfig {
  readonly width: LossWidth;
  readonly partials: number;
}

/** Vectors where the size allows; enough invocations to fill the device, with several loads each but no long sums. */
export function chooseMse(size: number, limits: KernelLimits): MseConfig {
  const width = size % 4 === 0 ? 4 : 1;
  const loads = size / width;
  const wanted = limits.software ? 2048 : 2 ** 16;
  return { width, partials: Math.max(Math.ceil(loads / 64), Math.min(wanted, Math.ceil(loads / 8))) };
}

/** The naive way: one invocation visits all elements in order. */
export const naiveMse = (): MseConfig => ({ width: 1, partials: 1 });

/** Bindings a, b, partials. */
export function msePartialsKernel({ width, partials }: MseConfig): Kernel {
  return elementKernel('mse', msePartialsShader(width), partials);
}

/** Bindings a, b, dy, then the gradients by a and by b, each if wanted. */
export function mseGradientKernel(size: number, { width }: MseConfig, wanted: { a: boolean; b: boolean }): Kernel {
  return elementKernel('mse gradient', mseGradientShader(width, wanted), size / width);
}

/** The operation, split up as `choose` says; tests replace the default by the naive way. */
export function mseOp(choose: (...args: Parameters<typeof chooseMse>) => MseConfig = chooseMse): Op<NoAttrs> {
  return {
    inputs: ['a', 'b'],
    shape: mseShape,
    forward([a, b]) {
      const config = choose(a.size, a.gpu.limits);
      return scope(a.gpu, () => {
        const partials = dispatch(msePartialsKernel(config), [a, b], [config.partials]);
        return { output: lossSum(partials, 1 / a.size) };
      });
    },
    backward({ inputs: [a, b], dy, needs: [needsA, needsB] }) {
      const wanted = { a: needsA, b: needsB };
      const kernel = mseGradientKernel(a.size, choose(a.size, a.gpu.limits), wanted);
      const shapes = [needsA, needsB].filter(Boolean).map(() => a.shape);
      const results = dispatchMany(kernel, [a, b, dy], shapes);
      return [needsA ? results[0] : null, needsB ? results[results.length - 1] : null];
    },
  };
}

export const mseOps = { mse: /* @__PURE__ */ mseOp() };

/**
 * Mean squared error: the mean over all elements of (a − b)², a scalar.
 *
 * @throws ShapeError unless a and b have one shape
 */
export const mse = (a: Tensor, b: Tensor): Tensor => apply('mse', mseOps.mse, [a, b], {});

export const mseReference: ReferenceRule<unknown> = {
  forward([a, b]) {
    let sum = 0;
    for (let i = 0; i < a.data.length; i++) sum += (a.data[i] - b.data[i]) ** 2;
    return scalar(sum / a.data.length);
  },
  backward([a, b], _output, dy) {
    const da = map(a, (v, i) => (2 * (v - b.data[i]) * dy.data[0]) / a.data.length);
    return [da, map(da, (v) => -v)];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const mseReferences = { mse: mseReference };
