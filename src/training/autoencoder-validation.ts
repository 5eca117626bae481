import { FACE_BYTES, type FaceSet } from '../data/faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Autoencoder } from '../models/autoencoder.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import { sub } from '../ops/binary.js';
import { mean, sum } from '../ops/reduce.js';
import { square } from '../ops/unary.js';
import { scope, Tensor } from '../tensor/tensor.js';

/** Means over the validation faces at one rate. */
export interface AutoencoderValidation {
  /** Mean of each face's PSNR, dB. */
  psnr: number;
  /** Estimated bytes a face (entropy of the symbols, without container). */
  bytes: number;
}

const BATCH = 16;

/** Compresses faces with hard rounding and running statistics, at each rate. The model is left in evaluation mode. */
export async function validateAutoencoder(
  gpu: Gpu,
  model: Autoencoder,
  faces: FaceSet,
): Promise<AutoencoderValidation[]> {
  const { height, width, rates } = model.config;
  const indices = await faces.readable();
  model.eval();
  const totals = Array.from({ length: rates }, () => ({ psnr: 0, bytes: 0 }));
  for (let first = 0; first < indices.length; first += BATCH) {
    const batch = indices.slice(first, first + BATCH);
    const pixels = new Float32Array(batch.length * FACE_BYTES);
    writeUnitPixels(await faces.batch(batch), pixels);
    for (let rate = 0; rate < rates; rate++) {
      const { errors, bits } = scope(gpu, () => {
        const x = Tensor.from(gpu, pixels, [batch.length, height, width, 3]);
        const symbols = model.compress(x, rate);
        const error = sub(model.restore(symbols, rate), x);
        return { errors: mean(square(error), [1, 2, 3]), bits: sum(model.bits(symbols, rate)) };
      });
      const [values, bitCount] = [await errors.read(), await bits.item()];
      for (const error of values) totals[rate].psnr += -10 * Math.log10(error);
      totals[rate].bytes += bitCount / 8;
      errors.dispose();
      bits.dispose();
    }
  }
  return totals.map(({ psnr, bytes }) => ({ psnr: psnr / indices.length, bytes: bytes / indices.length }));
}
