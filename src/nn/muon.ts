import { ratePlan } from '../../shaders/optimizer.wgsl.js';
import { withDefaults } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import { formatShape } from '../common/shapes.js';
import { add, mul } from '../ops/binary.js';
import { reshape } from '../ops/layout.js';
import { matmul } from '../ops/matmul/matmul.js';
import { l2Normalize } from '../ops/normalize.js';
import { affine } from '../ops/unary.js';
import { dispatchInPlace } from '../tensor/dispatch.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { checkHyperparameter, Optimizer } from './optimizer.js';
import { sgdKernel } from './optimizer-kernels.js';

export interface MuonOptions {
  /** Learning rate of steps that are given none of their own. */
  learningRate?: number;
  /** In [0, 1); default 0.95. */
  momentum?: number;
  /** The decay shrinks the parameter by lr·weightDecay; default 0. */
  weightDecay?: number;
}

type MuonDefaults = Required<Omit<MuonOptions, 'learningRate'>> & Pick<MuonOptions, 'learningRate'>;

/** Rounds of the iteration that makes singular values equal, and its three numbers: Jordan et al. 2024. */
const ROUNDS = 5;
const [A, B, C] = [3.4445, -4.775, 2.0315];

/**
 * Roughly the nearest matrix whose singular values are all 1 (they come to lie between about 0.7 and 1.2), by a Newton–Schulz iteration.
 * @param x [rows, columns]
 */
export function orthogonalized(x: Tensor): Tensor {
  const [rows, columns] = x.shape;
  const tall = rows > columns;
  let y = reshape(l2Normalize(reshape(x, [1, x.size])), [rows, columns]);
  for (let round = 0; round < ROUNDS; round++) {
    const square = tall ? matmul(y, y, { transposeA: true }) : matmul(y, y, { transposeB: true });
    const sum = add(affine(square, B), affine(matmul(square, square), C));
    y = add(affine(y, A), tall ? matmul(y, sum) : matmul(sum, y));
  }
  return y;
}

/**
 * Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"): the momentum of each matrix is made
 * orthogonal, so all its directions are learnt equally fast. For matrices and the weights of convolutions without groups; other
 * parameters need another optimizer. Steps are scaled by 0.2·√max(rows, columns) (Liu et al. 2025, arXiv 2502.16982), so that
 * learning rates of AdamW fit.
 */
export class Muon extends Optimizer {
  readonly #momentum: number;
  readonly #weightDecay: number;

  /** @throws ArgumentError for hyperparameters out of range, or a parameter of fewer than two axes */
  constructor(params: ReadonlyMap<string, Tensor>, options?: MuonOptions) {
    const defaults = { learningRate: undefined, momentum: 0.95, weightDecay: 0 };
    const { momentum, weightDecay, learningRate } = withDefaults<MuonDefaults>('Muon', options, defaults);
    checkHyperparameter('Muon', 'momentum', momentum, 0, 1);
    checkHyperparameter('Muon', 'weightDecay', weightDecay, 0, Infinity);
    checkMatrices(params);
    super(params, ['momentum'], learningRate);
    this.#momentum = momentum;
    this.#weightDecay = weightDecay;
  }

  protected override update(
    param: Tensor,
    grad: Tensor,
    [momentum]: readonly Tensor[],
    lr: () => number,
    scale?: Tensor,
  ): void {
    const { gpu, size, shape } = param;
    const beta = this.#momentum;
    // All axes but the last are rows, so a conv's weights are [kh·kw·Cin, Cout].
    const columns = shape[shape.length - 1];
    const rows = size / columns;
    const factor = 0.2 * Math.sqrt(Math.max(rows, columns));
    scope(gpu, () => {
      const gradient = scale ? mul(grad, scale) : grad;
      // momentum −= −1·(gradient + (β − 1)·momentum)
      const decay = { momentum: 0, weightDecay: beta - 1, nesterov: false, scaled: false };
      dispatchInPlace(sgdKernel(size, decay, gpu.limits), [momentum, gradient], ratePlan.pack({ rate: -1 }));
      const ahead = add(gradient, affine(momentum, beta));
      const update = orthogonalized(reshape(ahead, [rows, columns]));
      const step = { momentum: 0, weightDecay: this.#weightDecay / factor, nesterov: false, scaled: false };
      const rate = () => ratePlan.pack({ rate: lr() * factor });
      dispatchInPlace(sgdKernel(size, step, gpu.limits), [param, update], rate);
    });
  }
}

/** What is no map of tensors is refused by the base class. */
function checkMatrices(params: ReadonlyMap<string, Tensor>): void {
  if (!(params instanceof Map)) return;
  for (const [name, param] of params) {
    if (!(param instanceof Tensor) || param.shape.length > 1) continue;
    const shape = formatShape(param.shape);
    throw new ArgumentError(`Muon: the parameter ${name} has shape ${shape}; expected two axes or more`);
  }
}
