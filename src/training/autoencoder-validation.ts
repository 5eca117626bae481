import type { FaceSet } from '../data/faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { type Autoencoder, SYMBOL_RANGE } from '../models/autoencoder.js';
import type { Recognizer } from '../models/recognizer.js';
import { quantize } from '../ops/quantize.js';
import { scope } from '../tensor/tensor.js';
import { type RestorationFigures, restorationFigures } from './restoration-figures.js';
import { pngBytes } from './trained-autoencoder.js';

/** Means over the validation faces at one rate. The bytes are those of PNG files. */
export interface AutoencoderValidation extends RestorationFigures {
  rate: number;
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
  model.eval();
  const rates = validatedRates(model.config.rates);
  const figures = await restorationFigures(gpu, model.config, recognizers, faces, {
    batchSize: BATCH,
    rates,
    async restore(x, _pixels, rate) {
      const { symbols, restored } = scope(gpu, () => {
        const symbols = quantize(model.analyse(x, rate), { mode: 'hard', ...SYMBOL_RANGE });
        return { symbols, restored: model.restore(symbols, rate) };
      });
      const sizes = pngBytes(await symbols.read(), symbols.shape, x.shape[0]);
      symbols.dispose();
      return { restored, bytes: sizes.reduce((all, size) => all + size, 0) };
    },
  });
  return figures.map((own, k) => ({ rate: rates[k], ...own }));
}
