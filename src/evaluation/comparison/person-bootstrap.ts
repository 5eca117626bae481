import { ArgumentError } from '../../common/errors.js';
import { CounterRandom } from '../../common/random.js';
import { RESAMPLES } from '../verification/resampled.js';
import { type TopImpostors, thresholdOfClass } from './all-impostors.js';

const STREAM = 0x7a2;

/**
 * A bootstrap over persons, as pairs that share a person are not independent: each resample draws as many persons as there
 * are, with replacement. A pair of one person's pictures counts as often as the person was drawn; a pair of two persons as
 * often as the product of both. Bolle, Ratha, Pankanti 2004, "Error analysis of pattern recognition systems: the subsets
 * bootstrap"; for pairs of two persons Snijders, Borgatti 1999, "Non-parametric standard errors and tests for network
 * statistics" (the vertex bootstrap). The same persons always give the same resamples, which makes them paired.
 */
export class PersonBootstrap {
  readonly #numbers: ReadonlyMap<string, number>;
  /** Pictures of each person. */
  readonly #pictures: Uint32Array;
  /** How often each person was drawn, one list for each resample. */
  readonly draws: readonly Uint8Array[];

  /** @param persons of the pictures, in the same order for everything that is to be compared */
  constructor(persons: readonly string[]) {
    this.#numbers = new Map([...new Set(persons)].map((name, k) => [name, k]));
    const count = this.#numbers.size;
    this.#pictures = new Uint32Array(count);
    for (const person of persons) this.#pictures[this.number(person)]++;
    const random = new CounterRandom(1, STREAM);
    this.draws = Array.from({ length: RESAMPLES }, () => {
      const drawn = new Uint8Array(count);
      for (let k = 0; k < count; k++) drawn[Math.floor(random.uniform() * count)]++;
      return drawn;
    });
  }

  /** @throws ArgumentError for a person of whom there is no picture */
  number(person: string): number {
    const number = this.#numbers.get(person);
    if (number === undefined) throw new ArgumentError(`PersonBootstrap: no picture is of ${person}`);
    return number;
  }

  /** Of each resample, the lowest threshold at which at most the share `far` of the mismatched pairs is accepted. */
  thresholds({ classes, first, second, floor }: TopImpostors, far: number): Float32Array {
    return Float32Array.from(this.draws, (drawn) => {
      let [sum, squares] = [0, 0];
      drawn.forEach((times, person) => {
        const weight = times * this.#pictures[person];
        sum += weight;
        squares += weight * weight;
      });
      const allowed = (far * (sum * sum - squares)) / 2;
      let accepted = 0;
      for (let k = 0; k < classes.length; ) {
        // A class is accepted as a whole, or not at all.
        const one = classes[k];
        for (; k < classes.length && classes[k] === one; k++) accepted += drawn[first[k]] * drawn[second[k]];
        if (accepted > allowed) return thresholdOfClass(one + 1);
      }
      return thresholdOfClass(floor);
    });
  }

  /**
   * Of each resample, the share of matched pairs that is accepted at its threshold.
   * @param scores of matched pairs
   * @param persons their numbers
   * @returns NaN where none of the persons was drawn
   */
  tars(scores: ArrayLike<number>, persons: ArrayLike<number>, thresholds: ArrayLike<number>): Float64Array {
    return Float64Array.from(this.draws, (drawn, resample) => {
      let [all, accepted] = [0, 0];
      for (let k = 0; k < scores.length; k++) {
        const times = drawn[persons[k]];
        all += times;
        if (scores[k] >= thresholds[resample]) accepted += times;
      }
      return accepted / all;
    });
  }
}
