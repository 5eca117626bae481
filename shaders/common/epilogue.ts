import { type Binding, read, vectorType } from './bindings.js';
import type { ChannelWidth } from './channel-walk.js';
import { wgsl } from './wgsl.js';

/**
 * What a convolution does with its sums before it stores them, with numbers for each dest channel: adds the bias [C], or,
 * for `batchNormPrelu` with [3, C] of scale, shift and slope, z = sum·scale + shift and then z where z > 0, else slope·z;
 * `batchNormRelu6`, with the same numbers except for the slope, is z within [0, 6], and `batchNormRelu` is z where z > 0, else 0.
 */
export type Epilogue = 'none' | 'bias' | 'batchNormPrelu' | 'batchNormRelu' | 'batchNormRelu6';

/** The binding of the epilogue's numbers, for kernels that take `width` adjacent channels; false where it has none. */
export const epilogueArray = (epilogue: Epilogue, channels: number, width: ChannelWidth): Binding | false =>
  epilogue !== 'none' && read(channels % width === 0 ? vectorType(width) : 'f32');

/**
 * WGSL of the epilogue on `width` adjacent channels, whose numbers, where it has some, are bound as `epilogue`: `loadEpilogue(unit)`
 * of the channels from unit·width on (past the last, from the first on again), and `applyEpilogue(sum, numbers)`, the value to store.
 */
export function epilogueFunctions(epilogue: Epilogue, channels: number, width: ChannelWidth): string {
  const whole = channels % width === 0;
  const vector = vectorType(width);
  const bits = vector.replace('f', 'u');
  return wgsl`
struct Epilogue { scale: ${vector}, shift: ${vector}, slope: ${vector} }
#if ${epilogue === 'none'}
fn loadEpilogue(unit: i32) -> Epilogue { return Epilogue(); }
#else
#if ${whole}
fn epilogueRow(row: i32, unit: i32) -> ${vector} { return epilogue[row * ${channels / width} + unit % ${channels / width}]; }
#else
fn epilogueRow(row: i32, unit: i32) -> vec4f {
  let at = row * ${channels} + (4 * vec4i(unit) + vec4i(0, 1, 2, 3)) % ${channels};
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
  let isNan = (bitcast<${bits}>(z) & ${bits}(0x7fffffff)) > ${bits}(0x7f800000); // clamp and max may lose it
  return select(${epilogue === 'batchNormRelu6' ? `clamp(z, ${vector}(), ${vector}(6))` : `max(z, ${vector}())`}, z, isNan);
#endif
#endif
}`;
}
