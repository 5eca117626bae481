import { reconstructionValues } from '../../codec/entropy/dependent.js';
import { clampInteger, powerOfEighths } from '../../codec/entropy/fixed-point.js';
import { MAX_SYMBOL, placesOf } from '../../codec/entropy/latent-stream.js';
import { MEAN_UNITS } from '../../codec/entropy/symbol-distribution.js';
import type { FitSamples } from './fit-samples.js';

/** How an encoder chooses the symbols of a face. */
export interface SymbolChoice {
  /** Whether they are symbols of dependent quantization. */
  dependent: boolean;
  /**
   * @param values of a face in steps, in [height, width, channels] order
   * @param qIndex the step
   * @param order in which they are coded
   */
  choose(values: Float64Array, qIndex: number, order: Int32Array): Int16Array;
}

/** Rounds each to the nearest, by itself. */
export const TO_NEAREST: SymbolChoice = {
  dependent: false,
  choose: (values) =>
    Int16Array.from(values, (value) => clampInteger(Math.floor(value + 0.5), -MAX_SYMBOL, MAX_SYMBOL)),
};

/** Symbols of all samples at one step: [latents, count], latents in coding order. */
export interface SampleSymbols {
  symbols: Int16Array;
  /** Where they lie, in 1/16 of a step. */
  middles: Int32Array;
}

/** The symbols of the samples, computed once for each step. */
export class SymbolSource {
  readonly #known = new Map<number, SampleSymbols>();

  constructor(
    readonly samples: FitSamples,
    readonly choice: SymbolChoice,
  ) {}

  at(qIndex: number): SampleSymbols {
    let found = this.#known.get(qIndex);
    if (!found) this.#known.set(qIndex, (found = this.#choose(qIndex)));
    return found;
  }

  #choose(qIndex: number): SampleSymbols {
    const { count, channels, height, width, units, order, gain, unit } = this.samples;
    const positions = height * width;
    const latents = channels * positions;
    const places = placesOf(this.samples);
    const factors = Float64Array.from(order, (c) => powerOfEighths(gain[qIndex * channels + c] - unit[c]));
    const symbols = new Int16Array(latents * count);
    const middles = new Int32Array(latents * count);
    const values = new Float64Array(latents);
    for (let face = 0; face < count; face++) {
      for (let latent = 0; latent < latents; latent++) {
        values[places[latent]] = units[latent * count + face] * factors[Math.floor(latent / positions)];
      }
      const chosen = this.choice.choose(values, qIndex, places);
      const reconstructed = this.choice.dependent ? reconstructionValues(chosen, places) : chosen;
      for (let latent = 0; latent < latents; latent++) {
        const at = latent * count + face;
        symbols[at] = chosen[places[latent]];
        middles[at] = reconstructed[places[latent]] * MEAN_UNITS;
      }
    }
    return { symbols, middles };
  }
}
