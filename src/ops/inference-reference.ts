import { sizeOf } from '../common/shapes.js';
import type { NdArray } from '../reference/ndarray.js';
import { checked, type ReferenceOp, type ReferenceTable } from '../reference/reference-op.js';
import { batchNormInferenceShape } from './batch-norm/batch-norm.js';
import { batchNormPreluInferenceShape } from './batch-norm/prelu.js';
import { batchNormInferenceReference, batchNormPreluInferenceReference } from './batch-norm/reference.js';
import { addReference, binaryOps, mulReference, subReference } from './binary.js';
import { conv2dReference, convTranspose2dReference } from './conv/reference.js';
import { conv2dShape, convTranspose2dShape } from './conv/shape.js';
import { type ReshapeAttrs, reshapeReference, reshapeShape } from './layout.js';
import { matmulReference, matmulShape } from './matmul/matmul.js';
import { preluReference, preluShape } from './prelu.js';
import { transposeReference, transposeShape } from './transpose.js';
import { affineReference, expReference, unaryOps } from './unary.js';

const reshapeAll = /* @__PURE__ */ checked('reshape', reshapeReference, reshapeShape);

/** The recorded shape for another batch, which is the first axis of input and output. */
const forBatch = ({ data }: NdArray, { shape: [, ...rest] }: ReshapeAttrs): ReshapeAttrs => ({
  shape: [data.length / sizeOf(rest), ...rest],
});

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
  reshape: {
    forward: (inputs, attrs) => reshapeAll.forward(inputs, forBatch(inputs[0], attrs)),
    backward: (inputs, output, dy, attrs) => reshapeAll.backward(inputs, output, dy, forBatch(inputs[0], attrs)),
  } satisfies ReferenceOp<ReshapeAttrs>,
  transpose: checked('transpose', transposeReference, transposeShape),
  matmul: checked('matmul', matmulReference, matmulShape),
  add: checked('add', addReference, binaryOps.add.shape),
  sub: checked('sub', subReference, binaryOps.sub.shape),
  mul: checked('mul', mulReference, binaryOps.mul.shape),
}))();
