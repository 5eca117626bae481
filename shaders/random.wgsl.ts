import { vectorType } from './common/bindings.js';
import { f32Literal } from './common/literal.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** Counters handled at once: one, or four in a vector. */
export type RandomWidth = 1 | 4;

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * Threefry-2x32 with 20 rounds, the same words to the bit as `threefry2x32` of `src/common/random.ts` (integers only).
 * Declares `Word`, u32 or a vector of them; `struct Words { a, b }`; and `threefry2x32(key, a, b)`, which enciphers the
 * counter (a, b) of each component. Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
 */
export function threefryFunctions(width: RandomWidth): string {
  return wgsl`
#if ${width === 1}
alias Word = u32;
#else
alias Word = vec4u;
#endif
struct Words { a: Word, b: Word }
fn threefry2x32(key: vec2u, a: Word, b: Word) -> Words {
  let k0 = key.x;
  let k1 = key.y;
  let k2 = 0x1bd11bdau ^ key.x ^ key.y;
  var x = Words(a + Word(k0), b + Word(k1));
  ${unroll(
    5,
    (group) => wgsl`
  ${unroll(4, (round) => {
    const rotation = ROTATIONS[(4 * group + round) % 8];
    return wgsl`
  x.a += x.b;
  x.b = ((x.b << Word(${rotation}u)) | (x.b >> Word(${32 - rotation}u))) ^ x.a;`;
  })}
  x.a += Word(k${(group + 1) % 3});
  x.b += Word(k${(group + 2) % 3} + ${group + 1}u);`,
  )}
  return x;
}`;
}

/**
 * The noise in [−½, ½) of `quantizationNoise` in `src/common/random.ts`, exact to the bit: declares
 * `quantizationNoise(key, element)`, where `key` is (seed, stream) and `element` the flat indices, and `elementsOf(i)`, those of the
 * i-th vector.
 */
export function quantizationNoiseFunctions(width: RandomWidth): string {
  const F = vectorType(width);
  return wgsl`
${threefryFunctions(width)}
#if ${width === 1}
fn elementsOf(i: u32) -> Word { return i; }
#else
fn elementsOf(i: u32) -> Word { return 4u * i + vec4u(0u, 1u, 2u, 3u); }
#endif
fn quantizationNoise(key: vec2u, element: Word) -> ${F} {
  let word = threefry2x32(key, element, Word()).a;
  return ${F}(word >> Word(8u)) * ${f32Literal(2 ** -24)} - 0.5;
}`;
}
