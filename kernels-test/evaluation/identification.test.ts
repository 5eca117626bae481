import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { BestMatches, similarities } from '../../src/evaluation/metrics/gallery.js';
import { identificationAt, type ProbeSearch, probeSearch } from '../../src/evaluation/metrics/identification.js';
import { cosineSimilarity, tarAtFar } from '../../src/evaluation/metrics/verification.js';

const near = (actual: number, expected: number, within = 1e-12): void =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, expected ${expected}`);

const unit = (values: readonly number[]): number[] => {
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
};

/** A gallery of invented faces: embeddings of length 1 in random directions. */
function inventedGallery(count: number, dimension: number, seed: number): Float32Array[] {
  const random = new CounterRandom(seed);
  return Array.from({ length: count }, () =>
    Float32Array.from(unit(Array.from({ length: dimension }, () => random.normal()))),
  );
}

const flat = (rows: readonly Float32Array[]): Float32Array => Float32Array.from(rows.flatMap((row) => [...row]));

test('similarities are cosines, for every length of embeddings', () => {
  for (const dimension of [1, 2, 3, 4, 5, 7, 128, 129]) {
    const faces = inventedGallery(6, dimension, dimension);
    const [probe] = inventedGallery(1, dimension, 99);
    const found = similarities(probe, flat(faces), new Float32Array(6));
    faces.forEach((face, k) => {
      near(found[k], cosineSimilarity(probe, face), 1e-6);
    });
  }
  assert.throws(
    () => similarities(new Float32Array(3), new Float32Array(7), new Float32Array(2)),
    /7 values of 2 faces, and a probe of 3/,
  );
  assert.throws(() => similarities(new Float32Array(0), new Float32Array(0), new Float32Array(2)), /a probe of 0/);
});

test('a probe that is a mixture of faces in a gallery of 1,000 ranks them by their shares', () => {
  const faces = inventedGallery(1000, 512, 7);
  // The shares determine the ranks, because other faces are nearly at right angles in 512 dimensions.
  const shares = [1.2, 1, 0.8, 0.6, 0.4];
  const wanted = [613, 4, 999, 0, 250];
  const mixed = Array.from({ length: 512 }, (_, i) =>
    wanted.reduce((sum, face, k) => sum + shares[k] * faces[face][i], 0),
  );
  const probe = Float32Array.from(unit(mixed));
  const all = flat(faces);
  // The gallery is searched at once, and in pieces of which the last is shorter.
  for (const piece of [1000, 300, 1]) {
    const best = new BestMatches(5);
    for (let first = 0; first < 1000; first += piece) {
      const count = Math.min(piece, 1000 - first);
      const rows = all.subarray(first * 512, (first + count) * 512);
      best.add(similarities(probe, rows, new Float32Array(count)), first);
    }
    assert.equal(
      best.ranked.map(({ face }) => face),
      wanted,
      `pieces of ${piece}`,
    );
  }
  const sorted = faces
    .map((face, k) => ({ k, score: cosineSimilarity(probe, face) }))
    .sort((a, b) => b.score - a.score);
  assert.equal(
    sorted.slice(0, 5).map(({ k }) => k),
    wanted,
  );
});

test('of equal faces the lower number ranks first, and faces without an embedding have no rank', () => {
  const best = new BestMatches(3);
  best.add(Float32Array.of(0.5, Number.NaN, 0.5, -1));
  best.add(Float32Array.of(0.5, 0.75), 4);
  assert.equal(best.ranked, [
    { face: 5, similarity: 0.75 },
    { face: 0, similarity: 0.5 },
    { face: 2, similarity: 0.5 },
  ]);
  const few = new BestMatches(9);
  few.add(Float32Array.of(Number.NaN, -0.25));
  assert.equal(few.ranked, [{ face: 1, similarity: -0.25 }]);
  for (const count of [0, -1, 1.5, Number.NaN])
    assert.throws(() => new BestMatches(count), /expected a positive integer/);
  // A row of NaN gives NaN, whatever the probe is.
  const rows = Float32Array.of(1, 0, Number.NaN, Number.NaN);
  assert.equal([...similarities(Float32Array.of(0, 1), rows, new Float32Array(2))].map(String), ['0', 'NaN']);
});

test('a search gives the scores of the mate and of the best other face, and one without a mate ignores it', () => {
  const scores = Float32Array.of(0.25, 0.75, 0.5);
  assert.equal(probeSearch(scores, 1, true), { mate: 0.75, rival: 0.5 });
  assert.equal(probeSearch(scores, 1, false), { mate: null, rival: 0.5 });
  assert.equal(probeSearch(scores, 0, true), { mate: 0.25, rival: 0.75 });
  for (const value of [Number.NaN, Infinity, -Infinity]) {
    assert.throws(
      () => probeSearch(Float32Array.of(0.5, value), 0, true),
      /similarity to face 1 is .*; expected a finite/,
    );
  }
  assert.throws(() => probeSearch(Float32Array.of(0.5), 0, true), /own face 0 of 1/);
  assert.throws(() => probeSearch(scores, 3, true), /own face 3 of 3/);
  assert.throws(() => probeSearch(scores, -1, true), /own face -1 of 3/);
});

/*
 * Ten searches. Six have a mate: it is first with 0.9 and with 0.6; first with only 0.3; tied at 0.5; second, with
 * 0.7 behind 0.8; last. Rivals, falling: 0.8, 0.55, 0.5, 0.45, 0.4, 0.4, 0.35, 0.2, 0.1, 0.05.
 */
const TEN: ProbeSearch[] = [
  { mate: 0.9, rival: 0.4 },
  { mate: 0.6, rival: 0.2 },
  { mate: 0.3, rival: 0.1 },
  { mate: 0.5, rival: 0.5 },
  { mate: 0.7, rival: 0.8 },
  { mate: -0.2, rival: 0.05 },
  { mate: null, rival: 0.55 },
  { mate: null, rival: 0.45 },
  { mate: null, rival: 0.4 },
  { mate: null, rival: 0.35 },
];

test('rank 1, FNIR and threshold at a false positive rate agree with figures worked out by hand', () => {
  for (const [fpir, refused, returned, found] of [
    [0, 0.8, 0, 1], // only the mate with 0.9 is above the highest rival
    [0.1, 0.55, 1, 2], // one of ten may be returned: 0.8
    [0.19, 0.55, 1, 2],
    [0.2, 0.5, 2, 2],
    [0.4, 0.4, 4, 2], // two rivals have 0.4, and are returned together
    [0.5, 0.4, 4, 2],
    [0.6, 0.35, 6, 2],
    [0.8, 0.1, 8, 3], // the mate with 0.3 is returned now; the tie and the second place are never hits
    [0.95, 0.05, 9, 3],
  ] as const) {
    const figures = identificationAt(TEN, fpir)();
    near(figures.rankOne, 3 / 6);
    near(figures.fnir, 1 - found / 6);
    near(figures.fpir, returned / 10);
    assert.ok(figures.threshold > refused && figures.threshold < refused + 1e-9, `${fpir}: ${figures.threshold}`);
  }
});

test('a weight of two equals having the search twice, and a weight of 0 equals not having it', () => {
  const times = [2, 0, 1, 3, 1, 1, 0, 1, 2, 0];
  const drawn = TEN.flatMap((search, k) => new Array<ProbeSearch>(times[k]).fill(search));
  for (const fpir of [0, 0.1, 0.2, 0.35, 0.7]) {
    const [weighted, repeated] = [identificationAt(TEN, fpir)(times), identificationAt(drawn, fpir)()];
    for (const key of ['rankOne', 'fnir', 'fpir', 'threshold'] as const) near(weighted[key], repeated[key]);
  }
});

test('the threshold equals that of verification with the rivals as impostors', () => {
  const random = new CounterRandom(5);
  for (let round = 0; round < 20; round++) {
    const score = (): number => Math.round(20 * random.uniform()) / 20; // many ties
    const searches = Array.from(
      { length: 60 },
      (_, k): ProbeSearch => ({ mate: k % 3 ? score() : null, rival: score() }),
    );
    const rivals = searches.map(({ rival }) => rival);
    for (const fpir of [0, 0.05, 0.25, 0.5]) {
      const figures = identificationAt(searches, fpir)();
      const point = tarAtFar([0], rivals, fpir);
      assert.is(figures.threshold, point.threshold);
      near(figures.fpir, point.far);
      const mated = searches.filter(({ mate }) => mate !== null);
      const missed = mated.filter(({ mate, rival }) => mate! <= rival || mate! < figures.threshold);
      near(figures.fnir, missed.length / mated.length);
    }
  }
});

test('what cannot be decided is refused by name', () => {
  assert.throws(() => identificationAt([], 0.01), /0 searches, none with a mate/);
  assert.throws(() => identificationAt(TEN.slice(6), 0.01), /4 searches, none with a mate/);
  for (const fpir of [-0.1, 1, Number.NaN])
    assert.throws(() => identificationAt(TEN, fpir), /expected a number from 0/);
  for (const bad of [Number.NaN, Infinity]) {
    assert.throws(
      () => identificationAt([...TEN, { mate: bad, rival: 0 }], 0.1),
      /search 10 is of .*; expected finite/,
    );
    assert.throws(() => identificationAt([...TEN, { mate: null, rival: bad }], 0.1), /search 10 is of null and/);
  }
});

test.run();
