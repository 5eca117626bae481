import { ArgumentError } from '../common/errors.js';
import { gainOf } from '../models/klt-autoencoder.js';
import type { LatentModel } from './entropy/latent-model.js';
import { codeLength, codingPlaces, encodeLatents, valuesOfSymbols } from './entropy/latent-stream.js';
import { squaredError } from './rate-distortion.js';
import { SymbolChooser } from './symbol-chooser.js';

/** A face's symbols at a quantization index. */
export interface ChosenSymbols {
  symbols: Int16Array;
  qIndex: number;
}

/** Raise it with every change of what `FaceQuantizer` chooses: caches of encodings know it. */
export const ENCODER_VERSION = 3;

/** What is known of the values of a model: all in the order of the symbols. */
export interface ValueModel {
  latents: LatentModel;
  /** Logistic scale of each value at index 0, in steps of that index. */
  scales: Float64Array;
}

/** Steps of index `qIndex` in one of index 0 as the values count them; all channels of a face model have the same. */
export const stepsInUnit = ({ fields }: LatentModel, qIndex: number): number =>
  gainOf(fields.gain[qIndex * fields.channels]);

/** Rounds the values of one face at one index. */
export class FaceQuantizer {
  readonly #chooser: SymbolChooser;

  constructor(readonly model: ValueModel) {
    this.#chooser = new SymbolChooser(model.scales, model.latents.quantizers > 1);
  }

  /** The weight of bits that serves best. */
  get defaultLambda(): number {
    return this.#chooser.defaultLambda;
  }

  /** @param values at index 0 */
  quantize(values: ArrayLike<number>, qIndex: number, lambda: number): { symbols: Int16Array; error: number } {
    const { latents } = this.model;
    const gain = stepsInUnit(latents, qIndex);
    const scaled = Float64Array.from(values, (value) => value * gain);
    const symbols = this.#chooser.choose(scaled, gain, lambda, codingPlaces(latents));
    return { symbols, error: squaredError(scaled, valuesOfSymbols(symbols, latents)) / gain ** 2 };
  }

  /** The finest index whose symbols at the default λ take at most so many bytes; −1 where there is none. */
  finest(values: ArrayLike<number>, maxBytes: number): number {
    let [low, high] = [-1, this.model.latents.fields.steps]; // low fits, high does not
    while (high - low > 1) {
      const qIndex = (low + high) >> 1;
      if (this.#spare(this.quantize(values, qIndex, this.#chooser.defaultLambda).symbols, qIndex, maxBytes) >= 0)
        low = qIndex;
      else high = qIndex;
    }
    return low;
  }

  /**
   * The symbols of least squared error whose code takes at most so many bytes: the finest index at the default λ, then λ
   * is lowered, or that of the next finer index raised, until the bytes are spent.
   *
   * @param values at index 0
   * @param maxBytes of the code alone, without container
   * @param near an index that the finest one is expected at, or not far from
   * @throws ArgumentError where even the coarsest index does not fit
   */
  fit(values: ArrayLike<number>, maxBytes: number, near?: number): ChosenSymbols {
    const { latents } = this.model;
    const { steps } = latents.fields;
    const tryAt = (qIndex: number, lambda: number): Tried => {
      const { symbols, error } = this.quantize(values, qIndex, lambda);
      return { symbols, error, qIndex, lambda, spare: this.#spare(symbols, qIndex, maxBytes) };
    };
    const known = new Map<number, Tried>();
    const atDefault = (qIndex: number): Tried => {
      let tried = known.get(qIndex);
      if (!tried) known.set(qIndex, (tried = tryAt(qIndex, this.#chooser.defaultLambda)));
      return tried;
    };
    let low = near ?? this.finest(values, maxBytes);
    while (low >= 0 && atDefault(low).spare < 0) low--;
    while (low + 1 < steps && atDefault(low + 1).spare >= 0) low++;

    const candidates: Tried[] = [];
    const spend = (bad: Tried, good: Tried): void => {
      if (good.spare >= 0) candidates.push(bad.spare >= 0 ? bad : spent(bad, good, tryAt));
    };
    if (low >= 0) spend(tryAt(low, 0), atDefault(low));
    if (low + 1 < steps) spend(atDefault(low + 1), tryAt(low + 1, this.#chooser.maxLambda));
    if (candidates.length === 0) {
      // Nothing but zeros, at the coarsest index: the least a face can take.
      const symbols = new Int16Array(values.length);
      const min = encodeLatents(symbols, 0, latents).length;
      if (min > maxBytes) throw new ArgumentError(`a face takes at least ${min} bytes; ${maxBytes} are allowed`);
      spend(tryAt(0, this.#chooser.maxLambda), tryAt(0, 100));
      if (candidates.length === 0) return { symbols, qIndex: 0 };
    }
    const { symbols, qIndex } = candidates.reduce((a, b) => (b.error < a.error ? b : a));
    return { symbols, qIndex };
  }

  /** Bits that are left of a budget, negative where it is overdrawn: estimated, but for what is estimated to be near 0. */
  #spare(symbols: Int16Array, qIndex: number, maxBytes: number): number {
    const { latents } = this.model;
    const spare = 8 * maxBytes - codeLength(symbols, latents, qIndex);
    // The coder's last bytes: what is estimated to fit is tried for real in the end.
    if (spare < 0 || spare > 8 * (4 + latents.latents / 1024)) return spare;
    return encodeLatents(symbols, qIndex, latents).length <= maxBytes ? spare : -1;
  }
}

/** Symbols at an index and a λ. */
interface Tried extends ChosenSymbols {
  error: number;
  lambda: number;
  /** Bits left of the budget. */
  spare: number;
}

/** So few bits left are as good as none. */
const SPENT = 3;
/** Where few values are left to round down, bits hardly change with λ, but errors do. */
const MIN_TRIES = 2;
const MAX_TRIES = 7;

/** The least λ that fits, between one that does not and one that does, where bits fall about evenly. */
function spent(bad: Tried, good: Tried, tryAt: (qIndex: number, lambda: number) => Tried): Tried {
  for (let k = 0; k < MIN_TRIES || (k < MAX_TRIES && good.spare > SPENT); k++) {
    // Where a line through both meets what is left of the budget, but never next to either end.
    const share = good.spare / (good.spare - bad.spare);
    const wide = good.lambda > 4 * bad.lambda && k > 0;
    const part = wide ? 0.5 : Math.min(0.9, Math.max(0.1, share));
    const tried = tryAt(good.qIndex, good.lambda + part * (bad.lambda - good.lambda));
    if (tried.spare >= 0) good = tried;
    else bad = tried;
  }
  return good;
}
