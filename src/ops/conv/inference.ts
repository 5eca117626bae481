import { ArgumentError } from '../../common/errors.js';
import type { Pair } from '../../common/shapes.js';
import { dispatch } from '../../tensor/dispatch.js';
import { isTapeRecording } from '../../tensor/tape.js';
import type { Tensor } from '../../tensor/tensor.js';
import { batchNormInferenceShape } from '../batch-norm/batch-norm.js';
import { preluShape } from '../prelu.js';
import { type ConvOptions, type ConvTranspose2dOptions, convAttrs, convTransposeAttrs, runGather } from './conv.js';
import { foldBatchNormKernel } from './plan.js';
import { conv2dShape, convShape, convTranspose2dShape } from './shape.js';

/** The parameters and running statistics of a batch norm, each [C]. */
export interface InferenceBatchNorm {
  gamma: Tensor;
  beta: Tensor;
  mean: Tensor;
  variance: Tensor;
  eps: number;
}

type FusedOptions = ConvOptions & { transposed?: boolean };

/**
 * Conv (or transposed conv), batch norm by running statistics, and PReLU in one pass over the picture: the kernel that
 * sums also applies these before it stores. It has no gradient; if you need one, run the three operations.
 *
 * @param x [N,H,W,Cin]
 * @param w [kh,kw,Cin/groups,Cout], or [kh,kw,Cout/groups,Cin] where `transposed`
 * @param slope [1] or [Cout]
 * @returns [N,Ho,Wo,Cout]
 * @throws ShapeError if the shapes or attributes do not fit; ArgumentError while a tape records
 */
export function convBatchNormPrelu(
  x: Tensor,
  w: Tensor,
  batchNorm: InferenceBatchNorm,
  slope: Tensor,
  attrs: ConvTranspose2dOptions = {},
  options: FusedOptions = {},
): Tensor {
  return fused('batchNormPrelu', x, w, batchNorm, slope, attrs, options);
}

/**
 * As `convBatchNormPrelu`, but with ReLU6, min(max(z, 0), 6), in place of the PReLU (Krizhevsky 2010, "Convolutional deep
 * belief networks on CIFAR-10").
 * @throws as `convBatchNormPrelu`
 */
export function convBatchNormRelu6(
  x: Tensor,
  w: Tensor,
  batchNorm: InferenceBatchNorm,
  attrs: ConvTranspose2dOptions = {},
  options: FusedOptions = {},
): Tensor {
  // The slope in the folded numbers is not used.
  return fused('batchNormRelu6', x, w, batchNorm, batchNorm.beta, attrs, options);
}

/** The same with ReLU: of −∞, which a slope of 0 would make NaN, it is 0. @throws as `convBatchNormPrelu` */
export function convBatchNormRelu(
  x: Tensor,
  w: Tensor,
  batchNorm: InferenceBatchNorm,
  attrs: ConvTranspose2dOptions = {},
  options: FusedOptions = {},
): Tensor {
  return fused('batchNormRelu', x, w, batchNorm, batchNorm.beta, attrs, options);
}

function fused(
  kind: 'batchNormPrelu' | 'batchNormRelu' | 'batchNormRelu6',
  x: Tensor,
  w: Tensor,
  batchNorm: InferenceBatchNorm,
  slope: Tensor,
  attrs: ConvTranspose2dOptions,
  { transposed = false, ...options }: FusedOptions,
): Tensor {
  const name = transposed ? 'convTranspose2d' : 'conv2d';
  if (isTapeRecording()) throw new ArgumentError('conv with batch norm in one has no gradient; a tape is recording');
  const { gamma, beta, mean, variance, eps } = batchNorm;
  const full = {
    outputPadding: [0, 0] as Pair,
    ...(transposed ? convTransposeAttrs(name, attrs) : convAttrs(name, attrs)),
  };
  const shape = (transposed ? convTranspose2dShape : conv2dShape)([x.shape, w.shape], full);
  batchNormInferenceShape([shape, ...[gamma, beta, mean, variance].map((tensor) => tensor.shape)], { eps });
  preluShape([shape, slope.shape]);
  const channels = shape[3];
  const fold = foldBatchNormKernel(channels, eps, slope.size === 1);
  const numbers = dispatch(fold, [gamma, beta, mean, variance, slope], [3, channels]);
  const conv = transposed ? convShape(shape, x.shape, w.shape, full) : convShape(x.shape, shape, w.shape, full);
  const direction = transposed ? 'inputGradient' : 'forward';
  const { output, padded } = runGather(conv, direction, x, w, { kind, numbers }, options);
  padded?.dispose();
  numbers.dispose();
  return output;
}
