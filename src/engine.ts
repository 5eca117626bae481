/**
 * `cameo/engine`: tensors, differentiable operations, autograd and neural networks on WebGPU, alone. It imports no
 * package and nothing of Node, so it runs in a browser as it is; in Node, `openGpu` of `cameo/node` opens the device.
 */
export * from './common/errors.js';
export type { Precision } from './common/precision.js';
export { CounterRandom, type CounterRandomState } from './common/random.js';
export type { Shader } from './common/shader.js';
export type { Padding2d, Pair } from './common/shapes.js';
export type { GpuDescription } from './gpu/description.js';
export { Gpu, type GpuOptions } from './gpu/gpu.js';
export { type Kernel, type KernelLimits, linearGrid } from './gpu/kernel.js';
export { type OpenBrowserGpuOptions, openAdapter, openBrowserGpu } from './gpu/open.js';
export type { Scalars } from './gpu/scalars.js';
export type { Tuning, TuningRequest } from './gpu/tuning.js';
export { saveTuningToIndexedDb } from './gpu/tuning-indexeddb.js';
export * from './nn/index.js';
export { elu, gelu, hardSigmoid, hardSwish, leakyRelu, selu, silu, softplus } from './ops/activations.js';
export { type ArgmaxOptions, argmax, argmin } from './ops/argmax.js';
export {
  batchNormInference,
  batchNormTraining,
  batchNormWithStatistics,
  updateRunningStatistics,
} from './ops/batch-norm/batch-norm.js';
export {
  batchNormPreluInference,
  batchNormPreluTraining,
  batchNormPreluWithStatistics,
} from './ops/batch-norm/prelu.js';
export { add, div, maximum, minimum, mod, mul, type NumericType, type Operand, pow, sub } from './ops/binary.js';
export { logisticBits } from './ops/bits.js';
export {
  cast,
  equal,
  greater,
  greaterEqual,
  isInf,
  isNan,
  less,
  lessEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  where,
} from './ops/compare.js';
export { type ConvOptions, conv2d, convTranspose2d } from './ops/conv/conv.js';
export { convBatchNormPrelu, convBatchNormRelu6, type InferenceBatchNorm } from './ops/conv/inference.js';
export {
  type Conv1dOptions,
  type Conv3dOptions,
  type ConvTranspose1dOptions,
  conv1d,
  conv3d,
  convTranspose1d,
} from './ops/conv/lines-and-volumes.js';
export type { Conv2dAttrs, ConvTranspose2dAttrs } from './ops/conv/shape.js';
export { type ConvTuning, tuneConv } from './ops/conv/tune.js';
export { cosFace } from './ops/cosface.js';
export { type DropoutOptions, dropout } from './ops/dropout.js';
export { max, min, prod } from './ops/fold.js';
export {
  embedding,
  gather,
  gatherElements,
  gatherND,
  type OneHotOptions,
  oneHot,
  scatterElements,
  scatterND,
} from './ops/indexing/indexing.js';
export { concat, type PadOptions, pad, reshape, slice } from './ops/layout.js';
export {
  bceWithLogits,
  crossEntropy,
  huberLoss,
  type LossOptions,
  l1Loss,
  type NllLossOptions,
  nllLoss,
  type Reduction,
  smoothL1Loss,
} from './ops/losses.js';
export { LOSSES, type LossSchedule, type LossSpec, marginLoss } from './ops/margin-loss.js';
export { type GemmOptions, gemm, linear, matmul } from './ops/matmul/matmul.js';
export { mse } from './ops/mse.js';
export { l2Normalize } from './ops/normalize.js';
export type { AvgPoolAttrs, Pool2dAttrs, PoolAttrs } from './ops/pool/pool.js';
export {
  type AvgPool2dOptions,
  type AvgPoolOptions,
  avgPool,
  avgPool2d,
  globalAvgPool2d,
  globalMaxPool2d,
  lpPool2d,
  maxPool,
  maxPool2d,
  type Pool2dOptions,
  type PoolOptions,
} from './ops/pool/pool.js';
export { prelu } from './ops/prelu.js';
export { type QuantizeOptions, quantize } from './ops/quantize.js';
export {
  type DepthSpaceOptions,
  depthToSpace,
  spaceToDepth,
  split,
  squeeze,
  stack,
  tile,
  unsqueeze,
} from './ops/rearrange.js';
export { mean, sum } from './ops/reduce.js';
export { logSumExp, norm, type VarianceOptions, type VectorNormOptions, variance } from './ops/reductions.js';
export type { OpAttrs, OpName } from './ops/registry.js';
export { type ResizeOptions, resize } from './ops/resize.js';
export { logSoftmax, softmax } from './ops/row-softmax.js';
export { cumprod, cumsum, type ScanOptions } from './ops/scan.js';
export { labelsTensor, softmaxCrossEntropy } from './ops/softmax.js';
export { ssim } from './ops/ssim.js';
export { groupNorm, instanceNorm, layerNorm, localResponseNorm, type NormOptions, rmsNorm } from './ops/standardize.js';
export { expand, flip, stridedSlice } from './ops/strided.js';
export { Tape } from './ops/tape.js';
export { type TopKOptions, topK } from './ops/top-k.js';
export { transpose } from './ops/transpose.js';
export { tril, triu } from './ops/triangle.js';
export {
  abs,
  acos,
  acosh,
  affine,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  clamp,
  cos,
  cosh,
  erf,
  exp,
  floor,
  log,
  neg,
  reciprocal,
  relu,
  round,
  sigmoid,
  sign,
  sin,
  sinh,
  sqrt,
  square,
  tan,
  tanh,
} from './ops/unary.js';
export { upsampleBilinear, upsampleNearest } from './ops/upsample.js';
export { arange, eye, full, ones, randn } from './tensor/create.js';
export { type DefinedOp, defineOp } from './tensor/define-op.js';
export { dispatch, dispatchInPlace, dispatchMany } from './tensor/dispatch.js';
export type { DType, ReadValues } from './tensor/dtype.js';
export { formatTensor } from './tensor/format.js';
export type { NestedValues } from './tensor/nested-values.js';
export { type NamedTensors, type RecordedStep, recordStep } from './tensor/recorded-step.js';
export type { BackwardContext, Op } from './tensor/tape.js';
export { type AnyTensor, keep, scope, Tensor } from './tensor/tensor.js';
