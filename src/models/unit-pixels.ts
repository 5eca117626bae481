import { LEVELS_GROUP, levelsPlan, pictureLevelsShader } from '../../shaders/picture-levels.wgsl.js';
import { pictureUnitsShader } from '../../shaders/picture-units.wgsl.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { dispatch } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { notFinite } from './finite-results.js';

/**
 * Samples of pictures as networks take them: in [0, 1], one picture after the other, from the start of `into` on.
 * @param pictures bytes, of equal length each
 * @param into has room for all; what is behind them stays
 */
export function writeUnitPixels(pictures: readonly Uint8Array[], into: Float32Array): void {
  // A look-up is faster than a division.
  const units = unitsOfLevels();
  let at = 0;
  for (const picture of pictures) {
    for (let i = 0; i < picture.length; i++) into[at++] = units[picture[i]];
  }
}

/** The samples of all 256 levels. */
export const unitsOfLevels = (): Float32Array => Float32Array.from({ length: 256 }, (_, level) => level / 255);

/** Pictures one after the other, as `pixelsOfLevels` takes them; their bytes together are a multiple of 4. @param size of the result */
export function levelWords(pictures: readonly Uint8Array[], size: number): Int32Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const picture of pictures) {
    bytes.set(picture, at);
    at += picture.length;
  }
  return new Int32Array(bytes.buffer);
}

/** One invocation for four samples. */
export const unitsKernel = (words: number): Kernel => elementKernel('picture units', pictureUnitsShader(), words);

/**
 * Samples in [0, 1], made from bytes on the GPU: a quarter as much to write. They are those of `writeUnitPixels`.
 * @param words of `levelWords`
 * @param table a tensor of `unitsOfLevels`
 */
export function pixelsOfLevels(words: Tensor<'int32'>, table: Tensor, shape: readonly number[]): Tensor {
  return dispatch(unitsKernel(words.size), [words, table], shape);
}

/** One invocation a group of samples. */
export const levelsKernel = (groups: number): Kernel => elementKernel('picture levels', pictureLevelsShader(), groups);

/**
 * Pictures as bytes, on the GPU: a quarter as much to read. `readLevels` takes what is read.
 * @param x samples of [−offset, 1 − offset], beyond which they are clamped; their number is a multiple of 16
 */
export function pixelLevels(x: Tensor, offset: number): Tensor<'int32'> {
  const groups = x.size / LEVELS_GROUP;
  return dispatch(levelsKernel(groups), [x], [5 * groups], levelsPlan.pack({ offset }), 'int32');
}

/**
 * The first `count` pictures of `size` samples each.
 * @param what starts the message of an error, as for `checkResults`
 * @param first number of the first picture, for the message
 * @throws NotFiniteError for a sample that is not finite
 */
export function readLevels(what: string, words: Int32Array, count: number, size: number, first = 0): Uint8Array[] {
  const levels = (words.length / 5) * 4;
  for (let group = 0; group < (count * size) / LEVELS_GROUP; group++) {
    const place = words[levels + group];
    if (place === 0) continue;
    const sample = group * LEVELS_GROUP + place - 1;
    throw notFinite(what, first + Math.floor(sample / size), `value ${sample % size}`);
  }
  const bytes = new Uint8Array(words.buffer, words.byteOffset);
  return Array.from({ length: count }, (_, n) => bytes.slice(n * size, (n + 1) * size));
}
