import { ArgumentError, ShapeError } from './errors.js';
import { checkLossSpec } from './loss-spec.js';
import type { OpAttrs, OpName } from './op-attrs.js';
import {
  checkBounds,
  checkFinite,
  checkInputs,
  checkIntegers,
  checkLabels,
  checkMinRank,
  checkNotNegative,
  checkPerChannel,
  checkPositive,
  checkRange,
  checkRank,
  checkSame,
} from './op-shapes-checks.js';
import { conv2dShape, convTranspose2dShape } from './op-shapes-conv.js';
import { concatShape, padShape, reduceShape, reshapeShape, sliceShape, transposeShape } from './op-shapes-layout.js';
import { pool2dShape, ssimShape, upsampleBilinearShape, upsampleNearestShape } from './op-shapes-spatial.js';
import { broadcastShapes, formatShape, type Shape } from './shapes.js';

/** From the shapes of an operation's inputs and its attributes, all of which it checks, the shape of its output. */
export type ShapeRule<A> = (inputs: readonly Shape[], attrs: A) => number[];

/** What batch normalisation takes: by the statistics of the batch, and by given ones. */
const TRAINING = ['input', 'gamma', 'beta'];
const INFERENCE = ['input', 'gamma', 'beta', 'running mean', 'running variance'];

/** Rules of what maps each element, by name. */
export const unaryShapes = {
  exp: /* @__PURE__ */ unary('exp'),
  log: /* @__PURE__ */ unary('log'),
  sqrt: /* @__PURE__ */ unary('sqrt'),
  abs: /* @__PURE__ */ unary('abs'),
  square: /* @__PURE__ */ unary('square'),
  sigmoid: /* @__PURE__ */ unary('sigmoid'),
  clamp: /* @__PURE__ */ unary('clamp', (attrs) => {
    checkBounds('clamp', attrs.min, attrs.max);
  }),
  affine: /* @__PURE__ */ unary('affine', (attrs) => {
    checkFinite('affine', 'scale', attrs.scale);
    checkFinite('affine', 'offset', attrs.offset);
  }),
};

/** Rules of what combines two arrays, with broadcasting, by name. */
export const binaryShapes = {
  add: /* @__PURE__ */ binary('add'),
  sub: /* @__PURE__ */ binary('sub'),
  mul: /* @__PURE__ */ binary('mul'),
  div: /* @__PURE__ */ binary('div'),
};

export const batchNormTrainingShape: ShapeRule<OpAttrs['batchNormTraining']> = (inputs, attrs) =>
  batchNorm('batchNormTraining', TRAINING, inputs, attrs);
export const batchNormInferenceShape: ShapeRule<OpAttrs['batchNormInference']> = (inputs, attrs) =>
  batchNorm('batchNormInference', INFERENCE, inputs, attrs);
export const batchNormPreluTrainingShape: ShapeRule<OpAttrs['batchNormPreluTraining']> = (inputs, attrs) =>
  batchNormPrelu('batchNormPreluTraining', TRAINING, inputs, attrs);
export const batchNormPreluInferenceShape: ShapeRule<OpAttrs['batchNormPreluInference']> = (inputs, attrs) =>
  batchNormPrelu('batchNormPreluInference', INFERENCE, inputs, attrs);
export const sumShape: ShapeRule<OpAttrs['sum']> = (inputs, attrs) => reduceShape('sum', inputs, attrs);
export const meanShape: ShapeRule<OpAttrs['mean']> = (inputs, attrs) => reduceShape('mean', inputs, attrs);
export const maxPool2dShape: ShapeRule<OpAttrs['maxPool2d']> = (inputs, attrs) =>
  pool2dShape('maxPool2d', inputs, attrs);
export const avgPool2dShape: ShapeRule<OpAttrs['avgPool2d']> = (inputs, attrs) =>
  pool2dShape('avgPool2d', inputs, attrs);
export const quantizeShape = /* @__PURE__ */ unary('quantize', checkQuantize);

/**
 * The shape rule of every operation; each throws ShapeError or ArgumentError that names the operation. It is for tests and
 * the reference, which walk over all of them: an operation on the GPU holds its own rule, so that a program carries only
 * the rules of what it uses.
 */
export const opShapes: { readonly [K in OpName]: ShapeRule<OpAttrs[K]> } = /* @__PURE__ */ (() => ({
  conv2d: conv2dShape,
  convTranspose2d: convTranspose2dShape,
  batchNormTraining: batchNormTrainingShape,
  batchNormInference: batchNormInferenceShape,
  batchNormPreluTraining: batchNormPreluTrainingShape,
  batchNormPreluInference: batchNormPreluInferenceShape,
  prelu: preluShape,
  matmul: matmulShape,
  ...binaryShapes,
  ...unaryShapes,
  sum: sumShape,
  mean: meanShape,
  reshape: reshapeShape,
  transpose: transposeShape,
  pad: padShape,
  slice: sliceShape,
  concat: concatShape,
  maxPool2d: maxPool2dShape,
  avgPool2d: avgPool2dShape,
  upsampleNearest: upsampleNearestShape,
  upsampleBilinear: upsampleBilinearShape,
  l2Normalize: l2NormalizeShape,
  softmaxCrossEntropy: softmaxCrossEntropyShape,
  quantize: quantizeShape,
  cosFace: cosFaceShape,
  marginLoss: marginLossShape,
  mse: mseShape,
  ssim: ssimShape,
  logisticBits: logisticBitsShape,
}))();

/**
 * Checks the inputs and attributes of an operation.
 * @returns the shape of its output
 * @throws ShapeError for shapes (or attributes beside these shapes) that do not fit; ArgumentError for attribute values
 */
export function outputShape<K extends OpName>(op: K, inputShapes: readonly Shape[], attrs: OpAttrs[K]): number[] {
  return opShapes[op](inputShapes, attrs);
}

function unary<K extends OpName>(op: K, check?: (attrs: OpAttrs[K]) => void): ShapeRule<OpAttrs[K]> {
  return (inputs, attrs) => {
    checkInputs(op, inputs, ['input']);
    check?.(attrs);
    return [...inputs[0]];
  };
}

function binary(op: OpName): ShapeRule<unknown> {
  return (inputs) => {
    checkInputs(op, inputs, ['a', 'b']);
    return broadcastShapes(inputs[0], inputs[1], op);
  };
}

function batchNorm(op: OpName, names: string[], inputs: readonly Shape[], attrs: { eps: number }): number[] {
  checkInputs(op, inputs, names);
  const [x, ...perChannel] = inputs;
  checkMinRank(op, 'input', x, 2, '[...,C]');
  perChannel.forEach((shape, i) => {
    checkPerChannel(op, names[i + 1], shape, x[x.length - 1], 'the input');
  });
  checkPositive(op, 'eps', attrs.eps);
  return [...x];
}

export function preluShape(inputs: readonly Shape[]): number[] {
  checkInputs('prelu', inputs, ['input', 'slope']);
  const [x, slope] = inputs;
  checkMinRank('prelu', 'input', x, 1, '[...,C]');
  checkSlope('prelu', slope, x[x.length - 1]);
  return [...x];
}

/** Checks a slope that all channels share, or one a channel. */
function checkSlope(op: OpName, slope: Shape, channels: number): void {
  if (slope.length !== 1 || (slope[0] !== 1 && slope[0] !== channels)) {
    throw new ShapeError(`${op}: slope has shape ${formatShape(slope)}; expected [1] or [${channels}]`);
  }
}

/** The slope comes last, after what the batch normalisation takes. */
function batchNormPrelu(op: OpName, names: string[], inputs: readonly Shape[], attrs: { eps: number }): number[] {
  checkInputs(op, inputs, [...names, 'slope']);
  const shape = batchNorm(op, names, inputs.slice(0, -1), attrs);
  checkSlope(op, inputs[names.length], shape[shape.length - 1]);
  return shape;
}

export function matmulShape(inputs: readonly Shape[], attrs: OpAttrs['matmul']): number[] {
  checkInputs('matmul', inputs, ['a', 'b']);
  const [a, b] = inputs;
  checkRank('matmul', 'a', a, 2, attrs.transposeA ? '[K,M]' : '[M,K]');
  checkRank('matmul', 'b', b, 2, attrs.transposeB ? '[N,K]' : '[K,N]');
  const [m, ka] = attrs.transposeA ? [a[1], a[0]] : [a[0], a[1]];
  const [kb, n] = attrs.transposeB ? [b[1], b[0]] : [b[0], b[1]];
  if (ka !== kb) {
    const side = (shape: Shape, transposed: boolean): string =>
      `${formatShape(shape)}${transposed ? ' transposed' : ''}`;
    throw new ShapeError(
      `matmul: inner sizes differ: ${ka} in a ${side(a, attrs.transposeA)}, ${kb} in b ${side(b, attrs.transposeB)}`,
    );
  }
  return [m, n];
}

export function l2NormalizeShape(inputs: readonly Shape[], attrs: OpAttrs['l2Normalize']): number[] {
  checkInputs('l2Normalize', inputs, ['input']);
  checkMinRank('l2Normalize', 'input', inputs[0], 1, '[...,D]');
  checkPositive('l2Normalize', 'eps', attrs.eps);
  return [...inputs[0]];
}

export function softmaxCrossEntropyShape(inputs: readonly Shape[]): number[] {
  const op = 'softmaxCrossEntropy';
  checkInputs(op, inputs, ['logits', 'labels']);
  checkRank(op, 'logits', inputs[0], 2, '[B,C]');
  checkLabels(op, inputs[1], inputs[0][0], 'logits');
  return [];
}

export function cosFaceShape(inputs: readonly Shape[], attrs: OpAttrs['cosFace']): number[] {
  checkLabelledEmbeddings('cosFace', inputs);
  checkPositive('cosFace', 's', attrs.s);
  checkNotNegative('cosFace', 'm', attrs.m);
  return [];
}

export function marginLossShape(inputs: readonly Shape[], attrs: OpAttrs['marginLoss']): number[] {
  checkLabelledEmbeddings('marginLoss', inputs);
  checkLossSpec('marginLoss', attrs);
  return [];
}

function checkLabelledEmbeddings(op: string, inputs: readonly Shape[]): void {
  checkInputs(op, inputs, ['embeddings', 'weights', 'labels']);
  const [x, w, labels] = inputs;
  checkRank(op, 'embeddings', x, 2, '[B,D]');
  checkRank(op, 'weights', w, 2, '[classes,D]');
  if (x[1] !== w[1]) {
    throw new ShapeError(
      `${op}: embeddings ${formatShape(x)} have ${x[1]} dimensions, weights ${formatShape(w)} ${w[1]}`,
    );
  }
  checkLabels(op, labels, x[0], 'embeddings');
}

export function mseShape(inputs: readonly Shape[]): number[] {
  checkInputs('mse', inputs, ['a', 'b']);
  checkSame('mse', inputs[0], inputs[1]);
  return [];
}

export function logisticBitsShape(inputs: readonly Shape[]): number[] {
  const op = 'logisticBits';
  checkInputs(op, inputs, ['input', 'logScale']);
  const [y, logScale] = inputs;
  checkMinRank(op, 'input', y, 1, '[...,C]');
  checkPerChannel(op, 'logScale', logScale, y[y.length - 1], 'the input');
  return [...y];
}

/** Up to here float32 holds every integer. */
const MAX_INTEGER = 2 ** 24;

/** @throws ArgumentError */
export function checkQuantize(attrs: OpAttrs['quantize']): void {
  const op = 'quantize';
  if (!['noise', 'straightThrough', 'hard'].includes(attrs.mode)) {
    throw new ArgumentError(`${op}: mode is ${attrs.mode}; expected noise, straightThrough or hard`);
  }
  checkPositive(op, 'scale', attrs.scale);
  checkRange(op, attrs.min, attrs.max);
  if (!Number.isInteger(attrs.min) || !Number.isInteger(attrs.max)) {
    throw new ArgumentError(`${op}: the range [${attrs.min}, ${attrs.max}] must have integer ends`);
  }
  if (Math.max(Math.abs(attrs.min), Math.abs(attrs.max)) > MAX_INTEGER) {
    throw new ArgumentError(`${op}: the range [${attrs.min}, ${attrs.max}] must lie within ±2^24, as float32 holds`);
  }
  for (const name of ['seed', 'stream'] as const) {
    checkIntegers(op, name, [attrs[name]], 1, 0);
    if (attrs[name] > 0xffffffff) throw new ArgumentError(`${op}: ${name} is ${attrs[name]}; expected 32 bits`);
  }
}
