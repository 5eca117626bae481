import { FACE_BYTES, type FaceSet } from '../data/faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Recognizer } from '../models/recognizer.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import { mul, sub } from '../ops/binary.js';
import { l2Normalize } from '../ops/normalize.js';
import { mean, sum } from '../ops/reduce.js';
import { affine, square } from '../ops/unary.js';
import { scope, Tensor } from '../tensor/tensor.js';

/** Means over the validation faces at one rate of a codec. */
export interface RestorationFigures {
  /** Mean of each face's PSNR, dB. */
  psnr: number;
  /** Of a face. */
  bytes: number;
  /** 1 − cos between the embeddings of restored face and original, mean over faces and recognisers; NaN without. */
  distance: number;
}

/** What a codec makes of a batch of faces. */
export interface Restoration {
  /** [N,H,W,3] in [0, 1]; its reader disposes of it. */
  restored: Tensor;
  /** Of all faces of the batch together. */
  bytes: number;
}

/** The batch size, the rates to try, and how a codec compresses a batch and restores it. */
export interface RestorationTask<Rate> {
  batchSize: number;
  rates: readonly Rate[];
  /** @param x [N,H,W,3] in [0, 1] @param pixels its values */
  restore(x: Tensor, pixels: Float32Array, rate: Rate): Promise<Restoration>;
}

/** Compresses and restores faces at each rate, and says how they come back. */
export async function restorationFigures<Rate>(
  gpu: Gpu,
  { height, width }: { height: number; width: number },
  recognizers: readonly Recognizer[],
  faces: FaceSet,
  { batchSize, rates, restore }: RestorationTask<Rate>,
): Promise<RestorationFigures[]> {
  const indices = await faces.readable();
  const totals = rates.map(() => ({ psnr: 0, bytes: 0, distance: 0 }));
  for (let first = 0; first < indices.length; first += batchSize) {
    const batch = await faces.batch(indices.slice(first, first + batchSize));
    const pixels = new Float32Array(batch.length * FACE_BYTES);
    writeUnitPixels(batch, pixels);
    const x = Tensor.from(gpu, pixels, [batch.length, height, width, 3]);
    for (const [k, rate] of rates.entries()) {
      const total = totals[k];
      const { restored, bytes } = await restore(x, pixels, rate);
      const { errors, distances } = scope(gpu, () => {
        const distances = recognizers.map((recognizer) =>
          affine(sum(mul(l2Normalize(recognizer.embed(restored)), l2Normalize(recognizer.embed(x)))), -1, batch.length),
        );
        return { errors: mean(square(sub(restored, x)), [1, 2, 3]), distances };
      });
      total.bytes += bytes;
      for (const error of await errors.read()) total.psnr += -10 * Math.log10(error);
      for (const distance of distances) total.distance += (await distance.item()) / recognizers.length;
      for (const tensor of [restored, errors, ...distances]) tensor.dispose();
    }
    x.dispose();
  }
  const n = indices.length;
  return totals.map(({ psnr, bytes, distance }) => ({
    psnr: psnr / n,
    bytes: bytes / n,
    distance: recognizers.length > 0 ? distance / n : Number.NaN,
  }));
}
