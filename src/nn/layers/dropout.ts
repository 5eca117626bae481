import { checkOptions, refuse } from '../../common/arguments.js';
import { dropout } from '../../ops/dropout.js';
import type { Tensor } from '../../tensor/tensor.js';
import { Layer } from '../module.js';

export interface DropoutLayerOptions {
  /** Unsigned 32-bit integer; give each layer of a network its own (default 0). */
  seed?: number;
  /** The number of the present step, for a recorded step, which calls it in each run; without it, each forward pass in training counts one. */
  step?: () => number;
}

/** In training, sets a random share of the elements to 0 and multiplies the others by 1 / (1 − rate); in evaluation it does nothing. */
export class Dropout extends Layer {
  readonly #seed: number;
  readonly #step: (() => number) | undefined;
  #passes = 0;

  /**
   * @param rate share of the elements that become 0, from 0 to below 1
   * @throws ArgumentError
   */
  constructor(
    readonly rate = 0.5,
    options: DropoutLayerOptions = {},
  ) {
    super();
    const { seed = 0, step } = checkOptions('Dropout', options, ['seed', 'step']);
    if (!(rate >= 0 && rate < 1)) refuse('Dropout', 'rate', rate, 'a number from 0 to below 1');
    if (step !== undefined && typeof step !== 'function') refuse('Dropout', 'step', step, 'a function');
    this.#seed = seed;
    this.#step = step;
  }

  /** @throws ArgumentError in a recorded step without `step`, because each run would drop the same elements */
  override forward(x: Tensor): Tensor {
    if (!this.training) return x;
    if (!this.#step) x.gpu.assertNotRecording('Dropout counts its steps (give it the option step)');
    return dropout(x, { rate: this.rate, seed: this.#seed, stream: this.#step ?? this.#passes++ });
  }
}
