import { refuse } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import { CounterRandom } from '../common/random.js';
import { checkShape, sizeOf } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import { Tensor } from './tensor.js';

/** A tensor of `shape` whose values `next` gives, in row-major order. */
function filled(gpu: Gpu, shape: readonly number[], next: (i: number) => number): Tensor {
  checkShape('Tensor', shape);
  const values = new Float32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = next(i);
  return Tensor.from(gpu, values, shape);
}

/** A tensor that holds `value` everywhere. @throws ArgumentError for a value that is not a number of float32; ShapeError */
export function full(gpu: Gpu, shape: readonly number[], value: number): Tensor {
  if (typeof value !== 'number' || (Number.isFinite(value) && !Number.isFinite(Math.fround(value)))) {
    refuse('full', 'value', value, 'a number that float32 holds');
  }
  return filled(gpu, shape, () => value);
}

/** A tensor of ones. @throws ShapeError */
export const ones = (gpu: Gpu, shape: readonly number[]): Tensor => filled(gpu, shape, () => 1);

/** The most elements of a range: above this, float32 no longer tells neighbouring integers apart. */
const LONGEST_RANGE = 2 ** 24;

/**
 * start, start + step, start + 2·step, …, up to but without `end`: [max(0, ⌈(end − start)/step⌉)]. Each value is start + i·step, computed in
 * float64 and rounded once.
 * @throws ArgumentError for numbers that are not finite, a step of 0, no values, or more than 2²⁴
 */
export function arange(gpu: Gpu, start: number, end: number, step = 1): Tensor {
  for (const [name, value] of Object.entries({ start, end, step })) {
    if (!Number.isFinite(value)) refuse('arange', name, value, 'a finite number');
  }
  if (step === 0) refuse('arange', 'step', step, 'a number other than 0');
  const count = Math.ceil((end - start) / step);
  if (!(count >= 1 && count <= LONGEST_RANGE)) {
    throw new ArgumentError(
      `arange: from ${start} to ${end} by ${step} makes ${Math.max(0, count)} values; expected 1 to ${LONGEST_RANGE}`,
    );
  }
  return filled(gpu, [count], (i) => start + i * step);
}

/** The identity matrix [rows, columns]: ones where row and column are equal, else zeros. @throws ShapeError */
export const eye = (gpu: Gpu, rows: number, columns = rows): Tensor =>
  filled(gpu, [rows, columns], (i) => (Math.floor(i / columns) === i % columns ? 1 : 0));

/**
 * Independent values of the standard normal distribution.
 * @param random the seed, an unsigned 32-bit integer, which always gives the same values; or a generator, which goes on from where it is
 * @throws ArgumentError for another seed; ShapeError
 */
export function randn(gpu: Gpu, shape: readonly number[], random: number | CounterRandom): Tensor {
  const source = random instanceof CounterRandom ? random : new CounterRandom(random);
  return filled(gpu, shape, () => source.normal());
}
