import { FACE_BYTES, type FaceSet } from '../data/faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { type KltAutoencoder, quantizationInputs } from '../models/klt-autoencoder.js';
import type { Recognizer } from '../models/recognizer.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import { mul, sub } from '../ops/binary.js';
import { l2Normalize } from '../ops/normalize.js';
import { mean, sum } from '../ops/reduce.js';
import { affine, square } from '../ops/unary.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { SimulatedEncoder } from './simulated-encoder.js';

/** Means over the validation faces at one quantization index. */
export interface JointValidation {
  qIndex: number;
  /** Mean of each face's PSNR, dB. */
  psnr: number;
  /** Estimated bytes a face. */
  bytes: number;
  /** 1 − cos between the embeddings of restored face and original, mean over faces and recognisers; NaN without. */
  distance: number;
}

/** A coarse and a finer index: about 250 and 500 bytes for a face. */
const Q_INDICES = [24, 31];
const BATCH = 8;

/** Compresses faces as the finished encoder would. */
export async function validateJoint(
  gpu: Gpu,
  model: KltAutoencoder,
  recognizers: readonly Recognizer[],
  faces: FaceSet,
): Promise<JointValidation[]> {
  const { height, width, steps } = model.config;
  const indices = await faces.readable();
  const encoder = new SimulatedEncoder(gpu, model, BATCH);
  const totals = Q_INDICES.map((qIndex) => ({
    qIndex: Math.min(qIndex, steps - 1),
    psnr: 0,
    bytes: 0,
    distance: 0,
  }));
  try {
    for (let first = 0; first < indices.length; first += BATCH) {
      const batch = await faces.batch(indices.slice(first, first + BATCH));
      const pixels = new Float32Array(batch.length * FACE_BYTES);
      writeUnitPixels(batch, pixels);
      for (const total of totals) {
        const { logGain, fineness } = quantizationInputs(total.qIndex, steps);
        const { values: encoded, bits } = await encoder.encode(pixels, total.qIndex);
        const { errors, distances } = scope(gpu, () => {
          const x = Tensor.from(gpu, pixels, [batch.length, height, width, 3]);
          const step = {
            logGain: Tensor.from(gpu, Float32Array.of(logGain), [1]),
            fineness: Tensor.from(gpu, Float32Array.of(fineness), [1]),
          };
          const restored = model.restore(Tensor.from(gpu, encoded, [batch.length, model.latentCount]), step);
          const distances = recognizers.map((recognizer) =>
            affine(
              sum(mul(l2Normalize(recognizer.embed(restored)), l2Normalize(recognizer.embed(x)))),
              -1,
              batch.length,
            ),
          );
          return { errors: mean(square(sub(restored, x)), [1, 2, 3]), distances };
        });
        for (const error of await errors.read()) total.psnr += -10 * Math.log10(error);
        total.bytes += bits.reduce((sum, own) => sum + own, 0) / 8;
        for (const distance of distances) total.distance += (await distance.item()) / recognizers.length;
        for (const tensor of [errors, ...distances]) tensor.dispose();
      }
    }
  } finally {
    encoder.dispose();
  }
  const n = indices.length;
  return totals.map(({ qIndex, psnr, bytes, distance }) => ({
    qIndex,
    psnr: psnr / n,
    bytes: bytes / n,
    distance: recognizers.length > 0 ? distance / n : Number.NaN,
  }));
}
