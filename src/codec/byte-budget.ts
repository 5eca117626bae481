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

/** Raise it with every change of what `FaceQuantizer` chooses: caches of encodings are bound to it. */
export const ENCODER_VERSION = 3;

/** What is known about the values of a model, in the order of the symbols. */
export interface ValueModel {
  latents: LatentModel;
  /** Logistic scale of each value at index 0, in steps of that index. */
  scales: Float64Array;
}

/** Number of steps of index `qIndex` in one step of index 0; the same for all channels of a face model. */
export const stepsInUnit = ({ fields }: LatentModel, qIndex: number): number =>
  gainOf(fields.gain[qIndex * fields.channels]);

/** Rounds the values of one face at one index. */
export class FaceQuantizer {
  readonly #chooser: SymbolChooser;

  constructor(readonly model: ValueModel) {
    this.#chooser = new SymbolChooser(model.scales, model.latents.quantizers > 1);
  }

  /** The default weight of bits. */
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

  /** The finest index whose symbols at the default λ take at most this many bytes; −1 if there is none. */
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
   * The symbols of least squared error whose code takes at most `maxBytes`. Starts from the finest index that fits at the
   * default λ; then lowers λ, or raises that of the next finer index, until the bytes are used up.
   *
   * @param values at index 0
   * @param maxBytes of the code alone, without container
   * @param near the index at or near which the finest one is expected
   * @throws ArgumentError if even the coarsest index does not fit
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
      // All symbols 0, at the coarsest index: the fewest bytes a face can take.
      const symbols = new Int16Array(values.length);
      const min = encodeLatents(symbols, 0, latents).length;
      if (min > maxBytes) throw new ArgumentError(`a face takes at least ${min} bytes; ${maxBytes} are allowed`);
      spend(tryAt(0, this.#chooser.maxLambda), tryAt(0, 100));
      if (candidates.length === 0) return { symbols, qIndex: 0 };
    }
    const { symbols, qIndex } = candidates.reduce((a, b) => (b.error < a.error ? b : a));
    return { symbols, qIndex };
  }

  /** Bits that are left of a budget, negative if it is exceeded. They are estimated, except where the estimate is near 0. */
  #spare(symbols: Int16Array, qIndex: number, maxBytes: number): number {
    const { latents } = this.model;
    const spare = 8 * maxBytes - codeLength(symbols, latents, qIndex);
    // Room for the coder's last bytes; what is estimated to fit is encoded in the end.
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

/** With this few bits left, the search ends. */
const SPENT = 3;
/** Beyond this λ, few values are left to round down: bits hardly change, but errors do. */
const MIN_TRIES = 2;
const MAX_TRIES = 7;

/** The least λ that fits, between one that does not fit and one that does; between them, bits fall about linearly. */
function spent(bad: Tried, good: Tried, tryAt: (qIndex: number, lambda: number) => Tried): Tried {
  for (let k = 0; k < MIN_TRIES || (k < MAX_TRIES && good.spare > SPENT); k++) {
    // Where a line through both ends meets the budget, but not too near either end.
    const share = good.spare / (good.spare - bad.spare);
    const wide = good.lambda > 4 * bad.lambda && k > 0;
    const part = wide ? 0.5 : Math.min(0.9, Math.max(0.1, share));
    const tried = tryAt(good.qIndex, good.lambda + part * (bad.lambda - good.lambda));
    if (tried.spare >= 0) good = tried;
    else bad = tried;
  }
  return good;
}
