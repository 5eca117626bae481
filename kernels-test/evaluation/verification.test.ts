import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import {
  accuracyAt,
  areaUnderRoc,
  bestThreshold,
  cosineSimilarity,
  equalErrorRate,
  rocCurve,
  tarAtFar,
} from '../../src/evaluation/metrics/verification.js';
import { mcNemar } from '../../src/evaluation/verification/paired.js';
import { verificationFigures } from '../../src/evaluation/verification/protocol.js';

const near = (actual: number, expected: number, within = 1e-12): void =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, expected ${expected}`);

test('bestThreshold is half way between two scores, and the middle one of equally good thresholds', () => {
  assert.equal(bestThreshold([0.1, 0.2, 0.8, 0.9], [false, false, true, true]), { threshold: 0.5, accuracy: 1 });
  // There is one mistake, whether the threshold is in (0.3, 0.5) or in (0.6, 0.8).
  const { threshold, accuracy } = bestThreshold([0.1, 0.3, 0.5, 0.6, 0.8], [false, false, true, false, true]);
  near(threshold, 0.4);
  near(accuracy, 0.8);
  assert.is(bestThreshold([0.4, 0.4, 0.4], [true, false, true]).accuracy, 2 / 3); // a threshold cannot separate equal scores
  assert.is(bestThreshold([0.2, 0.3], [false, false]).accuracy, 1);
});

test('bestThreshold is as good as the best of all thresholds', () => {
  const random = new CounterRandom(3);
  for (let round = 0; round < 30; round++) {
    const scores = Array.from({ length: 40 }, () => Math.round(10 * random.uniform()) / 10); // many ties
    const same = scores.map((score) => random.uniform() < 0.2 + 0.6 * score);
    const right = (t: number): number => accuracyAt(t, scores, same);
    const best = Math.max(...Array.from({ length: 13 }, (_, k) => right((k - 1) / 10 + 0.05)));
    const found = bestThreshold(scores, same);
    near(found.accuracy, best);
    near(right(found.threshold), best);
  }
});

test('tarAtFar accepts at most the share of impostors, and everything above it', () => {
  const impostor = Array.from({ length: 1000 }, (_, k) => k / 1000);
  const genuine = [0.5, 0.9975, 0.9985, 0.9995, 2];
  const strict = tarAtFar(genuine, impostor, 1e-3); // one impostor may pass: 0.999
  near(strict.far, 1e-3);
  near(strict.tar, 3 / 5);
  assert.ok(strict.threshold > 0.998 && strict.threshold <= 0.9985);
  near(tarAtFar(genuine, impostor, 0).tar, 2 / 5);
  near(tarAtFar(genuine, impostor, 0.0015).far, 1e-3);
  // Impostors with one score pass together or not at all.
  near(tarAtFar([0.5, 0.6], [0.1, 0.5, 0.5, 0.5], 0.5).far, 0);
  near(tarAtFar([-0.5, -0.2], [-0.9, -0.4], 0.4).tar, 1 / 2);
  assert.throws(() => tarAtFar([], [1], 0.1), /0 genuine/);
  assert.throws(() => tarAtFar([1], [1], 1), /far is 1/);
});

test('ROC, its area and the equal error rate are right for small cases', () => {
  assert.equal(rocCurve([0.9, 0.6], [0.7, 0.1]), [
    [0, 0.5],
    [0.5, 1],
    [1, 1],
  ]);
  near(areaUnderRoc([0.9, 0.6], [0.7, 0.1]), 3 / 4);
  near(areaUnderRoc([0.5], [0.5]), 1 / 2);
  near(areaUnderRoc([1, 2], [0, 0.5]), 1);
  near(equalErrorRate([1, 2], [0, 0.5]), 0);
  near(equalErrorRate([0.2, 0.8], [0.1, 0.9]), 0.5);
  const random = new CounterRandom(5);
  const genuine = Array.from({ length: 300 }, () => random.normal() + 2);
  const impostor = Array.from({ length: 400 }, () => random.normal());
  let wins = 0;
  for (const g of genuine) for (const i of impostor) wins += g > i ? 1 : 0;
  near(areaUnderRoc(genuine, impostor), wins / 120000, 1e-9);
  near(equalErrorRate(genuine, impostor), 0.159, 0.03); // Φ(−1)
});

test('each fold is decided by the threshold of the others', () => {
  const pairs = [0, 1, 2].flatMap((fold) =>
    [0.1, 0.2, 0.7, 0.9].map((score, k) => ({ score: score + fold / 100, same: k >= 2, fold })),
  );
  pairs[3] = { ...pairs[3], score: 0.05 }; // a genuine pair of fold 0 that no threshold accepts
  const figures = verificationFigures(pairs);
  assert.equal(
    figures.folds.map(({ accuracy }) => accuracy),
    [0.75, 1, 1],
  );
  near(figures.accuracy, 2.75 / 3);
  near(figures.standardError, Math.sqrt((2 * (1 / 12) ** 2 + (1 / 6) ** 2) / 2 / 3));
  assert.is(figures.genuine + figures.impostor, 12);
  assert.equal(verificationFigures(pairs), figures); // the bootstrap too
  assert.ok(figures.tar.low <= figures.tar.tar && figures.tar.tar <= figures.tar.high);
  assert.throws(() => verificationFigures(pairs.filter(({ fold }) => fold === 1)), /1 fold/);
});

test("McNemar's mid-p", () => {
  const decisions = (only: number, other: number): [boolean[], boolean[]] => [
    [...new Array(only).fill(true), ...new Array(other).fill(false), true, false],
    [...new Array(only).fill(false), ...new Array(other).fill(true), true, false],
  ];
  assert.equal(mcNemar(...decisions(0, 0)), { onlyFirst: 0, onlySecond: 0, p: 1 });
  near(mcNemar(...decisions(0, 5)).p, 1 / 32); // 2·(½·2⁻⁵)
  near(mcNemar(...decisions(1, 4)).p, 2 / 32 + 5 / 32);
  near(mcNemar(...decisions(3, 3)).p, 1);
  assert.ok(mcNemar(...decisions(400, 300)).p < 2e-4);
  assert.throws(() => mcNemar([true], []), /1 and 0/);
});

test('cosineSimilarity is right for known vectors', () => {
  near(cosineSimilarity([1, 0], [1, 1]), Math.SQRT1_2);
  near(cosineSimilarity([1, 2, 3], [-2, -4, -6]), -1);
  assert.is(cosineSimilarity([0, 0], [1, 1]), 0);
});

/** The next double above a positive number. */
const next = (value: number): number => {
  const bits = new BigInt64Array(Float64Array.of(value).buffer);
  bits[0]++;
  return new Float64Array(bits.buffer)[0];
};

test('scores that differ by one double are distinguished', () => {
  for (const low of [0.3, 0.9, 1.9, 1e-310, 0.7434622127559404]) {
    const high = next(low);
    for (const [a, b] of [
      [low, high],
      [-high, -low],
    ]) {
      const point = tarAtFar([b], [a], 0);
      assert.equal(point, { threshold: b, tar: 1, far: 0 }, `${a}`);
      assert.is(areaUnderRoc([b], [a]), 1, `${a}`);
      assert.is(areaUnderRoc([a], [b]), 0, `${a}`);
      assert.is(equalErrorRate([b], [a]), 0, `${a}`);
      assert.equal(rocCurve([b], [a])[0], [0, 1], `${a}`);
      const best = bestThreshold([a, b], [false, true]);
      assert.equal(best, { threshold: b, accuracy: 1 }, `${a}`);
      assert.is(accuracyAt(best.threshold, [a, b], [false, true]), 1);
    }
  }
  assert.is(tarAtFar([1], [0], 0).threshold, Number.MIN_VALUE);
  assert.is(tarAtFar([1], [-0], 0).threshold, Number.MIN_VALUE);
  // Above 2⁵³ a score plus 2 may equal the score; even there, a threshold can reject all pairs.
  const { threshold } = bestThreshold([1e18], [false]);
  assert.ok(threshold > 1e18);
});

test('scores that are not finite, and empty or unequal lists, are refused', () => {
  const refused = (run: () => unknown, message: RegExp): void =>
    assert.throws(run, (error: Error) => error instanceof ArgumentError && message.test(error.message));
  const figures = {
    tarAtFar: (g: number[], i: number[]) => tarAtFar(g, i, 0.1),
    equalErrorRate,
    rocCurve,
    areaUnderRoc,
  };
  for (const [name, figure] of Object.entries(figures)) {
    refused(() => figure([], [1]), new RegExp(`${name}: 0 genuine and 1 impostor`));
    refused(() => figure([1], []), new RegExp(`${name}: 1 genuine and 0 impostor`));
    refused(() => figure([1, NaN], [1]), new RegExp(`${name}, genuine pairs: score 1 is NaN`));
    refused(() => figure([1], [Infinity]), new RegExp(`${name}, impostor pairs: score 0 is Infinity`));
  }
  for (const [name, decide] of [
    ['bestThreshold', bestThreshold],
    ['accuracyAt', (scores: number[], same: boolean[]) => accuracyAt(0.5, scores, same)],
  ] as const) {
    refused(() => decide([], []), new RegExp(`${name}: 0 scores and 0 labels`));
    refused(() => decide([1, 2], [true]), new RegExp(`${name}: 2 scores and 1 labels`));
    refused(() => decide([1, NaN], [true, false]), new RegExp(`${name}: score 1 is NaN`));
  }
  refused(() => cosineSimilarity([1, 2], [1]), /vectors of 2 and 1 values/);
  refused(() => cosineSimilarity([], []), /vectors of 0 and 0 values/);
});

test.run();
