import type { OpAttrs } from '../common/op-attrs.js';
import { mseShape } from '../common/op-shapes.js';
import { chooseMse, type MseConfig, mseGradientKernel, msePartialsKernel } from '../kernels/mse.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { lossSum } from './loss-sum.js';

/** The operation, split up as `choose` says; tests replace the default by the naive way. */
export function mseOp(choose: (...args: Parameters<typeof chooseMse>) => MseConfig = chooseMse): Op<OpAttrs['mse']> {
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
