import type { Precision } from '../../src/common/precision.js';

/** The WGSL type of 4 numbers that lie in memory. */
export const storedVector = (precision: Precision): string => (precision === 'f16' ? 'vec4<f16>' : 'vec4f');

/**
 * WGSL alias `Operand`: 4 numbers of a convolution's operand as they are multiplied. It comes first in a shader, since it
 * may have to enable f16. What lies in memory as f32 is rounded by storing it as `Operand(source[at])`.
 */
export const operandType = (precision: Precision): string =>
  `${precision === 'f16' ? 'enable f16;\n' : ''}alias Operand = ${storedVector(precision)};`;

/**
 * WGSL of a loaded vector as f32, rounded to the precision if it is not stored so. (Drivers take a mere conversion there and
 * back for nothing to be done.)
 */
export const roundedVector = (load: string, stored: Precision, precision: Precision): string =>
  stored === precision ? `vec4f(${load})` : `quantizeToF16(${load})`;

/** Bytes of one number. */
export const operandBytes = (precision: Precision): number => (precision === 'f16' ? 2 : 4);
