import { checkCount, withDefaults } from '../../common/arguments.js';
import { linear } from '../../ops/matmul/matmul.js';
import type { Tensor } from '../../tensor/tensor.js';
import { filled, type Initializer, xavierUniform } from '../init.js';
import { Layer } from '../module.js';
import type { Parameter } from '../parameter.js';

export interface LinearOptions {
  /** Default true. */
  bias?: boolean;
  /** First weights; default xavierUniform. The bias starts at 0. */
  init?: Initializer;
}

/** x·weight + bias for x [batch, inputs]. Parameters `weight` [inputs, outputs] and `bias` [outputs]. */
export class Linear extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  /** @throws ArgumentError for a number of values that is not an integer of at least 1 */
  constructor(inputs: number, outputs: number, options?: LinearOptions) {
    super();
    checkCount('Linear', 'inputs', inputs);
    checkCount('Linear', 'outputs', outputs);
    const { bias, init } = withDefaults<LinearOptions>('Linear', options, { bias: true, init: undefined });
    this.weight = this.parameter('weight', {
      shape: [inputs, outputs],
      init: init ?? xavierUniform(inputs, outputs),
      layout: 'linear',
    });
    this.bias = bias ? this.parameter('bias', { shape: [outputs], init: filled(0) }) : null;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight.tensor, this.bias?.tensor ?? null);
  }
}
