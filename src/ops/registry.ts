import type { Shape } from '../common/shapes.js';
import { checked, type ReferenceOp, type ReferenceRule } from '../reference/reference-op.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { activationOps, activationReferences } from './activations.js';
import { argmaxOps, argmaxReferences } from './argmax.js';
import { batchNormOps } from './batch-norm/batch-norm.js';
import { batchNormPreluOps } from './batch-norm/prelu.js';
import { batchNormReferences } from './batch-norm/reference.js';
import { binaryOps, binaryReferences } from './binary.js';
import { bitsOps, bitsReferences } from './bits.js';
import { compareOps, compareReferences } from './compare.js';
import { convOps } from './conv/conv.js';
import { convReferences } from './conv/reference.js';
import { cosFaceOps, cosFaceReferences } from './cosface.js';
import { dropoutOps, dropoutReferences } from './dropout.js';
import { foldOps, foldReferences } from './fold.js';
import { indexingOps } from './indexing/indexing.js';
import { indexingReferences } from './indexing/reference.js';
import { layoutOps, layoutReferences } from './layout.js';
import { lossOps, lossReferences } from './losses.js';
import { marginLossOps, marginLossReferences } from './margin-loss.js';
import { matmulOps, matmulReferences } from './matmul/matmul.js';
import { mseOps, mseReferences } from './mse.js';
import { normalizeOps, normalizeReferences } from './normalize.js';
import { padAxisOps, padAxisReferences } from './pad-axis.js';
import { poolOps } from './pool/pool.js';
import { poolReferences } from './pool/reference.js';
import { powerOps, powerReferences } from './power.js';
import { preluOps, preluReferences } from './prelu.js';
import { quantizeOps, quantizeReferences } from './quantize.js';
import { reduceOps, reduceReferences } from './reduce.js';
import { reductionOps, reductionReferences } from './reductions.js';
import { resizeOps, resizeReferences } from './resize.js';
import { rowSoftmaxOps, rowSoftmaxReferences } from './row-softmax.js';
import { scanOps, scanReferences } from './scan.js';
import { softmaxOps, softmaxReferences } from './softmax.js';
import { ssimOps, ssimReferences } from './ssim.js';
import { standardizeOps, standardizeReferences } from './standardize.js';
import { stridedOps, stridedReferences } from './strided.js';
import { topKOps, topKReferences } from './top-k.js';
import { transposeOps, transposeReferences } from './transpose.js';
import { triangleOps, triangleReferences } from './triangle.js';
import { unaryOps, unaryReferences } from './unary.js';
import { upsampleOps, upsampleReferences } from './upsample.js';

/** Every GPU operation by name, for tests and replays. Users call the named functions instead. */
export const gpuOps = {
  ...unaryOps,
  ...activationOps,
  ...binaryOps,
  ...compareOps,
  ...matmulOps,
  ...reduceOps,
  ...layoutOps,
  ...transposeOps,
  ...stridedOps,
  ...padAxisOps,
  ...triangleOps,
  ...indexingOps,
  ...batchNormOps,
  ...batchNormPreluOps,
  ...preluOps,
  ...convOps,
  ...quantizeOps,
  ...bitsOps,
  ...mseOps,
  ...ssimOps,
  ...standardizeOps,
  ...normalizeOps,
  ...softmaxOps,
  ...poolOps,
  ...powerOps,
  ...upsampleOps,
  ...resizeOps,
  ...cosFaceOps,
  ...marginLossOps,
  ...lossOps,
  ...argmaxOps,
  ...rowSoftmaxOps,
  ...dropoutOps,
  ...scanOps,
  ...foldOps,
  ...topKOps,
  ...reductionOps,
};

/** The same in float64. */
const references: { readonly [K in OpName]: ReferenceRule<OpAttrs[K]> } = {
  ...unaryReferences,
  ...activationReferences,
  ...binaryReferences,
  ...compareReferences,
  ...matmulReferences,
  ...reduceReferences,
  ...layoutReferences,
  ...transposeReferences,
  ...stridedReferences,
  ...padAxisReferences,
  ...triangleReferences,
  ...indexingReferences,
  ...batchNormReferences,
  ...preluReferences,
  ...convReferences,
  ...quantizeReferences,
  ...bitsReferences,
  ...mseReferences,
  ...ssimReferences,
  ...standardizeReferences,
  ...normalizeReferences,
  ...softmaxReferences,
  ...poolReferences,
  ...powerReferences,
  ...upsampleReferences,
  ...resizeReferences,
  ...cosFaceReferences,
  ...marginLossReferences,
  ...lossReferences,
  ...argmaxReferences,
  ...rowSoftmaxReferences,
  ...dropoutReferences,
  ...scanReferences,
  ...foldReferences,
  ...topKReferences,
  ...reductionReferences,
};

/** Names of the engine's operations. */
export type OpName = keyof typeof gpuOps;

/**
 * The attributes of each operation. Layouts: activations NHWC; conv weights [kh, kw, Cin/groups, Cout]; transposed-conv
 * weights [kh, kw, Cout/groups, Cin]; scalars have shape []. Labels are float32 tensors that hold integers.
 */
export type OpAttrs = { [K in OpName]: (typeof gpuOps)[K] extends Op<infer A> ? A : never };

const opOf = <K extends OpName>(name: K): Op<OpAttrs[K]> => gpuOps[name] as unknown as Op<OpAttrs[K]>;

/** Every operation in float64 on the CPU, with the same checks of shapes and attributes as on the GPU. */
export const referenceOps = /* @__PURE__ */ (() =>
  Object.fromEntries(
    (Object.keys(references) as OpName[]).map((name) => [
      name,
      checked(name, references[name] as ReferenceRule<unknown>, opOf(name).shape as Op<unknown>['shape']),
    ]),
  ))() as unknown as { readonly [K in OpName]: ReferenceOp<OpAttrs[K]> };

/**
 * Checks the inputs and attributes of an operation.
 * @returns the shape of its output
 * @throws ShapeError for shapes (or attributes beside these shapes) that do not fit; ArgumentError for attribute values
 */
export function outputShape<K extends OpName>(name: K, inputs: readonly Shape[], attrs: OpAttrs[K]): readonly number[] {
  return opOf(name).shape(inputs, attrs);
}

/** Runs an operation by name, recorded like any other. */
export function applyByName<K extends OpName>(name: K, inputs: readonly Tensor[], attrs: OpAttrs[K]): Tensor {
  return apply(name, opOf(name), inputs, attrs);
}
