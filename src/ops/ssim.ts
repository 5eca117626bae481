import { withDefaults } from '../common/arguments.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { ssimShape } from '../common/op-shapes-spatial.js';
import {
  chooseRun,
  planSsim,
  type RunChoice,
  ssimColumnMomentsKernel,
  ssimGradientKernel,
  ssimKernel,
  ssimSpreadKernel,
} from '../kernels/ssim.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { lossSum } from './loss-sum.js';

/** The operation, with as many outputs an invocation as `choose` says; tests replace the default by one. */
export function ssimOp(choose: RunChoice = chooseRun): Op<OpAttrs['ssim']> {
  return {
    inputs: ['a', 'b'],
    shape: ssimShape,
    forward([a, b], attrs) {
      const { each, columns, rows, momentsShape, positionsShape } = planSsim(a.shape, attrs, choose);
      return scope(a.gpu, () => {
        const moments = dispatch(ssimColumnMomentsKernel(columns), [a, b], momentsShape, columns.scalars);
        const shapes = [positionsShape, [rows.threads]];
        const [derivatives, partials] = dispatchMany(ssimKernel(rows), [moments], shapes, rows.scalars);
        return { output: lossSum(partials, each), saved: [derivatives] };
      });
    },
    backward({ inputs: [a, b], saved: [derivatives], attrs, dy, needs: [needsA, needsB] }) {
      const { rowsBack, columnsBack, momentsShape } = planSsim(a.shape, attrs, choose);
      return scope(a.gpu, () => {
        const spread = dispatch(ssimSpreadKernel(rowsBack), [derivatives], momentsShape, rowsBack.scalars);
        const kernel = ssimGradientKernel(columnsBack, { a: needsA, b: needsB });
        const shapes = [needsA, needsB].filter(Boolean).map(() => a.shape);
        const results = dispatchMany(kernel, [spread, a, b, dy], shapes, columnsBack.scalars);
        return [needsA ? results[0] : null, needsB ? results[results.length - 1] : null];
      });
    },
  };
}

export const ssimOps = { ssim: /* @__PURE__ */ ssimOp() };

/** What `ssim` takes beside the pictures. */
export interface SsimOptions {
  /** Pixels along a side of the window, odd; default 11. */
  window?: number;
  /** Standard deviation of the Gaussian window, in pixels; default 1.5. */
  sigma?: number;
  /** Largest difference that two values may have; default 1. */
  dataRange?: number;
}

/**
 * Mean structural similarity of two batches of pictures: 1 where they are equal. Gaussian window, 'valid' borders,
 * K1 = 0.01, K2 = 0.03, each channel by itself. Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from
 * error visibility to structural similarity", eq. 13.
 *
 * @param a [N,H,W,C]
 * @param b of a's shape
 * @param options.window rows and columns of the window: odd, at most H and W (default 11)
 * @param options.sigma standard deviation of the window in pixels (default 1.5)
 * @param options.dataRange difference between the largest and the smallest possible value of a pixel (default 1)
 * @returns a scalar
 * @throws ShapeError, ArgumentError
 */
export function ssim(a: Tensor, b: Tensor, options?: SsimOptions): Tensor {
  const attrs = withDefaults('ssim', options, { window: 11, sigma: 1.5, dataRange: 1 });
  return apply('ssim', ssimOps.ssim, [a, b], attrs);
}
