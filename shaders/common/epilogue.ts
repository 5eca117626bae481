import type { ColumnWidth } from './columns.js';
import { wgsl } from './wgsl.js';

/**
 * What a convolution does with its sums before it stores them, with numbers for each dest channel: adds the bias [C], or,
 * for `batchNormPrelu` with [3, C] of scale, shift and slope, z = sum·scale + shift and then z where z > 0, else slope·z;
 * `batchNormRelu6`, with the same numbers but for the slope, is z within [0, 6].
 */
export type Epilogue = 'none' | 'bias' | 'batchNormPrelu' | 'batchNormRelu6';

const VECTORS = { 1: ['f32', 'u32'], 2: ['vec2f', 'vec2u'], 4: ['vec4f', 'vec4u'] } as const;

/**
 * WGSL of the epilogue on `width` adjacent channels: the binding of its numbers (where it has some), `loadEpilogue(unit)`
 * of the channels from unit·width on (past the last it repeats that; they are not stored), and `applyEpilogue(sum, numbers)`, the value to store.
 */
export function epilogueFunctions(epilogue: Epilogue, channels: number, width: ColumnWidth, binding: number): string {
  const whole = channels % width === 0;
  const [vector, bits] = VECTORS[width];
  return wgsl`
struct Epilogue { scale: ${vector}, shift: ${vector}, slope: ${vector} }
#if ${epilogue === 'none'}
fn loadEpilogue(unit: i32) -> Epilogue { return Epilogue(); }
#else
#if ${whole}
@group(0) @binding(${binding}) var<storage, read> epilogue: array<${vector}>;
fn epilogueRow(row: i32, unit: i32) -> ${vector} { return epilogue[row * ${channels / width} + min(unit, ${channels / width - 1})]; }
#else
@group(0) @binding(${binding}) var<storage, read> epilogue: array<f32>;
fn epilogueRow(row: i32, unit: i32) -> vec4f {
  let at = row * ${channels} + min(4 * vec4i(unit) + vec4i(0, 1, 2, 3), vec4i(${channels} - 1));
  return vec4f(epilogue[at.x], epilogue[at.y], epilogue[at.z], epilogue[at.w]);
}
#endif
fn loadEpilogue(unit: i32) -> Epilogue {
  var numbers = Epilogue();
#if ${epilogue === 'bias'}
  numbers.shift = epilogueRow(0, unit);
#else
  numbers.scale = epilogueRow(0, unit);
  numbers.shift = epilogueRow(1, unit);
#if ${epilogue === 'batchNormPrelu'}
  numbers.slope = epilogueRow(2, unit);
#endif
#endif
  return numbers;
}
#endif
fn applyEpilogue(sum: ${vector}, numbers: Epilogue) -> ${vector} {
#if ${epilogue === 'none'}
  return sum;
#elif ${epilogue === 'bias'}
  return sum + numbers.shift;
#else
  let z = fma(sum, numbers.scale, numbers.shift);
#if ${epilogue === 'batchNormPrelu'}
  return select(numbers.slope * z, z, z > ${vector}());
#else
  let isNan = (bitcast<${bits}>(z) & ${bits}(0x7fffffff)) > ${bits}(0x7f800000); // clamp may lose it
  return select(clamp(z, ${vector}(), ${vector}(6)), z, isNan);
#endif
#endif
}`;
}
