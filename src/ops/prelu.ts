import type { OpAttrs } from '../common/op-attrs.js';
import { preluShape } from '../common/op-shapes.js';
import { type ColumnPurpose, chooseColumns, partialsShape, planScalars } from '../kernels/columns.js';
import { preluGradientKernel, preluKernel } from '../kernels/prelu.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { sumRows } from './reduce.js';

/** The operation, walking tensors as `choose` says; tests replace the default by the naive plan. */
export function preluOp(choose = chooseColumns): Op<OpAttrs['prelu']> {
  const planFor = (x: Tensor, slope: Tensor, purpose: ColumnPurpose) => {
    // A shared slope does not care where channels end: vectors that divide the size are the fastest columns.
    const columns = slope.size > 1 ? slope.size : x.size % 4 === 0 ? 4 : 1;
    return choose(x.size / columns, columns, x.gpu.limits, purpose);
  };
  const kindOf = (slope: Tensor) => (slope.size > 1 ? 'perChannel' : 'shared');
  return {
    inputs: ['x', 'slope'],
    shape: preluShape,
    forward([x, slope], _, shape) {
      const config = planFor(x, slope, 'map');
      return { output: dispatch(preluKernel(config, kindOf(slope)), [x, slope], shape, planScalars(config)) };
    },
    backward({ inputs: [x, slope], dy, needs: [input, needsSlope] }) {
      const config = planFor(x, slope, needsSlope ? 'sum' : 'map');
      const kernel = preluGradientKernel(config, kindOf(slope), { input, slope: needsSlope });
      return scope(x.gpu, () => {
        const shapes = [...(input ? [x.shape] : []), ...(needsSlope ? [partialsShape(config)] : [])];
        const results = dispatchMany(kernel, [x, slope, dy], shapes, planScalars(config));
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
