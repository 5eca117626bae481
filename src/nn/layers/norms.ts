import { checkCount, refuse, withDefaults } from '../../common/arguments.js';
import { groupNorm, instanceNorm, layerNorm } from '../../ops/standardize.js';
import type { Tensor } from '../../tensor/tensor.js';
import { filled } from '../init.js';
import { Layer } from '../module.js';
import type { Parameter } from '../parameter.js';

/** Options of a layer that normalises. */
export interface NormLayerOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number;
  /** Whether there are `weight` and `bias`; default true. */
  affine?: boolean;
}

/** What the layers here share: parameters `weight` (gamma, 1 at first) and `bias` (beta, 0 at first), if `affine`. */
abstract class Norm extends Layer {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  protected readonly options: { epsilon: number };

  constructor(name: string, shape: readonly number[], options?: NormLayerOptions) {
    super();
    const { eps, affine } = withDefaults<Required<NormLayerOptions>>(name, options, { eps: 1e-5, affine: true });
    this.options = { epsilon: eps };
    this.weight = affine ? this.parameter('weight', { shape, init: filled(1) }) : null;
    this.bias = affine ? this.parameter('bias', { shape, init: filled(0) }) : null;
  }

  protected tensors(): [gamma: Tensor | null, beta: Tensor | null] {
    return [this.weight?.tensor ?? null, this.bias?.tensor ?? null];
  }
}

/** Layer normalisation of the last axes of [..., ...shape]; see `layerNorm`. Parameters `weight` and `bias`, both of this shape. */
export class LayerNorm extends Norm {
  readonly #axes: number;

  /**
   * @param shape of the last axes, or the size of the last one
   * @throws ArgumentError for sizes that are not integers of at least 1
   */
  constructor(shape: number | readonly number[], options?: NormLayerOptions) {
    const sizes = typeof shape === 'number' ? [shape] : shape;
    if (!Array.isArray(sizes) || sizes.length === 0) refuse('LayerNorm', 'shape', shape, 'a size or a list of sizes');
    for (const size of sizes) checkCount('LayerNorm', 'a size of the shape', size);
    super('LayerNorm', sizes, options);
    this.#axes = sizes.length;
  }

  override forward(x: Tensor): Tensor {
    return layerNorm(x, ...this.tensors(), { ...this.options, normalizedAxes: this.#axes });
  }
}

/** Group normalisation of [N, ..., channels]; see `groupNorm`. Parameters `weight` and `bias`, [channels]. */
export class GroupNorm extends Norm {
  readonly #groups: number;

  /** @throws ArgumentError unless `groups` divides `channels`, both integers of at least 1 */
  constructor(groups: number, channels: number, options?: NormLayerOptions) {
    checkCount('GroupNorm', 'groups', groups);
    checkCount('GroupNorm', 'channels', channels);
    if (channels % groups !== 0) refuse('GroupNorm', 'groups', groups, `a divisor of the ${channels} channels`);
    super('GroupNorm', [channels], options);
    this.#groups = groups;
  }

  override forward(x: Tensor): Tensor {
    return groupNorm(x, this.#groups, ...this.tensors(), this.options);
  }
}

/** Instance normalisation of [N, ..., channels]; see `instanceNorm`. Parameters `weight` and `bias`, [channels]. */
export class InstanceNorm extends Norm {
  /** @throws ArgumentError for a number of channels that is not an integer of at least 1 */
  constructor(channels: number, options?: NormLayerOptions) {
    checkCount('InstanceNorm', 'channels', channels);
    super('InstanceNorm', [channels], options);
  }

  override forward(x: Tensor): Tensor {
    return instanceNorm(x, ...this.tensors(), this.options);
  }
}
