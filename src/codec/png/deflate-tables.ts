/** Alphabets of deflate: RFC 1951, sections 3.2.5 to 3.2.7. */
export const END_OF_BLOCK = 256;
export const LITERAL_CODES = 286;
export const DISTANCE_CODES = 30;
export const MIN_MATCH = 3;
export const MAX_MATCH = 258;
export const WINDOW = 32768;

/** Order in which the lengths of the code-length code are sent. */
export const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** Where each code begins whose values follow one another, 2^extra of them a code. */
function basesOf(extra: Uint8Array, first: number): Uint16Array {
  const bases = new Uint16Array(extra.length);
  for (let code = 0, base = first; code < extra.length; code++) {
    bases[code] = base;
    base += 2 ** extra[code];
  }
  return bases;
}

/** Extra bits and smallest value of each length code (257 + index) and distance code. */
export const lengthExtra = /* @__PURE__ */ Uint8Array.from({ length: 29 }, (_, code) =>
  code < 8 || code === 28 ? 0 : (code >> 2) - 1,
);
export const lengthBase = /* @__PURE__ */ (() => {
  const bases = basesOf(lengthExtra, MIN_MATCH);
  // The longest match has a code of its own, although code 27 could express it too.
  bases[28] = MAX_MATCH;
  return bases;
})();
export const distanceExtra = /* @__PURE__ */ Uint8Array.from({ length: DISTANCE_CODES }, (_, code) =>
  code < 4 ? 0 : (code >> 1) - 1,
);
export const distanceBase = /* @__PURE__ */ basesOf(distanceExtra, 1);
/** Index (length code − 257) of every match length 3..258. */
export const lengthCode = /* @__PURE__ */ (() => {
  const codes = new Uint8Array(MAX_MATCH + 1);
  lengthBase.forEach((base, code) => {
    codes.fill(code, base);
  });
  return codes;
})();

/** Distance code of a distance 1..32768. */
export function distanceCode(distance: number): number {
  if (distance < 5) return distance - 1;
  const log = 31 - Math.clz32(distance - 1);
  return 2 * log + (((distance - 1) >> (log - 1)) & 1);
}
