/**
 * Samples of pictures as networks take them: in [0, 1], one picture after the other, from the start of `into` on.
 * @param pictures bytes, of equal length each
 * @param into has room for all; what is behind them stays
 */
export function writeUnitPixels(pictures: readonly Uint8Array[], into: Float32Array): void {
  // A look-up is faster than a division.
  const units = Float32Array.from({ length: 256 }, (_, level) => level / 255);
  let at = 0;
  for (const picture of pictures) {
    for (let i = 0; i < picture.length; i++) into[at++] = units[picture[i]];
  }
}
