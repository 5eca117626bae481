import type { LossSpec } from './loss-spec.js';
/**
 * The operations of the engine, by name, with their attributes. This table is the one contract that the GPU
 * operations (`src/ops`), the float64 reference (`src/reference`) and the tests share.
 *
 * Layouts: activations NHWC; conv weights [kh, kw, Cin/groups, Cout]; transposed-conv weights
 * [kh, kw, Cout/groups, Cin] (so that a transposed conv is exactly the input gradient of a conv with the same
 * weights); scalars have shape []. Labels are float32 tensors that hold integers.
 */

/** [top, bottom, left, right], in pixels. */
export type Padding2d = readonly [number, number, number, number];
/** [rows, columns]. */
export type Pair = readonly [number, number];

export interface Conv2dAttrs {
  stride: Pair;
  padding: Padding2d;
  dilation: Pair;
  groups: number;
}

/** Ho = (H − 1)·stride − (top + bottom) + dilation·(kh − 1) + 1 + outputPadding. */
export interface ConvTranspose2dAttrs extends Conv2dAttrs {
  outputPadding: Pair;
}

export interface Pool2dAttrs {
  kernel: Pair;
  stride: Pair;
  padding: Padding2d;
}

export interface OpAttrs {
  /** inputs x [N,H,W,Cin], w [kh,kw,Cin/groups,Cout], optional bias [Cout] */
  conv2d: Conv2dAttrs;
  /** inputs x [N,H,W,Cin], w [kh,kw,Cout/groups,Cin], optional bias [Cout] */
  convTranspose2d: ConvTranspose2dAttrs;
  /** inputs x [..., C], gamma [C], beta [C]; statistics over all axes but the last, biased variance */
  batchNormTraining: { eps: number };
  /** inputs x [..., C], gamma, beta, running mean, running variance, each [C]; no gradient to the statistics */
  batchNormInference: { eps: number };
  /** batchNormTraining, then prelu: inputs x [..., C], gamma [C], beta [C], slope [1] or [C] */
  batchNormPreluTraining: { eps: number };
  /** batchNormInference, then prelu: inputs x [..., C], gamma, beta, running mean, running variance, slope [1] or [C] */
  batchNormPreluInference: { eps: number };
  /** inputs x [..., C], slope [1] or [C]: x where x > 0, else slope·x */
  prelu: Record<string, never>;
  /** inputs a [M,K] ([K,M] if transposeA), b [K,N] ([N,K] if transposeB) → [M,N] */
  matmul: { transposeA: boolean; transposeB: boolean };
  /** Binary, with NumPy broadcasting. */
  add: Record<string, never>;
  sub: Record<string, never>;
  mul: Record<string, never>;
  div: Record<string, never>;
  /** Unary, elementwise. */
  exp: Record<string, never>;
  log: Record<string, never>;
  sqrt: Record<string, never>;
  abs: Record<string, never>;
  square: Record<string, never>;
  sigmoid: Record<string, never>;
  /** min ≤ x ≤ max, either of which may be infinite; the gradient passes where min ≤ x ≤ max */
  clamp: { min: number; max: number };
  /** scale·x + offset */
  affine: { scale: number; offset: number };
  /** Over the given axes (all when empty); a reduced axis is dropped unless keepDims. */
  sum: { axes: readonly number[]; keepDims: boolean };
  mean: { axes: readonly number[]; keepDims: boolean };
  reshape: { shape: readonly number[] };
  /** Axis k of the output is axis axes[k] of the input. */
  transpose: { axes: readonly number[] };
  /** One entry an axis. */
  pad: { before: readonly number[]; after: readonly number[]; value: number };
  slice: { begin: readonly number[]; size: readonly number[] };
  /** Any number (≥ 1) of inputs. */
  concat: { axis: number };
  /** Padding never wins; on a tie the first in row-major order gets the gradient. */
  maxPool2d: Pool2dAttrs;
  /** Mean over the pixels inside the picture (padding is not counted). */
  avgPool2d: Pool2dAttrs;
  upsampleNearest: { scale: Pair };
  /** Half-pixel centres (align_corners = false), edges clamped. */
  upsampleBilinear: { size: Pair };
  /** Over the last axis: x / max(‖x‖₂, eps) */
  l2Normalize: { eps: number };
  /** inputs logits [B,C], labels [B] → mean loss [] */
  softmaxCrossEntropy: Record<string, never>;
  /**
   * v = x·scale; 'noise': v + u, u uniform in [−½, ½) from Threefry-2x32 (key = [seed, stream], counter = [element, 0]);
   * 'straightThrough' and 'hard': round half to even. Then clamped to [min, max]: the output is in integer units.
   * Gradient: dy·scale where min ≤ unclamped ≤ max, else 0; none for 'hard'.
   */
  quantize: {
    mode: 'noise' | 'straightThrough' | 'hard';
    scale: number;
    min: number;
    max: number;
    seed: number;
    stream: number;
  };
  /**
   * inputs embeddings [B,D], weights [classes,D], labels [B] → mean loss []. Both are L2-normalised (eps 1e-12);
   * logits s·(cos θ − m·[target]). CosFace: Wang et al. 2018, arXiv 1801.09414, eq. 4.
   */
  cosFace: { s: number; m: number };
  /** inputs embeddings [B,D], weights [classes,D], labels [B] → mean loss []: see `marginLoss`. */
  marginLoss: LossSpec;
  /** inputs a, b of one shape → mean((a − b)²) [] */
  mse: Record<string, never>;
  /**
   * inputs a, b [N,H,W,C] → mean SSIM []. Gaussian window (odd size, sigma), 'valid' borders, K1 = 0.01, K2 = 0.03,
   * per channel. Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".
   */
  ssim: { window: number; sigma: number; dataRange: number };
  /**
   * inputs y [..., C], logScale [C] → bits of each element [..., C]: −log2 of the mass that a zero-mean logistic
   * distribution of scale exp(logScale) has on [y − ½, y + ½], floored at 2^−40.
   */
  logisticBits: Record<string, never>;
}

export type OpName = keyof OpAttrs;
