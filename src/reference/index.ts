import type { OpAttrs, OpName } from '../common/op-attrs.js';
import { opShapes, type ShapeRule } from '../common/op-shapes.js';
import { conv2d, convTranspose2d } from './conv.js';
import { abs, add, affine, clamp, div, exp, log, mul, prelu, sigmoid, sqrt, square, sub } from './elementwise.js';
import { concat, mean, pad, reshape, slice, sum, transpose } from './layout.js';
import { cosFace, mse, softmaxCrossEntropy } from './losses.js';
import { marginLoss } from './margin-loss.js';
import { matmul } from './matmul.js';
import {
  batchNormInference,
  batchNormPreluInference,
  batchNormPreluTraining,
  batchNormTraining,
  l2Normalize,
} from './norm.js';
import { avgPool2d, maxPool2d } from './pool.js';
import { logisticBits, quantize } from './quantize.js';
import { checked, type ReferenceOp, type ReferenceRule } from './reference-op.js';
import { ssim } from './ssim.js';
import { upsampleBilinear, upsampleNearest } from './upsample.js';

export { full, map, type NdArray, ndarray, scalar, zeros } from './ndarray.js';
export { batchStatistics } from './norm.js';
export type { ReferenceOp } from './reference-op.js';

const rules: { readonly [K in OpName]: ReferenceRule<OpAttrs[K]> } = {
  conv2d,
  convTranspose2d,
  batchNormTraining,
  batchNormInference,
  batchNormPreluTraining,
  batchNormPreluInference,
  prelu,
  matmul,
  add,
  sub,
  mul,
  div,
  exp,
  log,
  sqrt,
  abs,
  square,
  sigmoid,
  clamp,
  affine,
  sum,
  mean,
  reshape,
  pad,
  slice,
  transpose,
  concat,
  maxPool2d,
  avgPool2d,
  upsampleNearest,
  upsampleBilinear,
  l2Normalize,
  softmaxCrossEntropy,
  quantize,
  cosFace,
  marginLoss,
  mse,
  ssim,
  logisticBits,
};

type ReferenceOps = { readonly [K in OpName]: ReferenceOp<OpAttrs[K]> };

/** Every operation in float64 on the CPU, with the same checks of shapes and attributes as on the GPU. */
export const referenceOps = /* @__PURE__ */ (() =>
  Object.fromEntries(
    (Object.keys(rules) as OpName[]).map((op) => [
      op,
      checked(op, rules[op] as ReferenceRule<unknown>, opShapes[op] as ShapeRule<unknown>),
    ]),
  ))() as unknown as ReferenceOps;
