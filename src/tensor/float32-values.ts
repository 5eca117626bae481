import { checkList, refuse } from '../common/arguments.js';

/** The typed arrays in which values of a tensor can be given. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** The forms in which values of a tensor can be given, in row-major order. */
export type TensorValues = NumberArray | readonly number[];

/**
 * The values as float32, each rounded to the nearest; a Float32Array is returned as it is.
 * @throws ArgumentError for a value that is not an array of numbers, and for a finite number that float32 cannot hold
 */
export function float32Values(values: TensorValues): Float32Array {
  if (values instanceof Float32Array) return values;
  checkList('Tensor', 'values', values, 'a list of numbers');
  const result = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== 'number') refuse('Tensor', `value ${i}`, value, 'a number');
    result[i] = value;
    if (Number.isFinite(value) && !Number.isFinite(result[i])) {
      refuse('Tensor', `value ${i}`, value, 'a number that float32 holds, up to 3.4e38');
    }
  }
  return result;
}
