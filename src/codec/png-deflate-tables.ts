/** Alphabets of deflate: RFC 1951, sections 3.2.5 to 3.2.7. */
export const END_OF_BLOCK = 256;
export const LITERAL_CODES = 286;
export const DISTANCE_CODES = 30;
export const MIN_MATCH = 3;
export const MAX_MATCH = 258;
export const WINDOW = 32768;

/** Order in which the lengths of the code-length code are sent. */
export const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** Extra bits and smallest value of each length code (257 + index) and distance code. */
export const lengthExtra = new Uint8Array(29);
export const lengthBase = new Uint16Array(29);
export const distanceExtra = new Uint8Array(DISTANCE_CODES);
export const distanceBase = new Uint16Array(DISTANCE_CODES);
/** Index (length code − 257) of every match length 3..258. */
export const lengthCode = new Uint8Array(MAX_MATCH + 1);

for (let code = 0, base = MIN_MATCH; code < 28; code++) {
  lengthExtra[code] = code < 8 ? 0 : (code >> 2) - 1;
  lengthBase[code] = base;
  lengthCode.fill(code, base, base + 2 ** lengthExtra[code]);
  base += 2 ** lengthExtra[code];
}
// The longest match has a code of its own, although code 27 could express it too.
lengthBase[28] = MAX_MATCH;
lengthCode[MAX_MATCH] = 28;
for (let code = 0, base = 1; code < DISTANCE_CODES; code++) {
  distanceExtra[code] = code < 4 ? 0 : (code >> 1) - 1;
  distanceBase[code] = base;
  base += 2 ** distanceExtra[code];
}

/** Distance code of a distance 1..32768. */
export function distanceCode(distance: number): number {
  if (distance < 5) return distance - 1;
  const log = 31 - Math.clz32(distance - 1);
  return 2 * log + (((distance - 1) >> (log - 1)) & 1);
}
