import { checkCount } from '../../common/arguments.js';
import { prelu } from '../../ops/prelu.js';
import type { Tensor } from '../../tensor/tensor.js';
import { filled } from '../init.js';
import { type FusibleLayer, Layer } from '../module.js';
import type { Parameter } from '../parameter.js';

/**
 * Parametric ReLU of [..., channels]: x where x > 0, else slope·x. Parameter `weight`, the slopes [channels], or [1] for
 * one that all channels share. He et al. 2015, arXiv 1502.01852.
 */
export class PReLU extends Layer implements FusibleLayer {
  readonly weight: Parameter;

  /**
   * @param channels number of slopes: that of the channels, or 1
   * @param slope first value; default 0.25
   * @throws ArgumentError for a number of slopes that is not an integer of at least 1
   */
  constructor(channels = 1, slope = 0.25) {
    super();
    checkCount('PReLU', 'channels', channels);
    this.weight = this.parameter('weight', { shape: [channels], init: filled(slope) });
  }

  override forward(x: Tensor): Tensor {
    return prelu(x, this.weight.tensor);
  }

  fusedSlopes(): Tensor | null {
    return this.constructor === PReLU ? this.weight.tensor : null;
  }
}
