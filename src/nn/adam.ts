import { adamPlan } from '../../shaders/optimizer.wgsl.js';
import { checkList, withDefaults } from '../common/arguments.js';
import { dispatchInPlace } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkHyperparameter, Optimizer } from './optimizer.js';
import { adamKernel } from './optimizer-kernels.js';

export interface AdamOptions {
  /** Learning rate of steps that are given none of their own. */
  learningRate?: number;
  /** Decay of the running means of g and g², each in [0, 1); default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the root of the second moment; default 1e-8. */
  eps?: number;
  /** Default 0. */
  weightDecay?: number;
  /** True: the decay shrinks the parameter by lr·weightDecay (AdamW); false (default): it is added to the gradient. */
  decoupled?: boolean;
}

type AdamDefaults = Required<Omit<AdamOptions, 'learningRate'>> & Pick<AdamOptions, 'learningRate'>;

/**
 * Adam (Kingma and Ba 2015, arXiv 1412.6980) with bias correction, and AdamW (Loshchilov and Hutter 2019,
 * arXiv 1711.05101) with `decoupled`. The correction counts the steps of the optimizer.
 */
export class Adam extends Optimizer {
  readonly #options: { betas: readonly [number, number]; eps: number; weightDecay: number; decoupled: boolean };

  /** @throws ArgumentError for hyperparameters out of range */
  constructor(params: ReadonlyMap<string, Tensor>, options?: AdamOptions) {
    const defaults = {
      learningRate: undefined,
      betas: [0.9, 0.999] as const,
      eps: 1e-8,
      weightDecay: 0,
      decoupled: false,
    };
    const { betas, eps, weightDecay, decoupled, learningRate } = withDefaults<AdamDefaults>('Adam', options, defaults);
    checkList('Adam', 'betas', betas, 'two numbers');
    betas.forEach((beta, k) => {
      checkHyperparameter('Adam', `beta ${k + 1}`, beta, 0, 1);
    });
    // Smaller values are zero in float32; a gradient of zero would then divide zero by zero.
    checkHyperparameter('Adam', 'eps', eps, 1e-37, 1);
    checkHyperparameter('Adam', 'weightDecay', weightDecay, 0, Infinity);
    super(params, ['first', 'second'], learningRate);
    this.#options = { betas, eps, weightDecay, decoupled };
  }

  protected override update(
    param: Tensor,
    grad: Tensor,
    state: readonly Tensor[],
    lr: () => number,
    scale?: Tensor,
  ): void {
    const { betas, eps, weightDecay, decoupled } = this.#options;
    const [beta1, beta2] = betas;
    const options = { beta1, beta2, eps, weightDecay: decoupled ? 0 : weightDecay, scaled: scale !== undefined };
    const scalars = () =>
      adamPlan.pack({
        rate: lr() / (1 - beta1 ** this.stepCount),
        correction: 1 / Math.sqrt(1 - beta2 ** this.stepCount),
        shrink: decoupled ? 1 - lr() * weightDecay : 1,
      });
    const kernel = adamKernel(param.size, options, this.gpu.limits);
    dispatchInPlace(kernel, [param, grad, ...state, ...(scale ? [scale] : [])], scalars);
  }
}
