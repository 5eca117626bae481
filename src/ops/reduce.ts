import { ShapeError } from '../common/errors.js';
import { chooseSumPasses, type SumPass, sumPassKernel, sumPassScalars } from '../kernels/reduce.js';
import { dispatch } from '../tensor/dispatch.js';
import { scope, type Tensor } from '../tensor/tensor.js';

/** How [batches, rows, columns] is added up; tests replace the default by the naive way. */
export type SumChoice = (...args: Parameters<typeof chooseSumPasses>) => SumPass[];

/** Sums over the middle axis of x as [batches, rows, columns], times `scale`: [batches, columns]. */
function sumMiddle(x: Tensor, batches: number, rows: number, columns: number, scale: number, choose: SumChoice) {
  const passes = choose(batches, rows, columns, x.gpu.limits);
  return scope(x.gpu, () => {
    let sums = x;
    passes.forEach((pass, k) => {
      const shape = [batches, pass.slots, pass.columns];
      sums = dispatch(sumPassKernel(pass), [sums], shape, sumPassScalars(pass, k < passes.length - 1 ? 1 : scale));
    });
    return sums.view([batches, columns]);
  });
}

/**
 * Column sums of x, seen as [rows, columns]: a new tensor [columns]. Not recorded on a tape: a building block for
 * gradients (of biases, of broadcast operands). The order of the sums is fixed.
 * @throws ShapeError unless x has rows·columns elements
 */
export function sumRows(x: Tensor, rows: number, columns: number): Tensor {
  if (rows * columns !== x.size) {
    throw new ShapeError(`sumRows: a tensor [${x.shape}] of ${x.size} elements is not ${rows} rows of ${columns}`);
  }
  return scope(x.gpu, () => sumMiddle(x, 1, rows, columns, 1, chooseSumPasses).view([columns]));
}
