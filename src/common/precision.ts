/**
 * The operands of the fast convolutions: f32, or rounded to half precision (11 significant bits,
 * magnitudes from 6·10⁻⁸ to 65504). Sums and results are f32 in either case.
 */
export type Precision = 'f32' | 'f16';

/** What a subgroup of an adapter multiplies at once: [m, k] halves by [k, n] halves, added to [m, n] f32. */
export interface MatrixShape {
  m: number;
  n: number;
  k: number;
}

/** From here on the nearest half is infinite: 65504, the largest, and half its spacing. */
const HALF_OVERFLOW = 65520;

/** The nearest half-precision number, ties to even; infinite from 65520 on. */
export function roundToHalf(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude >= HALF_OVERFLOW) return Math.sign(value) * Infinity;
  if (magnitude === 0 || Number.isNaN(magnitude)) return value;
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--; // log2 rounds, too
  const unit = 2 ** (Math.max(exponent, -14) - 10); // below 2⁻¹⁴ all have the same spacing
  const below = Math.floor(magnitude / unit);
  const rest = magnitude / unit - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return Math.sign(value) * (below + (up ? 1 : 0)) * unit;
}
