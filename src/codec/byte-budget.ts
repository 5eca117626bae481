import { ArgumentError } from '../common/errors.js';
import type { LatentModel } from './entropy/latent-model.js';
import { codeLength, encodeLatents } from './entropy/latent-stream.js';
import { gainOf, IndexCosts, quantizeForRate, squaredError } from './rate-distortion.js';

/** A face's symbols at a quantization index. */
export interface ChosenSymbols {
  symbols: Int16Array;
  t: number;
}

/** Raise it with every change of what `FaceQuantizer` chooses: caches of encodings know it. */
export const ENCODER_VERSION = 2;

/** What is known of the values of a model: all in the order of the symbols. */
export interface ValueModel {
  latents: LatentModel;
  /** Logistic scale of each value at index 0, in steps of that index. */
  scales: Float64Array;
}

/** Weight of a bit against squared error in squared steps: where both change alike along the best rates. */
export const USUAL_LAMBDA = 0.16;
/** Beyond it, a coarser step is better than more symbols rounded down. */
const MOST_LAMBDA = 0.4;
const LAMBDA_STEPS = 7;

/** Rounds the values of one face at one index. */
export class FaceQuantizer {
  readonly #costs: IndexCosts;

  constructor(readonly model: ValueModel) {
    this.#costs = new IndexCosts(model.scales);
  }

  /** @param values at index 0 */
  quantize(values: ArrayLike<number>, t: number, lambda: number): { symbols: Int16Array; error: number } {
    const gain = gainOf(t);
    const scaled = Float64Array.from(values, (value) => value * gain);
    const symbols = quantizeForRate(scaled, this.#costs.at(t), lambda);
    return { symbols, error: squaredError(scaled, symbols) / gain ** 2 };
  }

  /**
   * The symbols of least squared error whose code takes at most so many bytes: the finest index at the usual λ, then λ
   * is lowered, or that of the next finer index raised, until the bytes are spent.
   *
   * @param values at index 0
   * @param maxBytes of the code alone, without container
   * @throws ArgumentError where even the coarsest index does not fit
   */
  fit(values: ArrayLike<number>, maxBytes: number): ChosenSymbols {
    const { latents } = this.model;
    const { steps } = latents.fields;
    // The coder's last bytes: what is estimated to fit is tried for real in the end.
    const fits = (symbols: Int16Array, t: number): boolean => {
      const estimate = codeLength(symbols, latents, t) / 8;
      if (estimate > maxBytes) return false;
      return estimate + 4 + latents.latents / 1024 < maxBytes || encodeLatents(symbols, t, latents).length <= maxBytes;
    };
    let [low, high] = [-1, steps]; // low fits, high does not
    while (high - low > 1) {
      const t = (low + high) >> 1;
      if (fits(this.quantize(values, t, USUAL_LAMBDA).symbols, t)) low = t;
      else high = t;
    }
    const candidates: (ChosenSymbols & { error: number })[] = [];
    const spend = (t: number, from: number, to: number): void => {
      // `to` fits; the least λ that does is looked for between.
      let [bad, good] = [from, to];
      let best = this.quantize(values, t, good);
      if (!fits(best.symbols, t)) return;
      for (let k = 0; k < LAMBDA_STEPS; k++) {
        const lambda = bad > 0 ? Math.sqrt(bad * good) : good / 2; // the range may be of several octaves
        const tried = this.quantize(values, t, lambda);
        if (fits(tried.symbols, t)) [good, best] = [lambda, tried];
        else bad = lambda;
      }
      candidates.push({ ...best, t });
    };
    if (low >= 0) spend(low, 0, USUAL_LAMBDA);
    if (low + 1 < steps) spend(low + 1, USUAL_LAMBDA, MOST_LAMBDA);
    if (candidates.length === 0) {
      // Nothing but zeros, at the coarsest index: the least a face can take.
      const symbols = new Int16Array(values.length);
      const least = encodeLatents(symbols, 0, latents).length;
      if (least > maxBytes) throw new ArgumentError(`a face takes at least ${least} bytes; ${maxBytes} are allowed`);
      spend(0, MOST_LAMBDA, 100);
      if (candidates.length === 0) return { symbols, t: 0 };
    }
    const { symbols, t } = candidates.reduce((a, b) => (b.error < a.error ? b : a));
    return { symbols, t };
  }
}
