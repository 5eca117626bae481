import { ArgumentError } from '../common/errors.js';
import { gainOf } from '../models/klt-autoencoder.js';
import { nextState, quantizerOf, reconstructionPoint } from './entropy/dependent.js';
import type { LatentModel } from './entropy/latent-model.js';
import { codeLength, codingPlaces, encodeLatents } from './entropy/latent-stream.js';
import { IntegerTrellis, LAMBDA_ONE, ROWS_PER_INDEX, rowsOf, type TrellisJob } from './integer-trellis.js';
import { SymbolChooser } from './symbol-chooser.js';

/** A face's symbols at a quantization index. */
export interface ChosenSymbols {
  symbols: Int16Array;
  qIndex: number;
}

/** The same, with their code where it is known. */
export interface CodedSymbols extends ChosenSymbols {
  code?: Uint8Array;
}

/** Raise it with every change of what `FaceQuantizer` chooses: caches of encodings are bound to it. */
export const ENCODER_VERSION = 6;

/** What is known about the values of a model, in the order of the symbols. */
export interface ValueModel {
  latents: LatentModel;
  /** Logistic scale of each value at index 0, in steps of that index. */
  scales: Float64Array;
}

/** Number of steps of index `qIndex` in one step of index 0; the same for all channels of a face model. */
export const stepsInUnit = (latents: LatentModel, qIndex: number): number => gainOf(gainIndex(latents, qIndex));

/** The same as a power of 2^(1/8). */
const gainIndex = ({ fields }: LatentModel, qIndex: number): number => fields.gain[qIndex * fields.channels];

/** An index and a weight of bits to try for a face. */
export interface Trial {
  qIndex: number;
  /** λ in parts of LAMBDA_ONE, an integer. */
  lambda: number;
  /** The step from which on λ is `lambdaThen`, if that is another one. */
  split?: number;
  lambdaThen?: number;
}

/** A search, which asks for the symbols of one trial after the other. So those of many faces can be found together. */
export type Search<R> = Generator<Trial, R, Int16Array>;

/** Rounds the values of one face at one index. */
export class FaceQuantizer {
  readonly #chooser: SymbolChooser;
  /** Undefined for plain quantization. */
  readonly trellis: IntegerTrellis | undefined;
  /** The default weight of bits, in parts of LAMBDA_ONE. */
  readonly #default: number;

  constructor(readonly model: ValueModel) {
    const { latents, scales } = model;
    this.#chooser = new SymbolChooser(scales, latents.quantizers > 1);
    this.#default = Math.round(this.#chooser.defaultLambda * LAMBDA_ONE);
    const order = codingPlaces(latents);
    if (this.#chooser.dependent) this.trellis = new IntegerTrellis(rowsOf(scales, order), order);
  }

  /** The default weight of bits. */
  get defaultLambda(): number {
    return this.#default / LAMBDA_ONE;
  }

  /** The trial of an index with the default weight of bits. */
  atDefault(qIndex: number): Trial {
    return { qIndex, lambda: this.#default };
  }

  /** What the integer trellis takes for a trial, or undefined for one that is not for it. */
  jobOf({ qIndex, lambda, split, lambdaThen }: Trial): TrellisJob | undefined {
    if (!this.trellis || lambda >= LAMBDA_ONE) return undefined;
    const eighths = gainIndex(this.model.latents, qIndex);
    return { gain: gainOf(eighths), shift: ROWS_PER_INDEX * eighths, lambda, split, lambdaThen };
  }

  /** @param values at index 0, rounded to float32 */
  symbolsOf(values: Float32Array, trial: Trial): Int16Array {
    const job = this.jobOf(trial);
    if (job) return this.trellis!.choose(values, job);
    const { latents } = this.model;
    const gain = stepsInUnit(latents, trial.qIndex);
    const scaled = Float64Array.from(values, (value) => value * gain);
    return this.#chooser.choose(scaled, gain, trial.lambda / LAMBDA_ONE, codingPlaces(latents));
  }

  /** @param values at index 0 */
  quantize(values: ArrayLike<number>, qIndex: number, lambda: number): { symbols: Int16Array; error: number } {
    const symbols = this.symbolsOf(Float32Array.from(values), { qIndex, lambda: Math.round(lambda * LAMBDA_ONE) });
    return { symbols, error: errorOf(values, symbols, qIndex, this.model.latents) };
  }

  /** Runs a search for one face. */
  run<R>(values: Float32Array, search: Search<R>): R {
    let step = search.next();
    while (!step.done) step = search.next(this.symbolsOf(values, step.value));
    return step.value;
  }

  /**
   * About the finest index whose symbols at the default λ take at most this many bytes, at least 0.
   * @param from the index at which the search begins
   */
  *expected(maxBytes: number, from: number): Search<number> {
    const { latents } = this.model;
    const { steps } = latents.fields;
    let [qIndex, slope] = [from, BITS_BY_INDEX];
    let last: { qIndex: number; bits: number } | undefined;
    for (let k = 0; ; k++) {
      const bits = Math.log2(1 + codeLength(yield this.atDefault(qIndex), latents, qIndex));
      if (last && last.qIndex !== qIndex)
        slope = Math.min(0.25, Math.max(0.03, (bits - last.bits) / (qIndex - last.qIndex)));
      const there = qIndex + (Math.log2(8 * maxBytes + 1) - bits) / slope;
      const next = Math.max(0, Math.min(steps - 1, Math.floor(there)));
      if (Math.abs(next - qIndex) <= NEAR || k === 4) return next;
      last = { qIndex, bits };
      qIndex = next;
    }
  }

  /** Runs `search` for one face. Without `near`, the index that is expected is found first. */
  fit(values: ArrayLike<number>, maxBytes: number, near?: number): ChosenSymbols {
    const own = Float32Array.from(values);
    const from = near ?? this.run(own, this.expected(maxBytes, this.model.latents.fields.steps >> 1));
    const { symbols, qIndex } = this.run(own, this.search(own, maxBytes, from));
    return { symbols, qIndex };
  }

  /**
   * The symbols of least squared error whose code takes at most `maxBytes`. Finds the finest index that fits at the default λ;
   * then lowers λ there, or raises that of the next finer index, until the bytes are used up.
   *
   * @param values at index 0
   * @param maxBytes of the code alone, without container
   * @param near the index at or near which the finest one is expected
   * @throws ArgumentError if even the coarsest index does not fit
   */
  *search(values: Float32Array, maxBytes: number, near: number): Search<CodedSymbols> {
    const { latents } = this.model;
    const { steps } = latents.fields;
    const found = new Attempts(values, maxBytes, latents);
    const atDefault = (qIndex: number) => found.at(this.atDefault(qIndex));
    let low = near;
    while (low >= 0 && (yield* atDefault(low)).spare < 0) low--;
    while (low + 1 < steps && (yield* atDefault(low + 1)).spare >= 0) low++;
    const ends: Attempt[] = [];
    if (low >= 0) ends.push(yield* atDefault(low));
    if (low + 1 < steps) ends.push(yield* atDefault(low + 1));
    // First the index that needs the smaller change of λ.
    ends.sort((a, b) => Math.abs(a.spare) - Math.abs(b.spare));
    for (const end of ends) yield* found.spend(end);
    if (!found.best) yield* found.spend(yield* found.at({ qIndex: 0, lambda: MAX_LAMBDA }));
    const chosen = found.chosen();
    if (chosen) return chosen;
    // All symbols 0, at the coarsest index: the fewest bytes a face can take.
    const symbols = new Int16Array(values.length);
    const min = encodeLatents(symbols, 0, latents).length;
    if (min > maxBytes) throw new ArgumentError(`a face takes at least ${min} bytes; ${maxBytes} are allowed`);
    return { symbols, qIndex: 0 };
  }
}

/** log2 of how much more bits an index takes than the one before it, where nothing else is known. */
const BITS_BY_INDEX = 0.108;
/** The same by log2 of λ, where λ falls. */
const BITS_BY_LAMBDA = 0.26;
/** An index is near enough if the one computed from it differs by no more. */
const NEAR = 4;
/** λ at which the search ends. */
const MAX_LAMBDA = 100 * LAMBDA_ONE;
/** Bits that the range coder takes beyond the code length: less is hardly ever enough. */
const CODER_BITS = 0.5;
/** With this few bits left, the search ends. */
const SPENT = 4;
/** Bits that an attempt should leave. */
const AIM = 2;
/** Attempts by λ alone, and by a λ that changes within a face. */
const MAX_TRIES = 5;
const MAX_SPLITS = 3;
/** From this ratio of two λ on, one of which fits, both are used. */
const CLOSE = 1.3;
/** Part of an octave of λ by which an attempt goes beyond what seems to be needed, so that the next one lies between two. */
const BEYOND = 0.03;
/**
 * Share by which the error can fall for each share of the bits that is left. Between 200 and 500 bytes it falls by 1.1 times the
 * share (PSNR in docs/codec.md). A larger bound tries more and finds hardly anything better.
 */
const ERROR_BY_BITS = 1.3;

/** Symbols at an index and a λ. */
interface Attempt extends Trial, ChosenSymbols {
  bits: number;
  /** Bits left of the budget, negative if it is exceeded. */
  spare: number;
  /** Squared error, if the budget is kept. */
  error: number;
}

/** What has been tried for a face. */
class Attempts {
  readonly #known = new Map<string, Attempt>();
  readonly #budget: number;
  /** The one of least error within the budget. */
  best: Attempt | undefined;

  constructor(
    readonly values: Float32Array,
    readonly maxBytes: number,
    readonly latents: LatentModel,
  ) {
    this.#budget = 8 * maxBytes - CODER_BITS;
  }

  /** Tries it, if that has not been done. */
  *at(trial: Trial): Search<Attempt> {
    const { qIndex, lambda, split = 0 } = trial;
    const key = `${qIndex} ${lambda} ${split}`;
    const known = this.#known.get(key);
    if (known) return known;
    const symbols = yield trial;
    const bits = codeLength(symbols, this.latents, qIndex);
    const spare = this.#budget - bits;
    const error = spare < 0 ? Infinity : errorOf(this.values, symbols, qIndex, this.latents);
    const attempt = { qIndex, lambda, symbols, bits, spare, error };
    this.#known.set(key, attempt);
    if (error < (this.best?.error ?? Infinity)) this.best = attempt;
    return attempt;
  }

  /** Changes the λ of an attempt until the bits are used up, or cannot be used better than by the best so far. */
  *spend(end: Attempt): Search<void> {
    // λ that exceeds the budget, and λ that keeps it.
    let [over, under] = end.spare < 0 ? [end, undefined] : [undefined, end];
    for (let k = 0; k < MAX_TRIES; k++) {
      if (under && this.#isSpent(under)) return;
      if (over && under && under.lambda <= CLOSE * over.lambda) break;
      const lambda = this.#nextLambda(over, under);
      if (lambda === undefined) return;
      const tried = yield* this.at({ qIndex: end.qIndex, lambda });
      if (tried.spare < 0) over = tried;
      else under = tried;
    }
    if (over && under && under.lambda < LAMBDA_ONE) yield* this.#spendBySplit(over, under);
  }

  /** Whether the bits are used up, or are too few to make the attempt better than the best one. */
  #isSpent(attempt: Attempt): boolean {
    if (attempt.spare <= SPENT) return true;
    const least = attempt.error * (1 - (ERROR_BY_BITS * attempt.spare) / this.#budget);
    return attempt !== this.best && least > this.best!.error;
  }

  /** The λ to try next; undefined if there is none left. */
  #nextLambda(over: Attempt | undefined, under: Attempt | undefined): number | undefined {
    if (over && under) {
      if (under.lambda - over.lambda <= 1) return undefined;
      // Where bits meet the budget if they fall with log λ, but not too near either end.
      const share = (over.bits - this.#budget + AIM) / (over.bits - under.bits);
      const from = Math.max(over.lambda, 0.5);
      const lambda = Math.round(from * (under.lambda / from) ** Math.min(0.9, Math.max(0.1, share)));
      return Math.min(under.lambda - 1, Math.max(over.lambda + 1, lambda));
    }
    const end = (over ?? under)!;
    const octaves = Math.log2((1 + end.bits) / (1 + this.#budget)) / BITS_BY_LAMBDA;
    const lambda = Math.round(end.lambda * 2 ** (octaves + (over ? BEYOND : -BEYOND)));
    if (over) return over.lambda >= MAX_LAMBDA ? undefined : Math.min(MAX_LAMBDA, Math.max(over.lambda + 1, lambda));
    return end.lambda <= 0 ? undefined : Math.max(0, Math.min(end.lambda - 1, lambda));
  }

  /** Uses the smaller λ up to a step and the larger one from there on: bits change in smaller parts with the step. */
  *#spendBySplit(over: Attempt, under: Attempt): Search<void> {
    const order = codingPlaces(this.latents);
    // How much larger the symbols before each step are.
    const more = new Int32Array(order.length + 1);
    for (let k = 0; k < order.length; k++)
      more[k + 1] = more[k] + Math.abs(over.symbols[order[k]]) - Math.abs(under.symbols[order[k]]);
    let [low, high] = [
      { share: 0, bits: under.bits },
      { share: 1, bits: over.bits },
    ];
    let [last, same] = [under, 0];
    for (let k = 0; k < MAX_SPLITS && same < 2 && !this.#isSpent(last); k++) {
      const part = (this.#budget - AIM - low.bits) / (high.bits - low.bits);
      const share = low.share + (high.share - low.share) * Math.min(0.9, Math.max(0.1, part));
      const split = more.findIndex((sum) => sum >= share * more[order.length]);
      const trial = { qIndex: over.qIndex, lambda: over.lambda, split, lambdaThen: under.lambda };
      const tried = yield* this.at(trial);
      if (tried.bits === low.bits || tried.bits === high.bits) same++;
      if (tried.spare < 0) high = { share, bits: tried.bits };
      else [low, last] = [{ share, bits: tried.bits }, tried];
    }
  }

  /** The best one whose code really keeps the budget. */
  chosen(): CodedSymbols | undefined {
    const within = [...this.#known.values()].filter(({ spare }) => spare >= 0);
    within.sort((a, b) => a.error - b.error);
    for (const { symbols, qIndex } of within) {
      const code = encodeLatents(symbols, qIndex, this.latents);
      if (code.length <= this.maxBytes) return { symbols, qIndex, code };
    }
    return undefined;
  }
}

/** Squared error of symbols, in squared steps of index 0. */
function errorOf(values: ArrayLike<number>, symbols: Int16Array, qIndex: number, latents: LatentModel): number {
  const order = codingPlaces(latents);
  const half = 0.5 / stepsInUnit(latents, qIndex);
  const dependent = latents.quantizers > 1;
  let [sum, state] = [0, 0];
  for (let k = 0; k < order.length; k++) {
    const symbol = symbols[order[k]];
    const distance = values[order[k]] - half * reconstructionPoint(symbol, quantizerOf(state));
    sum += distance * distance;
    if (dependent) state = nextState(state, symbol);
  }
  return sum;
}
