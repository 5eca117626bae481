import type { OpAttrs } from '../common/op-attrs.js';
import { logisticBitsShape } from '../common/op-shapes.js';
import { logisticBitsGradientKernel, logisticBitsKernel } from '../kernels/bits.js';
import { type ColumnPurpose, chooseColumns, partialsShape, planScalars } from '../kernels/columns.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { sumRows } from './reduce.js';

/** The operation, walking tensors as `choose` says; tests replace the default by the naive plan. */
export function logisticBitsOp(choose = chooseColumns): Op<OpAttrs['logisticBits']> {
  const planFor = (y: Tensor, logScale: Tensor, purpose: ColumnPurpose) =>
    choose(y.size / logScale.size, logScale.size, y.gpu.limits, purpose);
  return {
    inputs: ['y', 'logScale'],
    shape: logisticBitsShape,
    forward([y, logScale], _, shape) {
      const config = planFor(y, logScale, 'map');
      return { output: dispatch(logisticBitsKernel(config), [y, logScale], shape, planScalars(config)) };
    },
    backward({ inputs: [y, logScale], dy: dBits, needs: [input, needsScale] }) {
      const config = planFor(y, logScale, needsScale ? 'sum' : 'map');
      const kernel = logisticBitsGradientKernel(config, { input, logScale: needsScale });
      return scope(y.gpu, () => {
        const shapes = [...(input ? [y.shape] : []), ...(needsScale ? [partialsShape(config)] : [])];
        const results = dispatchMany(kernel, [y, logScale, dBits], shapes, planScalars(config));
        const partials = results[results.length - 1];
        return [input ? results[0] : null, needsScale ? sumRows(partials, config.slots, logScale.size) : null];
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
