import type { Precision } from '../../src/common/precision.js';

/**
 * WGSL alias `Operand`: 4 numbers of a convolution's operand as they are stored. It comes first in a shader, since it may
 * have to enable f16; reading is `vec4f(source[at])` in either precision.
 */
export const operandType = (precision: Precision): string =>
  precision === 'f16' ? 'enable f16;\nalias Operand = vec4<f16>;' : 'alias Operand = vec4f;';

/** Bytes of one number. */
export const operandBytes = (precision: Precision): number => (precision === 'f16' ? 2 : 4);
