import { FACE_BYTES, type FaceSet } from '../data/faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { type Autoencoder, SYMBOL_RANGE } from '../models/autoencoder.js';
import type { Recognizer } from '../models/recognizer.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import { mul, sub } from '../ops/binary.js';
import { l2Normalize } from '../ops/normalize.js';
import { quantize } from '../ops/quantize.js';
import { mean, sum } from '../ops/reduce.js';
import { affine, square } from '../ops/unary.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { pngBytes } from './trained-autoencoder.js';

/** Means over the validation faces at one rate. */
export interface AutoencoderValidation {
  rate: number;
  /** Mean of each face's PSNR, dB. */
  psnr: number;
  /** Of the PNG file of a face. */
  bytes: number;
  /** 1 − cos between the embeddings of restored face and original, mean over faces and recognisers; NaN without. */
  distance: number;
}

const BATCH = 16;

/** The rates that are tried: the lowest, one in the middle and the highest. */
export const validatedRates = (rates: number): number[] => [...new Set([0, rates >> 1, rates - 1])];

/** Compresses faces with hard rounding and running statistics, at some rates. The model is left in evaluation mode. */
export async function validateAutoencoder(
  gpu: Gpu,
  model: Autoencoder,
  recognizers: readonly Recognizer[],
  faces: FaceSet,
): Promise<AutoencoderValidation[]> {
  const { height, width, rates } = model.config;
  const indices = await faces.readable();
  model.eval();
  const totals = validatedRates(rates).map((rate) => ({ rate, psnr: 0, bytes: 0, distance: 0 }));
  for (let first = 0; first < indices.length; first += BATCH) {
    const batch = indices.slice(first, first + BATCH);
    const pixels = new Float32Array(batch.length * FACE_BYTES);
    writeUnitPixels(await faces.batch(batch), pixels);
    for (const total of totals) {
      const { errors, symbols, distances } = scope(gpu, () => {
        const x = Tensor.from(gpu, pixels, [batch.length, height, width, 3]);
        const symbols = quantize(model.analyse(x, total.rate), { mode: 'hard', ...SYMBOL_RANGE });
        const restored = model.restore(symbols, total.rate);
        const errors = mean(square(sub(restored, x)), [1, 2, 3]);
        const distances = recognizers.map((recognizer) =>
          affine(sum(mul(l2Normalize(recognizer.embed(restored)), l2Normalize(recognizer.embed(x)))), -1, batch.length),
        );
        return { errors, symbols, distances };
      });
      for (const error of await errors.read()) total.psnr += -10 * Math.log10(error);
      const sizes = pngBytes(await symbols.read(), symbols.shape, batch.length);
      total.bytes += sizes.reduce((all, size) => all + size, 0);
      for (const distance of distances) total.distance += (await distance.item()) / recognizers.length;
      for (const tensor of [errors, symbols, ...distances]) tensor.dispose();
    }
  }
  const n = indices.length;
  return totals.map(({ rate, psnr, bytes, distance }) => ({
    rate,
    psnr: psnr / n,
    bytes: bytes / n,
    distance: recognizers.length > 0 ? distance / n : Number.NaN,
  }));
}
