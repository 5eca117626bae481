/*
 * Arithmetic in which encoder and decoder have to agree to the last bit. It uses only what IEEE 754 and ECMAScript define
 * exactly: integers, products and sums of float64 that stay below 2^53, powers of two, Math.floor. The standard does not define
 * Math.pow, Math.exp and Math.log2 exactly, so a decoder must not use them.
 */

/** 2^14 · 2^(j/8), rounded. */
const MANTISSAS = [16384, 17867, 19484, 21247, 23170, 25268, 27554, 30048] as const;
const MANTISSA_BITS = 14;
const MAX_OCTAVES = 200;

/** 2^−MAX_OCTAVES … 2^MAX_OCTAVES */
const POWERS = /* @__PURE__ */ (() => {
  const powers = new Float64Array(2 * MAX_OCTAVES + 1);
  powers[MAX_OCTAVES] = 1;
  for (let k = 1; k <= MAX_OCTAVES; k++) {
    powers[MAX_OCTAVES + k] = powers[MAX_OCTAVES + k - 1] * 2;
    powers[MAX_OCTAVES - k] = powers[MAX_OCTAVES - k + 1] / 2;
  }
  return powers;
})();

/** Exponents, in eighths of an octave, that {@link powerOfEighths} takes: from −this to this. */
export const MAX_EIGHTHS = 1024;

/** 2^(eighths/8) to 15 bits: the same number on every machine. */
export function powerOfEighths(eighths: number): number {
  return MANTISSAS[eighths & 7] * POWERS[MAX_OCTAVES + (eighths >> 3) - MANTISSA_BITS];
}

/** Rounds half up. */
export function roundHalfUp(value: number): number {
  return Math.floor(value + 0.5);
}

export function clampInteger(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}

/** round(16 · log2(1 + (i + ½)/32)) */
const LOG_MANTISSAS = /* @__PURE__ */ Uint8Array.of(
  0,
  1,
  2,
  2,
  3,
  4,
  4,
  5,
  5,
  6,
  7,
  7,
  8,
  8,
  9,
  9,
  10,
  10,
  11,
  11,
  11,
  12,
  12,
  13,
  13,
  14,
  14,
  14,
  15,
  15,
  15,
  16,
);

/** About 16 · log2(value) of an integer from 1 to 2^31 − 1. */
export function log2Sixteenths(value: number): number {
  const exponent = 31 - Math.clz32(value);
  const mantissa = exponent >= 5 ? value >>> (exponent - 5) : value << (5 - exponent);
  return 16 * exponent + LOG_MANTISSAS[mantissa & 31];
}
