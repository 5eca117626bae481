import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { impostorThreshold, thresholdOfClass } from '../../src/evaluation/comparison/all-impostors.js';
import { PersonBootstrap } from '../../src/evaluation/comparison/person-bootstrap.js';
import { intervalOf, RESAMPLES, signProbability } from '../../src/evaluation/verification/resampled.js';

/** Random unit vectors. */
function directions(count: number, random: CounterRandom, length = 6): Float32Array[] {
  return Array.from({ length: count }, () => unit(Float32Array.from({ length }, () => random.normal())));
}

function unit(values: Float32Array): Float32Array {
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, k) => sum + value * b[k], 0);

interface Pair {
  score: number;
  first: number;
  second: number;
}

/** All pairs of different persons, the highest score first. */
function sortedPairs(
  references: readonly Float32Array[],
  probes: readonly Float32Array[],
  persons: readonly number[],
): Pair[] {
  const pairs: Pair[] = [];
  references.forEach((a, i) => {
    probes.forEach((b, j) => {
      if (j <= i || persons[i] === persons[j]) return;
      pairs.push({ score: dot(a, b), first: persons[i], second: persons[j] });
    });
  });
  return pairs.sort((a, b) => b.score - a.score);
}

/** Width of a class of scores. */
const WIDTH = 2 ** -17;

test('the threshold over all mismatched pairs is that of their sorted scores', () => {
  const random = new CounterRandom(7);
  const references = directions(90, random);
  const probes = directions(90, random);
  const persons = references.map((_, k) => k % 40);
  for (const [far, others] of [
    [0.05, references],
    [0.01, probes],
    [0, references],
  ] as const) {
    const scores: number[] = [];
    references.forEach((a, i) => {
      others.forEach((b, j) => {
        if (j > i && persons[i] !== persons[j]) scores.push(dot(a, b));
      });
    });
    const { threshold, impostors } = impostorThreshold(references, others, persons, far);
    assert.is(impostors, scores.length);
    const share = (limit: number): number => scores.filter((score) => score >= limit).length / scores.length;
    assert.ok(share(threshold) <= far, `${share(threshold)} pass at ${threshold}; ${far} may`);
    // Below it by the width of a class, more pairs would pass than allowed.
    const next = scores.sort((a, b) => b - a)[Math.floor(far * scores.length)];
    assert.ok(threshold > next && threshold - next < 2e-5, `${threshold}, the next score is ${next}`);
  }
  const refused = (message: RegExp, ...args: Parameters<typeof impostorThreshold>): void => {
    assert.throws(
      () => impostorThreshold(...args),
      (error: Error) => error instanceof ArgumentError && message.test(error.message),
    );
  };
  refused(/90 references, 89 probes and 90 persons/, references, probes.slice(1), persons, 0.1);
  refused(/no two pictures of different persons/, references, probes, persons.fill(0), 0.1);
  const odd = [Float32Array.of(1), Float32Array.of(Number.NaN)];
  refused(/pictures 0 and 1 have score NaN/, odd, odd, [0, 1], 0.1);
});

test('the pairs of the highest scores are kept with their persons, however many there are', () => {
  const random = new CounterRandom(8);
  const references = directions(240, random);
  const numbers = references.map((_, k) => k % 100);
  const pairs = sortedPairs(references, references, numbers);
  const { top } = impostorThreshold(references, references, numbers, 0.01);
  const { classes, first, second, floor } = top;
  const above = pairs.filter(({ score }) => score >= thresholdOfClass(floor) + 1e-6);
  assert.ok(pairs.length > 3 * 8192, 'the list has to drop pairs on its way');
  assert.ok(classes.length >= 4090 && classes.length <= 4096, `${classes.length} pairs`);
  assert.ok(Math.abs(above.length - classes.length) <= 1);
  const named = (a: number, b: number): string => `${Math.min(a, b)}-${Math.max(a, b)}`;
  const kept = new Map<string, number[]>();
  classes.forEach((one, k) => {
    assert.ok(k === 0 || one <= classes[k - 1], 'from the highest on');
    const key = named(first[k], second[k]);
    kept.set(key, [...(kept.get(key) ?? []), thresholdOfClass(one)]);
  });
  for (const { score, first, second } of above) {
    const found = kept.get(named(first, second)) ?? [];
    assert.ok(
      found.some((limit) => score >= limit - 1e-6 && score < limit + WIDTH + 1e-6),
      `${first} and ${second} have ${score}`,
    );
  }
});

test('equal scores are all rejected together', () => {
  const same = Array.from({ length: 200 }, () => Float32Array.of(1));
  const { threshold, top } = impostorThreshold(same, same, [...same.keys()], 1e-3);
  assert.ok(threshold > 1);
  const thresholds = new PersonBootstrap(same.map((_, k) => String(k))).thresholds(top, 1e-3);
  assert.ok(thresholds.every((value) => value === threshold));
});

test('thresholds for resampled persons count each pair as often as both persons were drawn', () => {
  const random = new CounterRandom(9);
  const references = directions(120, random);
  const numbers = references.map((_, k) => k % 50);
  const persons = numbers.map((n) => `person ${n}`);
  const far = 0.02;
  const bootstrap = new PersonBootstrap(persons);
  const { threshold, top } = impostorThreshold(references, references, numbers, far);
  const thresholds = bootstrap.thresholds(top, far);
  assert.is(thresholds.length, RESAMPLES);
  const pairs = sortedPairs(references, references, numbers);
  for (const resample of [0, 1, 2, RESAMPLES - 1]) {
    const drawn = bootstrap.draws[resample];
    assert.is(
      drawn.reduce((sum, times) => sum + times, 0),
      50,
    );
    const scores = pairs.flatMap(({ score, first, second }) =>
      new Array<number>(drawn[first] * drawn[second]).fill(score),
    );
    const allowed = Math.floor(far * scores.length);
    const passing = scores.filter((score) => score >= thresholds[resample] + 1e-6).length;
    assert.ok(passing <= allowed, `${passing} pass, ${allowed} may`);
    // Below it by the width of a class, too many pairs would pass.
    const more = scores.filter((score) => score >= thresholds[resample] - WIDTH - 1e-6).length;
    assert.ok(more > allowed, `${more} pass below, ${allowed} may`);
  }
  const { low, high } = intervalOf(Float64Array.from(thresholds));
  assert.ok(low < threshold && threshold < high && high - low < 0.1, `${low} < ${threshold} < ${high}`);
  assert.equal(new PersonBootstrap(persons).thresholds(top, far), thresholds, 'the same persons are drawn again');
});

test('resampled rates show that a scoring is better, and not that an equal one is', () => {
  const random = new CounterRandom(10);
  const persons = Array.from({ length: 400 }, (_, k) => `person ${k >> 1}`);
  const centres = directions(200, random, 24);
  /** Two embeddings of each person: its centre with noise. */
  const pictures = (noise: number, seed: number): Float32Array[] => {
    const noiseSource = new CounterRandom(seed);
    return persons.map((_, k) => unit(centres[k >> 1].map((value) => value + noise * noiseSource.normal())));
  };
  const bootstrap = new PersonBootstrap(persons);
  const numbers = persons.map((person) => bootstrap.number(person));
  const matched = centres.map((_, k) => bootstrap.number(`person ${k}`));
  const tars = (embeddings: readonly Float32Array[]): Float64Array => {
    const genuine = centres.map((_, k) => dot(embeddings[2 * k], embeddings[2 * k + 1]));
    const { top } = impostorThreshold(embeddings, embeddings, numbers, 1e-3);
    return bootstrap.tars(genuine, matched, bootstrap.thresholds(top, 1e-3));
  };
  const minus = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, k) => value - b[k]);
  const [good, alike, poor] = [tars(pictures(0.1, 1)), tars(pictures(0.1, 2)), tars(pictures(0.16, 3))];
  assert.is(signProbability(minus(good, poor)), 2 / RESAMPLES);
  assert.ok(signProbability(minus(good, alike)) > 0.01);
  assert.is(signProbability(minus(good, good)), 1);
  assert.throws(
    () => bootstrap.number('nobody'),
    (error: Error) => error instanceof ArgumentError && /no picture is of nobody/.test(error.message),
  );
});

test('of equally good scorings, few are found to be different', () => {
  const persons = Array.from({ length: 200 }, (_, k) => `person ${k >> 1}`);
  const bootstrap = new PersonBootstrap(persons);
  const numbers = persons.map((person) => bootstrap.number(person));
  const matched = Array.from({ length: 100 }, (_, k) => bootstrap.number(`person ${k}`));
  const far = 0.005;
  let below = 0;
  for (let seed = 0; seed < 40; seed++) {
    const random = new CounterRandom(1000 + seed);
    const centres = directions(100, random, 24);
    // The difficulty of a picture is common to both; each codec adds noise of its own.
    const pictures = persons.map((_, k) => centres[k >> 1].map((value) => value + 0.11 * random.normal()));
    const tars = (): Float64Array => {
      const embeddings = pictures.map((picture) => unit(picture.map((value) => value + 0.11 * random.normal())));
      const genuine = centres.map((_, k) => dot(embeddings[2 * k], embeddings[2 * k + 1]));
      const { top } = impostorThreshold(embeddings, embeddings, numbers, far);
      return bootstrap.tars(genuine, matched, bootstrap.thresholds(top, far));
    };
    const [first, second] = [tars(), tars()];
    if (signProbability(first.map((tar, k) => tar - second[k])) < 0.05) below++;
  }
  assert.ok(below <= 4, `p < 0.05 in ${below} of 40`);
});

test.run();
