import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FaceLandmarks } from '../../src/common/face-landmarks.js';
import { type KnownFace, matchFaces } from '../../src/detection/face-matches.js';

const at = (left: number, top: number, side: number) => ({
  left,
  top,
  right: left + side,
  bottom: top + side,
  landmarks: [0.3, 0.7, 0.5, 0.35, 0.65].map((x, k) => [
    left + x * side,
    top + (k < 2 ? 0.4 : 0.7) * side,
  ]) as unknown as FaceLandmarks,
});
const known = (left: number, top: number, side: number, counts = true): KnownFace => ({
  ...at(left, top, side),
  counts,
});
const found = (left: number, top: number, side: number, score: number) => ({ ...at(left, top, side), score });

test('each known face is matched at most once, by the detection of highest score', () => {
  const { pairs, missed, wrong } = matchFaces(
    [known(0, 0, 40), known(100, 0, 40), known(200, 0, 40)],
    [found(2, 0, 40, 0.6), found(1, 0, 40, 0.9), found(104, 0, 40, 0.7)],
  );
  assert.equal(
    pairs.map((pair) => [pair.known.left, pair.found.left]),
    [
      [0, 1],
      [100, 104],
    ],
  );
  // All points are off by 1 and by 4, of the 16 pixels between the eyes.
  assert.ok(Math.abs(pairs[0].error - 1 / 16) < 1e-9 && Math.abs(pairs[1].error - 4 / 16) < 1e-9);
  assert.equal(
    missed.map(({ left }) => left),
    [200],
  );
  assert.equal(
    wrong.map(({ score }) => score),
    [0.6],
  );
});

test('boxes that overlap by less than half do not match, and a detection of a face that does not count is not wrong', () => {
  const { pairs, missed, wrong } = matchFaces(
    [known(0, 0, 40), known(100, 0, 40, false)],
    [found(20, 0, 40, 0.9), found(100, 2, 40, 0.8), found(104, 4, 30, 0.7), found(300, 0, 9, 0.6)],
  );
  assert.is(pairs.length, 0);
  assert.is(missed.length, 1);
  assert.equal(
    wrong.map(({ score }) => score),
    [0.9, 0.6],
  );
  assert.equal(matchFaces([], []), { pairs: [], missed: [], wrong: [] });
});

test.run();
