import { checkList, describe, refuse } from '../common/arguments.js';
import type { DType } from '../common/dtype.js';
import { ArgumentError } from '../common/errors.js';
import { float32Values, type TensorValues } from './float32-values.js';

export { type DType, WGSL_TYPES } from '../common/dtype.js';

/** What reading a tensor gives. */
export interface ReadValues {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}

/**
 * The WGSL type as which kernels move elements without computing. As f32, small integers would be denormal numbers, which devices
 * may take for 0.
 */
export const movedAs = (dtype: DType): 'f32' | 'u32' => (dtype === 'float32' ? 'f32' : 'u32');

/** @throws ArgumentError for what is no type of elements */
export function checkDtype(where: string, dtype: unknown): void {
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
    refuse(where, 'dtype', dtype, "'float32', 'int32' or 'bool'");
  }
}

/** The values as integers. @throws ArgumentError for a value that is no integer of 32 bits */
function int32Values(values: TensorValues): Int32Array {
  if (values instanceof Int32Array) return values;
  checkList('Tensor', 'values', values, 'a list of integers');
  return Int32Array.from(values, (value, i) => {
    if (typeof value !== 'number' || (value | 0) !== value)
      refuse('Tensor', `value ${i}`, value, 'an integer that int32 holds');
    return value;
  });
}

/** The values as 0 and 1. @throws ArgumentError for a value that is neither, nor true or false */
function boolValues(values: TensorValues | readonly boolean[]): Uint32Array {
  checkList('Tensor', 'values', values, 'a list of booleans');
  return Uint32Array.from(values as ArrayLike<number | boolean>, (value, i) => {
    const number = Number(value);
    if (number !== 0 && number !== 1) refuse('Tensor', `value ${i}`, value, 'true, false, 1 or 0');
    return number;
  });
}

/** The values as the GPU holds them. @throws ArgumentError for a value that the type cannot hold */
export function storedValues(
  values: TensorValues | readonly boolean[],
  dtype: DType,
): Float32Array | Int32Array | Uint32Array {
  if (dtype === 'bool') return boolValues(values);
  return dtype === 'int32' ? int32Values(values as TensorValues) : float32Values(values as TensorValues);
}

/** Values from the bytes that the GPU holds. */
export function readValues<D extends DType>(bytes: ArrayBuffer, dtype: D): ReadValues[D] {
  const values =
    dtype === 'bool'
      ? Uint8Array.from(new Uint32Array(bytes))
      : dtype === 'int32'
        ? new Int32Array(bytes)
        : new Float32Array(bytes);
  return values as ReadValues[D];
}

/**
 * Checks that all inputs have one of the allowed types. The rule of an operation that takes other types than float32.
 * @param names of the inputs, in messages
 * @throws ArgumentError
 */
export function checkDtypes(
  op: string,
  inputs: readonly DType[],
  allowed: readonly DType[],
  names: readonly string[] = [],
): void {
  inputs.forEach((dtype, k) => {
    if (allowed.includes(dtype)) return;
    throw new ArgumentError(
      `${op}: ${names[k] ?? `input ${k + 1}`} is a tensor of ${describe(dtype)}; expected ${allowed.join(' or ')}`,
    );
  });
}

/** Checks that all inputs have one type, which is allowed, and returns it. @throws ArgumentError */
export function sameDtype(
  op: string,
  inputs: readonly DType[],
  allowed: readonly DType[] = ['float32', 'int32', 'bool'],
): DType {
  checkDtypes(op, inputs, allowed);
  if (inputs.some((dtype) => dtype !== inputs[0])) {
    throw new ArgumentError(`${op}: the inputs are tensors of ${inputs.join(' and ')}; expected one type`);
  }
  return inputs[0];
}
