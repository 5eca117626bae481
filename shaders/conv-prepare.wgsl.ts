import type { Precision } from '../src/common/precision.js';
import { up4 } from '../src/common/shapes.js';
import { applyEpilogue, type Epilogue, loadEpilogue } from './common/gather.js';
import { f32Bindings, linearMain } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { operandType } from './common/operand.js';
import { typedBindings } from './common/typed-bindings.js';

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
export function padPictureShader({ shape, before, padded, precision }: PadPicture): string {
  const [n, h, w, c] = shape;
  const [, ph, pw, pc] = padded;
  const vec4 = c % 4 === 0;
  const type = vec4 ? 'vec4f' : 'f32';
  const source = vec4 ? `x[((n * ${h} + h) * ${w} + w) * ${c / 4} + c]` : '';
  const gathered = `let at = ((n * ${h} + h) * ${w} + w) * ${c} + 4 * c;
    value = vec4f(${[0, 1, 2, 3].map((k) => `select(0.0, x[min(at + ${k}, ${n * h * w * c - 1})], 4 * c + ${k} < ${c})`).join(', ')});`;
  return `${operandType(precision)}
@group(0) @binding(0) var<storage, read> x: array<${type}>;
@group(0) @binding(1) var<storage, read_write> y: array<Operand>;
${linearMain(`${(n * ph * pw * pc) / 4}u`)}
  let c = i32(i) % ${pc / 4};
  let w = (i32(i) / ${pc / 4}) % ${pw} - ${before[1]};
  let h = (i32(i) / ${(pc / 4) * pw}) % ${ph} - ${before[0]};
  let n = i32(i) / ${(pc / 4) * pw * ph};
  var value = vec4f();
  if (h >= 0 && h < ${h} && w >= 0 && w < ${w} && 4 * c < ${c}) {
    ${vec4 ? `value = ${source};` : gathered}
  }
  y[i] = Operand(value);
}`;
}

export interface ArrangeWeights {
  taps: number;
  /** Channels on the source side and the destination side of the pass that will read the result. */
  source: number;
  dest: number;
  /** True when the weights lie as [taps, dest, source], so that they must be transposed. */
  transposed: boolean;
  /** How the result is stored. */
  precision: Precision;
}

/** Weights as [taps, source₄, dest₄]: channels padded to multiples of 4 with zeros. Bindings: weights, result. */
export function arrangeWeightsShader({ taps, source, dest, transposed, precision }: ArrangeWeights): string {
  const [s4, d4] = [up4(source), up4(dest)];
  const from = transposed ? `(tap * ${dest}u + d) * ${source}u + s` : `(tap * ${source}u + s) * ${dest}u + d`;
  return `${precision === 'f16' ? 'enable f16;' : ''}
${typedBindings(['weights', 'r', 'f32'], ['result', 'w', precision])}
${linearMain(`${taps * s4 * d4}u`)}
  let d = i % ${d4}u;
  let s = (i / ${d4}u) % ${s4}u;
  let tap = i / ${s4 * d4}u;
  if (s < ${source}u && d < ${dest}u) { result[i] = ${precision}(weights[${from}]); } else { result[i] = 0; }
}`;
}

/** Adds `slots` partial arrays of `size` elements in slot order. Bindings: partial, result. */
export function sumSlotsShader(size: number, slots: number): string {
  return `
${f32Bindings(['partial', 'r'], ['result', 'w'])}
${linearMain(`${size}u`)}
  var sum = 0.0;
  for (var slot = 0u; slot < ${slots}u; slot++) { sum += partial[slot * ${size}u + i]; }
  result[i] = sum;
}`;
}

/** A convolution's epilogue by itself, where its main kernel has none. Bindings: x, the epilogue's numbers, y. */
export function epilogueShader(epilogue: Epilogue, channels: number): string {
  return `
${f32Bindings(['x', 'r'], ['epilogue', 'r'], ['y', 'w'])}
${linearMain('arrayLength(&y)')}
  ${loadEpilogue(epilogue, channels, `i % ${channels}`, '', 1)}
  y[i] = ${applyEpilogue(epilogue, 'x[i]', '', 1)};
}`;
}

/**
 * Batch norm by running statistics as z = x·scale + shift, with the slopes of the PReLU after it.
 * Bindings: gamma, beta, mean, variance, slope, result [3, C].
 */
export function foldBatchNormShader(channels: number, eps: number, sharedSlope: boolean): string {
  return `
${f32Bindings(['gamma', 'r'], ['beta', 'r'], ['mean', 'r'], ['variance', 'r'], ['slope', 'r'], ['result', 'w'])}
${linearMain(`${channels}u`)}
  let scale = gamma[i] / sqrt(variance[i] + ${f32Literal(eps)});
  result[i] = scale;
  result[i + ${channels}u] = beta[i] - mean[i] * scale;
  result[i + ${2 * channels}u] = slope[${sharedSlope ? '0' : 'i'}];
}`;
}
