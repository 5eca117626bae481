import type { Precision } from '../src/common/precision.js';
import type { Shader } from '../src/common/shader.js';
import { type Pair, up4 } from '../src/common/shapes.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { type Epilogue, epilogueArray, epilogueFunctions } from './common/epilogue.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { operandType, storedVector } from './common/operand.js';
import { wgsl } from './common/wgsl.js';

export interface PadPicture {
  /** [N,H,W,C] of the picture. */
  shape: readonly number[];
  /** Zeros before each axis of H, W. */
  before: readonly [number, number];
  /** [N,H,W,C] of the result; C may be larger, too. */
  padded: readonly number[];
  /** How the result is stored. */
  precision: Precision;
}

/** Copies a picture into a larger one of zeros, a vec4 of channels an invocation. Bindings: picture, padded. */
export function padPictureShader({ shape, before, padded, precision }: PadPicture): Shader {
  const [n, h, w, c] = shape;
  const [, height, width, channels] = padded;
  const wholeVectors = c % 4 === 0;
  return shader(
    {
      x: read(vectorType(wholeVectors ? 4 : 1)),
      y: write(storedVector(precision)),
    },
    (declarations) => wgsl`${operandType(precision)}
const N = ${n};
const H = ${h};
const W = ${w};
const C = ${c};
const PADDED_H = ${height};
const PADDED_W = ${width};
const PADDED_VECS = ${channels / 4};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(N * PADDED_H * PADDED_W * PADDED_VECS)) { return; }
  let vec = i32(i) % PADDED_VECS;
  let w = i32(i) / PADDED_VECS % PADDED_W - ${before[1]};
  let h = i32(i) / PADDED_VECS / PADDED_W % PADDED_H - ${before[0]};
  let n = i32(i) / PADDED_VECS / PADDED_W / PADDED_H;
  var value = vec4f();
  if (h >= 0 && h < H && w >= 0 && w < W && 4 * vec < C) {
    let pixel = (n * H + h) * W + w;
#if ${wholeVectors}
    value = x[pixel * C / 4 + vec];
#else
    let at = pixel * C + 4 * vec;
    let end = pixel * C + C - 1;
    let numbers = vec4f(x[at], x[min(at + 1, end)], x[min(at + 2, end)], x[min(at + 3, end)]);
    value = select(vec4f(), numbers, vec4i(at) + vec4i(0, 1, 2, 3) <= vec4i(end));
#endif
  }
  y[i] = Operand(value);
}`,
  );
}

export interface PackWeights {
  taps: number;
  /** Channels on the source side and the destination side of the pass that will read the result. */
  source: number;
  dest: number;
  /** True when the weights lie as [taps, dest, source], so that they must be transposed. */
  transposed: boolean;
  /** For dest pixels that are blocks: their size, and the columns of the taps. Default: they are pixels. */
  blocks?: { stride: Pair; columns: number };
  /** How the result is stored. */
  precision: Precision;
}

/** Weights as [taps, source₄, dest₄]: channels padded to multiples of 4 with zeros. Bindings: weights, result. */
export function packWeightsShader({ taps, source, dest, transposed, blocks, precision }: PackWeights): Shader {
  const [down, across] = blocks?.stride ?? [1, 1];
  return shader(
    { weights: read('f32'), result: write(precision) },
    (declarations) => wgsl`
#if ${precision === 'f16'}
enable f16;
#endif
const SOURCE = ${source}u;
const DEST = ${dest}u;
const SOURCE_PADDED = ${up4(source)}u;
const DEST_PADDED = ${up4(dest)}u;
const COLUMNS = ${blocks?.columns ?? 1}u; // of taps of blocks
const CHANNELS = ${dest / (down * across)}u; // of a pixel of a block
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= ${taps}u * SOURCE_PADDED * DEST_PADDED) { return; }
  let d = i % DEST_PADDED;
  let s = i / DEST_PADDED % SOURCE_PADDED;
  let tap = i / DEST_PADDED / SOURCE_PADDED;
  result[i] = 0;
  if (s < SOURCE && d < DEST) {
#if ${blocks}
    let pixel = d / CHANNELS; // of a block
    let row = tap / COLUMNS * ${down} + pixel / ${across};
    let column = tap % COLUMNS * ${across} + pixel % ${across};
    let at = (row * COLUMNS * ${across} + column) * CHANNELS + d % CHANNELS;
    result[i] = ${precision}(weights[at * SOURCE + s]);
#elif ${transposed}
    result[i] = ${precision}(weights[(tap * DEST + d) * SOURCE + s]);
#else
    result[i] = ${precision}(weights[(tap * SOURCE + s) * DEST + d]);
#endif
  }
}`,
  );
}

/** Adds the partial arrays [parts, size] of a split sum, in order, some at a time. Bindings: partial, result. */
export function sumPartsShader(size: number, parts: number): Shader {
  return shader(
    { partial: read('f32'), result: write('f32') },
    (declarations) => wgsl`
const SIZE = ${size}u;
const PARTS = ${parts}u;
const BLOCK = 32u;
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= SIZE) { return; }
  var total = 0.0;
  for (var first = 0u; first < PARTS; first += BLOCK) {
    var sum = 0.0;
    for (var part = first; part < min(first + BLOCK, PARTS); part++) { sum += partial[part * SIZE + i]; }
    total += sum;
  }
  result[i] = total;
}`,
  );
}

/** A convolution's epilogue by itself, where its main kernel has none. Bindings: x, the epilogue's numbers, y. */
export function epilogueShader(epilogue: Epilogue, channels: number): Shader {
  return shader(
    {
      x: read('f32'),
      epilogue: epilogueArray(epilogue, channels, 1),
      y: write('f32'),
    },
    (declarations) => wgsl`
${declarations}
${epilogueFunctions(epilogue, channels, 1)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&y)) { return; }
  y[i] = applyEpilogue(x[i], loadEpilogue(i32(i % ${channels})));
}`,
  );
}

/**
 * Batch norm by running statistics as z = x·scale + shift, with the slopes of the PReLU after it.
 * Bindings: gamma, beta, mean, variance, slope, result [3, C].
 */
export function foldBatchNormShader(channels: number, eps: number, sharedSlope: boolean): Shader {
  return shader(
    {
      gamma: read('f32'),
      beta: read('f32'),
      mean: read('f32'),
      variance: read('f32'),
      slope: read('f32'),
      result: write('f32'),
    },
    (declarations) => wgsl`
const CHANNELS = ${channels}u;
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= CHANNELS) { return; }
  let scale = gamma[i] / sqrt(variance[i] + ${f32Literal(eps)});
  result[i] = scale;
  result[i + CHANNELS] = beta[i] - mean[i] * scale;
#if ${sharedSlope}
  result[i + 2 * CHANNELS] = slope[0];
#else
  result[i + 2 * CHANNELS] = slope[i];
#endif
}`,
  );
}
