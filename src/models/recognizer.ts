import { Module } from '../nn/module.js';
import type { Tensor } from '../tensor/tensor.js';

/** A network that maps aligned faces to embeddings, whose angles say how alike two faces are. */
export abstract class Recognizer extends Module {
  /** Size of a face in pixels, and number of values of an embedding. */
  abstract readonly height: number;
  abstract readonly width: number;
  abstract readonly dimension: number;

  /**
   * Faces to embeddings, which are not normalised.
   * @param x [N,H,W,3], RGB in [0, 1]
   * @returns [N,D]
   * @throws ShapeError for faces of another size
   */
  abstract embed(x: Tensor): Tensor;
}
