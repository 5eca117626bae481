import type { CounterRandom } from '../common/random.js';
import { type Shape, sizeOf } from '../common/shapes.js';

/** First values of a parameter of the given shape. */
export type Initializer = (shape: Shape, random: CounterRandom) => Float32Array;

/** The same value everywhere. */
export const filled =
  (value: number): Initializer =>
  (shape) =>
    new Float32Array(sizeOf(shape)).fill(value);

/**
 * Normal with the variance 2/((1 + slope²)·fanIn), which keeps the scale of activations through layers followed by
 * (parametric) ReLUs. He et al. 2015, "Delving deep into rectifiers", arXiv 1502.01852, eq. 15.
 * @param fanIn inputs behind one output
 * @param slope of the PReLU that follows: 0 for ReLU, 1 for none
 */
export function heNormal(fanIn: number, slope = 0.25): Initializer {
  const deviation = Math.sqrt(2 / ((1 + slope ** 2) * fanIn));
  return (shape, random) => Float32Array.from({ length: sizeOf(shape) }, () => deviation * random.normal());
}

/**
 * Uniform with the variance 2/(fanIn + fanOut), for layers without a rectifier.
 * Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16.
 * @param fanIn inputs behind one output
 * @param fanOut outputs before one input
 */
export function xavierUniform(fanIn: number, fanOut: number): Initializer {
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  return (shape, random) => Float32Array.from({ length: sizeOf(shape) }, () => limit * (2 * random.uniform() - 1));
}

/** A 32-bit hash of a name (FNV-1a of its UTF-8 bytes): the stream of its random numbers. */
export function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
