import { type Interval, intervalOf } from '../verification/resampled.js';
import type { PersonBootstrap } from './person-bootstrap.js';

/** A mean over faces, with its 95 % interval by persons resampled; none for faces of fewer than five persons. */
export interface PersonMean {
  faces: number;
  persons: number;
  mean: number;
  interval: Interval | null;
}

const MIN_PERSONS = 5;

/** @param persons of the values; resamples in which none of them was drawn are left out */
export function personMean(
  values: readonly number[],
  persons: readonly string[],
  bootstrap: PersonBootstrap,
): PersonMean {
  const numbers = persons.map((person) => bootstrap.number(person));
  const count = new Set(numbers).size;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const means = Float64Array.from(bootstrap.draws, (drawn) => {
    let [sum, times] = [0, 0];
    values.forEach((value, k) => {
      sum += drawn[numbers[k]] * value;
      times += drawn[numbers[k]];
    });
    return sum / times;
  }).filter((value) => !Number.isNaN(value));
  return { faces: values.length, persons: count, mean, interval: count < MIN_PERSONS ? null : intervalOf(means) };
}
