import { ShapeError } from '../common/errors.js';
import { Module } from '../nn/module.js';
import { affine } from '../ops/unary.js';
import type { Tensor } from '../tensor/tensor.js';

/** A network that maps aligned faces to embeddings; the angle between two embeddings says how similar the faces are. */
export abstract class Recognizer extends Module {
  /** Size of a face in pixels, and number of values of an embedding. */
  abstract readonly height: number;
  abstract readonly width: number;
  abstract readonly dimension: number;

  /** Faces [N,H,W,3] in [0, 1] as the network takes them: (value − 127.5)/128 of bytes, unless it overrides this. */
  protected normalize(x: Tensor): Tensor {
    return affine(x, 255 / 128, -127.5 / 128);
  }

  /** Embeddings [N,D] of normalised faces of the right size. */
  protected abstract forward(x: Tensor): Tensor;

  /**
   * Faces to embeddings, which are not normalised.
   * @param x [N,H,W,3], RGB in [0, 1]
   * @returns [N,D]
   * @throws ShapeError for faces of another size
   */
  embed(x: Tensor): Tensor {
    const [, h, w, c] = x.shape;
    if (x.shape.length !== 4 || h !== this.height || w !== this.width || c !== 3) {
      const expected = `[N,${this.height},${this.width},3]`;
      throw new ShapeError(`${this.constructor.name}: faces are [${x.shape}]; expected ${expected}`);
    }
    return this.forward(this.normalize(x));
  }
}
