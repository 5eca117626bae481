import { ShapeError } from '../../common/errors.js';
import { batchNormInference, batchNormWithStatistics, updateRunningStatistics } from '../../ops/batch-norm.js';
import type { Tensor } from '../../tensor/tensor.js';
import { filled } from '../init.js';
import { Layer } from '../module.js';
import type { Parameter } from '../parameter.js';

export interface BatchNormOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number;
  /** Share of a batch in the running statistics; default 0.1. */
  momentum?: number;
}

/**
 * Batch normalisation of [..., channels]. In training it normalises by the statistics of the batch and moves the running
 * ones towards them; in evaluation by the running ones. Parameters `weight` (gamma) and `bias` (beta), buffers
 * `running_mean` and `running_var` (unbiased), as in PyTorch. Ioffe and Szegedy 2015, arXiv 1502.03167.
 */
export class BatchNorm extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: Parameter;
  readonly runningVariance: Parameter;
  readonly #eps: number;
  readonly #momentum: number;

  constructor(channels: number, { eps = 1e-5, momentum = 0.1 }: BatchNormOptions = {}) {
    super();
    this.#eps = eps;
    this.#momentum = momentum;
    const shape = [channels];
    this.weight = this.parameter('weight', { shape, init: filled(1) });
    this.bias = this.parameter('bias', { shape, init: filled(0) });
    this.runningMean = this.buffer('running_mean', { shape, init: filled(0) });
    this.runningVariance = this.buffer('running_var', { shape, init: filled(1) });
  }

  /** @throws ShapeError in training with a single value a channel, which has no variance */
  override forward(x: Tensor): Tensor {
    const { tensor: gamma } = this.weight;
    const { tensor: beta } = this.bias;
    const running = { mean: this.runningMean.tensor, variance: this.runningVariance.tensor };
    const eps = this.#eps;
    if (!this.training) return batchNormInference(x, gamma, beta, running.mean, running.variance, { eps });
    const rows = x.size / gamma.size;
    if (rows === 1)
      throw new ShapeError(`BatchNorm: training needs more than one value a channel; the input is [${x.shape}]`);
    const { output, ...batch } = batchNormWithStatistics(x, gamma, beta, { eps });
    updateRunningStatistics(batch, running, rows, this.#momentum);
    return output;
  }
}
