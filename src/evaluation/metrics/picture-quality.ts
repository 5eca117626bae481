import { ShapeError } from '../../common/errors.js';
import { gaussianWindow } from '../../reference/gaussian-window.js';

/** Window of {@link pictureSsim}: Wang et al. 2004 take 11×11 samples of a Gaussian with sigma 1.5. */
const WINDOW = 11;
const SIGMA = 1.5;

/**
 * Peak signal-to-noise ratio in dB over all samples of two equal-sized pictures (for RGB, all three channels at once):
 * 10·log10(peak² / mean squared error). Infinity for identical pictures.
 * @throws ShapeError when the lengths differ or are 0
 */
export function psnr(a: Uint8Array, b: Uint8Array, peak = 255): number {
  if (a.length !== b.length || a.length === 0) {
    throw new ShapeError(`psnr: pictures have ${a.length} and ${b.length} samples; expected as many, at least one`);
  }
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return 10 * Math.log10((peak * peak * a.length) / sum);
}

/**
 * Mean structural similarity of two 8-bit pictures [height, width, channels], for each channel, then averaged:
 * Gaussian window of 11×11, sigma 1.5, only where it lies inside the picture, K1 = 0.01, K2 = 0.03. The same definition
 * as the operation `ssim`. Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to
 * structural similarity", eq. 13.
 * @throws ShapeError when the samples are not height·width·channels, or the picture is smaller than the window
 */
export function pictureSsim(a: Uint8Array, b: Uint8Array, width: number, height: number, channels: number): number {
  const samples = width * height * channels;
  if (a.length !== samples || b.length !== samples) {
    throw new ShapeError(
      `ssim: pictures have ${a.length} and ${b.length} samples; expected ${width}·${height}·${channels} = ${samples}`,
    );
  }
  if (width < WINDOW || height < WINDOW) {
    throw new ShapeError(`ssim: a picture of ${width}×${height}; expected ${WINDOW}×${WINDOW} at least`);
  }
  const weights = gaussianWindow(WINDOW, SIGMA);
  const mean = (values: Float64Array): Float64Array => blur(values, width, height, channels, weights);
  const products = (x: Uint8Array, y: Uint8Array): Float64Array => {
    const values = new Float64Array(samples);
    for (let i = 0; i < samples; i++) values[i] = x[i] * y[i];
    return mean(values);
  };
  const meanA = mean(Float64Array.from(a));
  const meanB = mean(Float64Array.from(b));
  const squareA = products(a, a);
  const squareB = products(b, b);
  const cross = products(a, b);
  const stabilizerL = (0.01 * 255) ** 2;
  const stabilizerC = (0.03 * 255) ** 2;
  let sum = 0;
  for (let i = 0; i < meanA.length; i++) {
    const product = meanA[i] * meanB[i];
    const squares = meanA[i] ** 2 + meanB[i] ** 2;
    const luminance = (2 * product + stabilizerL) / (squares + stabilizerL);
    const structure = (2 * (cross[i] - product) + stabilizerC) / (squareA[i] + squareB[i] - squares + stabilizerC);
    sum += luminance * structure;
  }
  return sum / meanA.length;
}

/** Weighted means under the window at every place where it fits, first along rows and then along columns. */
function blur(
  values: Float64Array,
  width: number,
  height: number,
  channels: number,
  weights: Float64Array,
): Float64Array {
  const columns = width - WINDOW + 1;
  const stride = columns * channels;
  const rows = new Float64Array(height * stride);
  for (let y = 0; y < height; y++) under(values, y * width * channels, channels, weights, rows, y * stride, stride);
  const out = new Float64Array((height - WINDOW + 1) * stride);
  under(rows, 0, stride, weights, out, 0, out.length);
  return out;
}

/** The window along one axis, symmetric and unrolled for speed: thousands of pictures are compared with it. */
function under(
  values: Float64Array,
  from: number,
  step: number,
  [w0, w1, w2, w3, w4, w5]: Float64Array,
  out: Float64Array,
  to: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const at = from + i;
    const end = at + 10 * step;
    out[to + i] =
      w0 * (values[at] + values[end]) +
      w1 * (values[at + step] + values[end - step]) +
      w2 * (values[at + 2 * step] + values[end - 2 * step]) +
      w3 * (values[at + 3 * step] + values[end - 3 * step]) +
      w4 * (values[at + 4 * step] + values[end - 4 * step]) +
      w5 * values[at + 5 * step];
  }
}
