import {
  batchNormInferenceShape,
  batchNormPreluInferenceShape,
  binaryShapes,
  preluShape,
  unaryShapes,
} from '../common/op-shapes.js';
import { conv2dShape, convTranspose2dShape } from '../common/op-shapes-conv.js';
import { conv2d, convTranspose2d } from './conv.js';
import { add, affine, exp, mul, prelu, sub } from './elementwise.js';
import { batchNormInference, batchNormPreluInference } from './norm.js';
import { checked, type ReferenceTable } from './reference-op.js';

/**
 * The operations that a convolutional autoencoder of trained weights runs through, in float64. A codec carries these alone:
 * `referenceOps` would bring the losses and everything else into every program that decodes a face.
 */
export const inferenceOps: ReferenceTable = /* @__PURE__ */ (() => ({
  conv2d: checked('conv2d', conv2d, conv2dShape),
  convTranspose2d: checked('convTranspose2d', convTranspose2d, convTranspose2dShape),
  batchNormInference: checked('batchNormInference', batchNormInference, batchNormInferenceShape),
  batchNormPreluInference: checked('batchNormPreluInference', batchNormPreluInference, batchNormPreluInferenceShape),
  prelu: checked('prelu', prelu, preluShape),
  affine: checked('affine', affine, unaryShapes.affine),
  exp: checked('exp', exp, unaryShapes.exp),
  add: checked('add', add, binaryShapes.add),
  sub: checked('sub', sub, binaryShapes.sub),
  mul: checked('mul', mul, binaryShapes.mul),
}))();
