import { ArgumentError } from '../common/errors.js';

/** What values of a tensor are given as. */
export type TensorValues =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | readonly number[];

/**
 * The values as float32, each rounded to the nearest; a Float32Array is returned as it is.
 * @throws ArgumentError for what is no array of numbers, and for a finite number that float32 cannot hold
 */
export function float32Values(values: TensorValues): Float32Array {
  if (values instanceof Float32Array) return values;
  const isTyped = ArrayBuffer.isView(values) && 'length' in values;
  if (!isTyped && !Array.isArray(values)) {
    const given = values === null ? 'null' : ((values as object | undefined)?.constructor?.name ?? typeof values);
    throw new ArgumentError(
      `the values of a tensor are of type ${given}; expected a typed array or an array of numbers`,
    );
  }
  const result = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== 'number') {
      throw new ArgumentError(`value ${i} of a tensor is ${String(value)} (${typeof value}); expected a number`);
    }
    result[i] = value;
    if (Number.isFinite(value) && !Number.isFinite(result[i])) {
      throw new ArgumentError(`value ${i} of a tensor is ${value}; float32 holds magnitudes up to 3.4e38`);
    }
  }
  return result;
}
