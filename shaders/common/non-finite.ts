import { vectorType } from './bindings.js';
import type { ChannelWidth } from './channel-walk.js';

/**
 * WGSL lets compilers assume that no number is NaN or infinite: comparisons, `min`, `max` and `clamp` lose a NaN, `0 * x`
 * becomes 0, and some adapters' `exp` and `log` are wrong for what they do not expect (SwiftShader: exp(NaN) = ∞,
 * log(0) = −88). These functions of `width` numbers look at the bits:
 * - `isNan(x)`, `isFinite(x)`
 * - `keepNan(value, x)`: `value`, but NaN where x is
 * - `magnitude(x)`: the bits without the sign, larger than those of ∞ for NaN; `keepNanOf(value, largest)`: `value`, but NaN
 *   where the largest of some magnitudes was that of a NaN. Cheaper than `keepNan` for each term of a sum
 * - `nanOf(x)`: NaN for every x
 * - `expOf(x)`, `logOf(x)`: as IEEE 754 has them for every x
 */
export function nonFiniteFunctions(width: ChannelWidth = 1): string {
  const value = vectorType(width);
  const bits = width === 1 ? 'u32' : `vec${width}u`;
  const flags = width === 1 ? 'bool' : `vec${width}<bool>`;
  return `
fn isNan(x: ${value}) -> ${flags} { return (bitcast<${bits}>(x) & ${bits}(0x7fffffffu)) > ${bits}(0x7f800000u); }
fn isFinite(x: ${value}) -> ${flags} { return (bitcast<${bits}>(x) & ${bits}(0x7f800000u)) != ${bits}(0x7f800000u); }
fn keepNan(value: ${value}, x: ${value}) -> ${value} { return select(value, x, isNan(x)); }
fn magnitude(x: ${value}) -> ${bits} { return bitcast<${bits}>(x) & ${bits}(0x7fffffffu); }
fn keepNanOf(value: ${value}, largest: ${bits}) -> ${value} {
  return select(value, bitcast<${value}>(largest), largest > ${bits}(0x7f800000u));
}
fn nanOf(x: ${value}) -> ${value} { return bitcast<${value}>(bitcast<${bits}>(x) | ${bits}(0x7fc00000u)); }
fn expOf(x: ${value}) -> ${value} { return keepNan(exp(x), x); }
fn logOf(x: ${value}) -> ${value} {
  let all = bitcast<${bits}>(x);
  // Of 0 it is −∞, of anything negative NaN, of NaN NaN; negative numbers have the largest bits.
  let special = select(${bits}(0x7fc00000u), ${bits}(0xff800000u), (all & ${bits}(0x7fffffffu)) == ${bits}());
  return select(log(x), bitcast<${value}>(special), (all > ${bits}(0x7f800000u)) | (all == ${bits}()));
}`;
}

/** For softmax: `LOWEST`, below all finite numbers, the largest of no number; and `isMasked`: a logit of −∞ has the probability 0. */
export const maskFunctions = `
const LOWEST = -0x1.fffffep+127f;
fn isMasked(x: f32) -> bool { return bitcast<u32>(x) == 0xff800000u; }`;
