const LOBES = 3;

/** Lanczos kernel: sinc(x)·sinc(x/3) for |x| < 3. */
function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const angle = Math.PI * x;
  return (LOBES * Math.sin(angle) * Math.sin(angle / LOBES)) / (angle * angle);
}

/** Resizes the middle axis of [outer, from, inner] to [outer, to, inner]. */
function resampleAxis(source: ArrayLike<number>, outer: number, from: number, inner: number, to: number): Float64Array {
  const out = new Float64Array(outer * to * inner);
  const step = from / to;
  // When the picture shrinks, the kernel widens, which prevents aliasing.
  const spread = Math.max(1, step);
  for (let j = 0; j < to; j++) {
    const centre = (j + 0.5) * step - 0.5;
    const first = Math.ceil(centre - LOBES * spread);
    const weights: number[] = [];
    for (let i = first; i <= centre + LOBES * spread; i++) weights.push(lanczos((i - centre) / spread));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, k) => {
      const i = Math.min(from - 1, Math.max(0, first + k));
      for (let o = 0; o < outer; o++) {
        for (let n = 0; n < inner; n++) {
          out[(o * to + j) * inner + n] += (weight / total) * source[(o * from + i) * inner + n];
        }
      }
    });
  }
  return out;
}

/**
 * An RGB picture in another size, by a Lanczos filter of three lobes with half-pixel centres and clamped edges.
 * (sharp's own enlargement is about half a pixel off, which would cost a downscaled baseline up to 10 dB.)
 */
export function resampleRgb(
  rgb: Uint8Array,
  width: number,
  height: number,
  newWidth: number,
  newHeight: number,
): Uint8Array {
  const tall = resampleAxis(rgb, 1, height, width * 3, newHeight);
  // Rounds and clamps.
  const bytes = Uint8ClampedArray.from(resampleAxis(tall, newHeight, width, 3, newWidth));
  return new Uint8Array(bytes.buffer);
}
