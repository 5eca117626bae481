import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FaceLandmarks, Point } from '../../src/common/face-landmarks.js';
import { PersonBootstrap } from '../../src/evaluation/comparison/person-bootstrap.js';
import { personMean } from '../../src/evaluation/comparison/person-means.js';
import {
  binOf,
  blackened,
  drawEvenly,
  eyeDistance,
  FACE_BINS,
  outsideOf,
  psnrInside,
  shareOf,
  turnOf,
} from '../../src/evaluation/quality/face-bins.js';
import { joinedBorder, smoothlyContinued } from '../../src/evaluation/quality/fill-border.js';

/** Five points in space: x to the right, y down, z towards the camera. The nose is as far in front as an eye is from the middle. */
const HEAD: readonly (readonly [number, number, number])[] = [
  [-30, 0, 0],
  [30, 0, 0],
  [0, 35, 30],
  [-25, 70, 0],
  [25, 70, 0],
];

/** The points as a camera far away sees them: turned to the side, then nodded, then tilted, then enlarged; all in degrees. */
function seen(turn: number, nod = 0, tilt = 0, scale = 1): FaceLandmarks {
  const rotate = (a: number, b: number, degrees: number): [number, number] => {
    const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    return [c * a - s * b, s * a + c * b];
  };
  return HEAD.map(([x0, y0, z0]): Point => {
    const [z1, x1] = rotate(z0, x0, turn);
    const [y2] = rotate(y0, z1, nod);
    const [x, y] = rotate(x1, y2, tilt);
    return [100 + scale * x, 80 + scale * y];
  }) as unknown as FaceLandmarks;
}

test('the turn of a head of known turn, to either side, tilted, nodding and of any size', () => {
  for (const turn of [0, 10, 30, 45, 60, 80, 90]) {
    for (const [nod, tilt, scale] of [
      [0, 0, 1],
      [0, 25, 0.4],
      [20, 0, 3],
      [-15, -40, 1],
    ]) {
      for (const side of [1, -1]) {
        const found = turnOf(seen(side * turn, nod, tilt, scale));
        assert.ok(Math.abs(found - turn) < 1e-4, `${turn}° by ${nod}, ${tilt}, ${scale}: ${found}`);
      }
    }
  }
});

test('with the far eye beyond the near one, a face is turned by 90°', () => {
  const [left, right, ...rest] = seen(85);
  assert.is(turnOf([right, left, ...rest] as unknown as FaceLandmarks), 90);
});

test('distance between the eyes', () => {
  assert.ok(Math.abs(eyeDistance(seen(0, 0, 30, 0.5)) - 30) < 1e-9);
});

test('share outside of a picture, for crops at known places', () => {
  const shifted = (tx: number, ty: number, a = 1, width = 96, height = 112) =>
    outsideOf({ a, b: 0, tx, ty }, { width, height });
  assert.is(shareOf(shifted(0, 0)), 0);
  assert.is(shareOf(shifted(24, 0)), 0.25, 'a quarter of the columns');
  assert.is(shareOf(shifted(0, -56)), 0.5, 'half of the rows');
  assert.is(shareOf(shifted(48, 56)), 0.75, 'a corner');
  assert.is(shareOf(shifted(0, 0, 1, 72)), 0.25, 'a narrow picture');
  assert.is(shareOf(shifted(0.5, 0.5, 2, 24, 112)), 0.5, 'a picture enlarged twice');
  assert.is(shareOf(shifted(1000, 0)), 1);
  const left = shifted(24, 0);
  assert.equal([left[0], left[23], left[24], left[96 + 23], left[96 + 24]], [1, 1, 0, 1, 0]);
  // A quarter turn: the crop's rows are the picture's columns.
  assert.is(shareOf(outsideOf({ a: 0, b: 1, tx: 95, ty: 0 }, { width: 112, height: 96 })), 0);
});

test('black outside, and PSNR inside', () => {
  const outside = outsideOf({ a: 1, b: 0, tx: 48, ty: 0 }, { width: 96, height: 112 });
  const face = new Uint8Array(96 * 112 * 3).fill(100);
  const black = blackened(face, outside);
  assert.equal([black[0], black[3 * 47 + 2], black[3 * 48]], [0, 0, 100]);
  assert.is(blackened(face, new Uint8Array(96 * 112)), face);
  assert.is(psnrInside(face, black, outside), Number.POSITIVE_INFINITY);
  const other = black.map((value) => value + 10);
  assert.ok(Math.abs(psnrInside(face, other, outside) - 20 * Math.log10(25.5)) < 1e-9);
  assert.ok(Number.isNaN(psnrInside(face, black, outside.fill(1))));
});

test('a smooth continuation: columns like their neighbours, unchanged inside', () => {
  const outside = outsideOf({ a: 1, b: 0, tx: 12, ty: 0 }, { width: 72, height: 112 });
  // Outside are columns 0 to 11 and 84 to 95; each takes the colour of the column beside it.
  const face = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => 2 * (Math.floor(i / 3) % 96));
  const filled = smoothlyContinued(face, outside);
  const row = [...filled.subarray(0, 96 * 3)].filter((_, i) => i % 3 === 0);
  const expected = Array.from({ length: 96 }, (_, x) => 2 * Math.max(12, Math.min(83, x)));
  row.forEach((value, x) => {
    assert.ok(Math.abs(value - expected[x]) <= 1, `column ${x}: ${value}`);
  });
  assert.equal(joinedBorder(face, filled, outside), filled);
  const nothing = new Uint8Array(96 * 112);
  assert.is(smoothlyContinued(face, nothing), face);
  assert.is(
    smoothlyContinued(
      face,
      nothing.map(() => 1),
    ),
    face,
  );
});

test('bins: a limit belongs to the bin above it', () => {
  assert.equal(
    [0, 14.9, 15, 44, 60, 90].map((value) => binOf('turn', value)),
    [0, 0, 1, 2, 4, 4],
  );
  assert.equal(
    [0, 1e-4, 0.05, 0.199, 0.2, 1].map((value) => binOf('border', value)),
    [0, 1, 2, 2, 3, 3],
  );
  for (const { limits, names } of Object.values(FACE_BINS)) assert.is(names.length, limits.length + 1);
});

test('faces are drawn evenly over groups, the same for the same seed', () => {
  const items = Array.from({ length: 100 }, (_, k) => k);
  const groupOf = (k: number): string => (k < 90 ? 'many' : k < 97 ? 'some' : 'few');
  const drawn = drawEvenly(items, groupOf, 30, 1);
  assert.equal(drawn, drawEvenly(items, groupOf, 30, 1));
  assert.not.equal(drawn, drawEvenly(items, groupOf, 30, 2));
  assert.is(drawn.length, 30);
  assert.is(drawn.filter((k) => groupOf(k) === 'few').length, 3);
  assert.is(drawn.filter((k) => groupOf(k) === 'some').length, 7);
  assert.equal(
    drawn,
    drawn.slice().sort((a, b) => a - b),
  );
  assert.equal(drawEvenly(items, groupOf, 1000, 1), items);
});

test('the interval of a mean is that of persons, not of faces', () => {
  const persons = Array.from({ length: 400 }, (_, k) => `person ${k % 20}`);
  const bootstrap = new PersonBootstrap(persons);
  // All faces of a person are alike: 20 values, not 400.
  const {
    mean,
    faces,
    persons: count,
    interval,
  } = personMean(
    persons.map((_, k) => k % 20),
    persons,
    bootstrap,
  );
  assert.equal([mean, faces, count], [9.5, 400, 20]);
  const expected = 1.96 * Math.sqrt(33.25 / 20);
  assert.ok(Math.abs(interval!.high - mean - expected) < 0.6 && Math.abs(mean - interval!.low - expected) < 0.6);
  assert.is(personMean([1, 2], ['person 0', 'person 1'], bootstrap).interval, null);
});

test.run();
