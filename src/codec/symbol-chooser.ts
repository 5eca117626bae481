import { quantizeForRate } from './rate-distortion.js';
import { quantizeDependent, symbolCosts } from './trellis.js';

/** Weights of a bit against squared error in squared steps, for plain and for dependent quantization. */
const LAMBDAS = [
  { default: 0.16, max: 0.4 },
  { default: 0.08, max: 0.2 },
] as const;

/**
 * Steps of dependent quantization are so many eighths of an octave coarser than plain ones of the same index: then both have
 * nearly the same error, and the index tells a network what to expect.
 */
const DEPENDENT_COARSER = 3;

/** Eighths of an octave by which a step of dependent quantization at this index is finer than a plain one at index 0. */
export const dependentGain = (qIndex: number): number => qIndex - DEPENDENT_COARSER;

/** Chooses the symbols of faces for squared error and bits, by logistic scales of the values. */
export class SymbolChooser {
  /** The weight of bits with which both change alike along the best rates. */
  readonly defaultLambda: number;
  /** Beyond it, a coarser step is better than more symbols rounded down. */
  readonly maxLambda: number;
  readonly #costs = new Map<number, Float32Array>();

  /** @param scales logistic scale of each value, in units of it */
  constructor(
    readonly scales: Float64Array,
    readonly dependent: boolean,
  ) {
    const lambdas = LAMBDAS[dependent ? 1 : 0];
    this.defaultLambda = lambdas.default;
    this.maxLambda = lambdas.max;
  }

  /**
   * @param values in steps
   * @param gain steps in a unit
   * @param order in which they are coded
   */
  choose(values: ArrayLike<number>, gain: number, lambda: number, order: ArrayLike<number>): Int16Array {
    const costs = this.costsAt(gain);
    return this.dependent ? quantizeDependent(values, costs, lambda, order) : quantizeForRate(values, costs, lambda);
  }

  /** Of `symbolCosts`. */
  costsAt(gain: number): Float32Array {
    let costs = this.#costs.get(gain);
    if (!costs) this.#costs.set(gain, (costs = symbolCosts(this.scales.map((scale) => scale * gain))));
    return costs;
  }
}
