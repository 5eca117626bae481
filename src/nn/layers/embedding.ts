import { checkCount, withDefaults } from '../../common/arguments.js';
import { embedding } from '../../ops/indexing/indexing.js';
import type { AnyTensor, Tensor } from '../../tensor/tensor.js';
import type { Initializer } from '../init.js';
import { Layer } from '../module.js';
import type { Parameter } from '../parameter.js';

export interface EmbeddingOptions {
  /** First rows; default: independent values of the standard normal distribution, as in PyTorch. */
  init?: Initializer;
}

const normal: Initializer = (shape, random) =>
  Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal());

/** A vector for each index: int32 of any shape becomes [shape, size]. Parameter `weight` [count, size]. */
export class Embedding extends Layer {
  readonly weight: Parameter;

  /** @throws ArgumentError for a number that is not an integer of at least 1 */
  constructor(count: number, size: number, options?: EmbeddingOptions) {
    super();
    checkCount('Embedding', 'count', count);
    checkCount('Embedding', 'size', size);
    const { init } = withDefaults<EmbeddingOptions>('Embedding', options, { init: normal });
    this.weight = this.parameter('weight', { shape: [count, size], init: init! });
  }

  /** @throws ArgumentError for a tensor that is not int32 */
  override forward(indices: AnyTensor): Tensor {
    return embedding(this.weight.tensor, indices as Tensor<'int32'>);
  }
}
