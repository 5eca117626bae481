import { checked, type ReferenceTable } from '../reference/reference-op.js';
import { batchNormInferenceShape } from './batch-norm/batch-norm.js';
import { batchNormPreluInferenceShape } from './batch-norm/prelu.js';
import { batchNormInferenceReference, batchNormPreluInferenceReference } from './batch-norm/reference.js';
import { addReference, binaryOps, mulReference, subReference } from './binary.js';
import { conv2dReference, convTranspose2dReference } from './conv/reference.js';
import { conv2dShape, convTranspose2dShape } from './conv/shape.js';
import { preluReference, preluShape } from './prelu.js';
import { affineReference, expReference, unaryOps } from './unary.js';

/**
 * The float64 operations that a trained convolutional autoencoder needs. A codec imports only these, because `referenceOps` would
 * bring the losses and everything else into every program that decodes a face.
 */
export const inferenceOps: ReferenceTable = /* @__PURE__ */ (() => ({
  conv2d: checked('conv2d', conv2dReference, conv2dShape),
  convTranspose2d: checked('convTranspose2d', convTranspose2dReference, convTranspose2dShape),
  batchNormInference: checked('batchNormInference', batchNormInferenceReference, batchNormInferenceShape),
  batchNormPreluInference: checked(
    'batchNormPreluInference',
    batchNormPreluInferenceReference,
    batchNormPreluInferenceShape,
  ),
  prelu: checked('prelu', preluReference, preluShape),
  affine: checked('affine', affineReference, unaryOps.affine.shape),
  exp: checked('exp', expReference, unaryOps.exp.shape),
  add: checked('add', addReference, binaryOps.add.shape),
  sub: checked('sub', subReference, binaryOps.sub.shape),
  mul: checked('mul', mulReference, binaryOps.mul.shape),
}))();
