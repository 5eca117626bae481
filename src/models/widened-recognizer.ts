import type { Parameter } from '../nn/parameter.js';
import { pad } from '../ops/layout.js';
import type { Tensor } from '../tensor/tensor.js';
import { Recognizer } from './recognizer.js';

/**
 * A recogniser that gets faces of fewer columns than it takes, such as 96×112 for 112×112: the columns that lack on either side are
 * filled with the mirror image, as `alignFace` fills them. It is in evaluation mode.
 */
export class WidenedRecognizer extends Recognizer {
  /**
   * @param recognizer its parameters become those of this one
   * @param width of the faces, an even number of pixels below its own
   */
  constructor(
    readonly recognizer: Recognizer,
    readonly width: number,
  ) {
    super();
    this.training = false;
  }

  get height(): number {
    return this.recognizer.height;
  }

  get dimension(): number {
    return this.recognizer.dimension;
  }

  override entries(): Map<string, Parameter> {
    return this.recognizer.entries();
  }

  override train(training = true): this {
    this.recognizer.train(training);
    return super.train(training);
  }

  override dispose(): void {
    this.recognizer.dispose();
  }

  protected override normalize(x: Tensor): Tensor {
    return x;
  }

  protected override forward(x: Tensor): Tensor {
    const more = [0, 0, (this.recognizer.width - this.width) / 2, 0];
    return this.recognizer.embed(pad(x, more, more, { mode: 'reflect' }));
  }
}
