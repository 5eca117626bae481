import type { FaceSet } from '../data/faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { type KltAutoencoder, quantizationInputs } from '../models/klt-autoencoder.js';
import type { Recognizer } from '../models/recognizer.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { type RestorationFigures, restorationFigures } from './restoration-figures.js';
import { SimulatedEncoder } from './simulated-encoder.js';

/** Means over the validation faces at one quantization index. The bytes are estimated. */
export interface JointValidation extends RestorationFigures {
  qIndex: number;
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
  const { steps } = model.config;
  const rates = Q_INDICES.map((qIndex) => Math.min(qIndex, steps - 1));
  const encoder = new SimulatedEncoder(gpu, model, BATCH);
  try {
    const figures = await restorationFigures(gpu, model.config, recognizers, faces, {
      batchSize: BATCH,
      rates,
      async restore({ shape: [count] }, pixels, qIndex) {
        const { logGain, fineness } = quantizationInputs(qIndex, steps);
        const { values: encoded, bits } = await encoder.encode(pixels, qIndex);
        const restored = scope(gpu, () => {
          const step = {
            logGain: Tensor.from(gpu, Float32Array.of(logGain), [1]),
            fineness: Tensor.from(gpu, Float32Array.of(fineness), [1]),
          };
          return model.restore(Tensor.from(gpu, encoded, [count, model.latentCount]), step);
        });
        return { restored, bytes: bits.reduce((sum, own) => sum + own, 0) / 8 };
      },
    });
    return figures.map((own, k) => ({ qIndex: rates[k], ...own }));
  } finally {
    encoder.dispose();
  }
}
