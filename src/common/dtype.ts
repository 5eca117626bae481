/**
 * The types of a tensor's elements. Each takes four bytes on the GPU: an `f32`, an `i32`, or a `u32` that is 0 or 1.
 * Most operations take float32 only; int32 holds indices, bool holds masks.
 */
export type DType = 'float32' | 'int32' | 'bool';

/** The WGSL type of an element in a buffer. */
export const WGSL_TYPES = { float32: 'f32', int32: 'i32', bool: 'u32' } as const satisfies Record<DType, string>;
