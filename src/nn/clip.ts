import { clipPlan, squaresPlan } from '../../shaders/optimizer.wgsl.js';
import { refuse } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import { checkFloat32 } from '../ops/float32-constants.js';
import { sumRows } from '../ops/reduce.js';
import { dispatchInPlace, dispatchMany } from '../tensor/dispatch.js';
import { checkTensor } from '../tensor/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { clipKernel, squaresCount, squaresKernel } from './optimizer-kernels.js';

/**
 * The global L2 norm of all gradients and the factor min(1, maxNorm / norm) that clips it, both [] and on the GPU:
 * hand `scale` to `Optimizer.step`. Sums run in the order of `grads`, so the result is the same to the bit each time.
 * Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063, algorithm 1.
 *
 * @param grads at least one gradient, all on one device; none is changed
 * @throws ArgumentError for no gradient, or a maxNorm that is not a finite number above 0
 */
export function clipGradients(grads: Iterable<Tensor>, maxNorm: number): { norm: Tensor; scale: Tensor } {
  if (typeof grads?.[Symbol.iterator] !== 'function')
    refuse('clipGradients', 'grads', grads, 'gradients in an array or iterator');
  const list = [...grads];
  if (list.length === 0) throw new ArgumentError('clipGradients: there are no gradients');
  list.forEach((grad, k) => {
    checkTensor('clipGradients', `grads[${k}]`, grad);
  });
  checkFloat32('clipGradients', 'maxNorm', maxNorm, 0, true);
  const { gpu } = list[0];
  const counts = list.map(({ size }) => squaresCount(size, gpu.limits));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return scope(gpu, () => {
    const partials = Tensor.empty(gpu, [total]);
    let offset = 0;
    list.forEach((grad, k) => {
      dispatchInPlace(squaresKernel(grad.size, gpu.limits), [grad, partials], squaresPlan.pack({ offset }));
      offset += counts[k];
    });
    const squares = sumRows(partials, total, 1);
    const [norm, scale] = dispatchMany(clipKernel(), [squares], [[], []], clipPlan.pack({ maxNorm }));
    return { norm, scale };
  });
}
