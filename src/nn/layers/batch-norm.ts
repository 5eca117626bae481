import { checkCount, withDefaults } from '../../common/arguments.js';
import { ShapeError } from '../../common/errors.js';
import {
  batchNormInference,
  batchNormWithStatistics,
  updateRunningStatistics,
  type WithStatistics,
} from '../../ops/batch-norm/batch-norm.js';
import { batchNormPreluInference, batchNormPreluWithStatistics } from '../../ops/batch-norm/prelu.js';
import type { InferenceBatchNorm } from '../../ops/conv/inference.js';
import { isTapeRecording } from '../../tensor/tape.js';
import type { Tensor } from '../../tensor/tensor.js';
import { filled } from '../init.js';
import { type FusedForward, type FusibleLayer, Layer } from '../module.js';
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
export class BatchNorm extends Layer implements FusibleLayer {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: Parameter;
  readonly runningVariance: Parameter;
  readonly #eps: number;
  readonly #momentum: number;

  /** @throws ArgumentError for a number of channels that is not an integer of at least 1 */
  constructor(channels: number, options?: BatchNormOptions) {
    super();
    checkCount('BatchNorm', 'channels', channels);
    const { eps, momentum } = withDefaults('BatchNorm', options, { eps: 1e-5, momentum: 0.1 });
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
    const [gamma, beta, mean, variance] = this.#tensors();
    const options = { eps: this.#eps };
    if (!this.training) return batchNormInference(x, gamma, beta, mean, variance, options);
    this.#checkRows(x);
    return this.#follow(x, batchNormWithStatistics(x, gamma, beta, options));
  }

  /**
   * `forward`, then the PReLU of these slopes ([1] or [channels]), as one operation.
   * @throws ShapeError as `forward` does, and for slopes that do not fit
   */
  forwardPrelu(x: Tensor, slope: Tensor): Tensor {
    const [gamma, beta, mean, variance] = this.#tensors();
    const options = { eps: this.#eps };
    if (!this.training) return batchNormPreluInference(x, gamma, beta, mean, variance, slope, options);
    this.#checkRows(x);
    return this.#follow(x, batchNormPreluWithStatistics(x, gamma, beta, slope, options));
  }

  /** With the PReLU that follows. */
  forwardFused(x: Tensor, [next]: readonly FusibleLayer[]): FusedForward | null {
    const slopes = this.constructor === BatchNorm ? next?.fusedSlopes?.() : null;
    return slopes ? { output: this.forwardPrelu(x, slopes), followers: 1 } : null;
  }

  fusedNorm(): InferenceBatchNorm | null {
    return this.constructor === BatchNorm && runsFused(this) ? this.running() : null;
  }

  /** What evaluation uses, for an operation that is fused with it. */
  running(): InferenceBatchNorm {
    const [gamma, beta, mean, variance] = this.#tensors();
    return { gamma, beta, mean, variance, eps: this.#eps };
  }

  /** gamma, beta, running mean, running variance. */
  #tensors(): Tensor[] {
    return [this.weight, this.bias, this.runningMean, this.runningVariance].map(({ tensor }) => tensor);
  }

  #checkRows(x: Tensor): void {
    if (x.size === this.weight.tensor.size) {
      throw new ShapeError(`BatchNorm: training needs more than one value a channel; the input is [${x.shape}]`);
    }
  }

  /** Moves the running statistics towards those of the batch x. */
  #follow(x: Tensor, { output, ...batch }: WithStatistics): Tensor {
    const running = { mean: this.runningMean.tensor, variance: this.runningVariance.tensor };
    updateRunningStatistics(batch, running, x.size / batch.mean.size, this.#momentum);
    return output;
  }
}

/** Whether a conv may be fused with this norm; the fused operation has no gradient, and uses running statistics only. */
export const runsFused = (norm: BatchNorm): boolean => !norm.training && !isTapeRecording();
