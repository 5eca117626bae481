import { ratePlan } from '../../shaders/optimizer.wgsl.js';
import { withDefaults } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import { dispatchInPlace } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkHyperparameter, Optimizer } from './optimizer.js';
import { sgdKernel } from './optimizer-kernels.js';

export interface SgdOptions {
  /** Learning rate of steps that are given none of their own. */
  learningRate?: number;
  /** In [0, 1); default 0. */
  momentum?: number;
  /** L2 penalty, added to the gradient; default 0. */
  weightDecay?: number;
  /** Nesterov's form of momentum; default false. */
  nesterov?: boolean;
}

type SgdDefaults = Required<Omit<SgdOptions, 'learningRate'>> & Pick<SgdOptions, 'learningRate'>;

/**
 * Stochastic gradient descent as PyTorch defines it (the learning rate is outside the velocity):
 * g += weightDecay·p; v = momentum·v + g; p −= lr·v, or p −= lr·(g + momentum·v) for Nesterov's form.
 */
export class SGD extends Optimizer {
  readonly #options: Omit<SgdDefaults, 'learningRate'>;

  /** @throws ArgumentError for hyperparameters out of range */
  constructor(params: ReadonlyMap<string, Tensor>, options?: SgdOptions) {
    const defaults = { learningRate: undefined, momentum: 0, weightDecay: 0, nesterov: false };
    const { momentum, weightDecay, nesterov, learningRate } = withDefaults<SgdDefaults>('SGD', options, defaults);
    checkHyperparameter('SGD', 'momentum', momentum, 0, 1);
    checkHyperparameter('SGD', 'weightDecay', weightDecay, 0, Infinity);
    if (nesterov && momentum === 0) throw new ArgumentError('SGD: nesterov needs a momentum above 0');
    super(params, momentum > 0 ? ['velocity'] : [], learningRate);
    this.#options = { momentum, weightDecay, nesterov };
  }

  protected override update(
    param: Tensor,
    grad: Tensor,
    state: readonly Tensor[],
    lr: () => number,
    scale?: Tensor,
  ): void {
    const kernel = sgdKernel(param.size, { ...this.#options, scaled: scale !== undefined }, this.gpu.limits);
    const scalars = () => ratePlan.pack({ rate: lr() });
    dispatchInPlace(kernel, [param, grad, ...state, ...(scale ? [scale] : [])], scalars);
  }
}
