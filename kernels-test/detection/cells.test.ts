import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { cellMaps, countCells, type FoundFace, facesOfCells, mergeFaces } from '../../src/detection/cells.js';
import { CELL_VALUES } from '../../src/models/single-shot.js';

/** Values of the cells of a picture, all of which report no face. */
const noFaces = (width: number, height: number): Float32Array => {
  const values = new Float32Array(countCells(width, height) * CELL_VALUES);
  for (let at = 0; at < values.length; at += CELL_VALUES) values[at] = -9;
  return values;
};

const close = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-4, `${actual}, not ${expected}`);

test('the maps of a picture are stored one after the other', () => {
  assert.equal(cellMaps(96, 64), [
    { stride: 8, columns: 12, rows: 8, first: 0 },
    { stride: 16, columns: 6, rows: 4, first: 96 },
    { stride: 32, columns: 3, rows: 2, first: 120 },
  ]);
  assert.is(countCells(96, 64), 126);
});

test('a cell gives score, box and landmarks relative to its centre, in units of its stride', () => {
  const values = noFaces(96, 64);
  // The cell in row 1, column 2 of the second map has its centre at (40, 24).
  const at = (96 + 8) * CELL_VALUES;
  values.set([2, 0.5, -0.25, Math.log(3), Math.log(4), -1, -1, 1, -1, 0, 0, -0.5, 1, 0.5, 1], at);
  const faces = facesOfCells(values, 96, 64, 0.5);
  assert.is(faces.length, 1);
  const [{ score, left, top, right, bottom, landmarks }] = faces;
  close(score, 1 / (1 + Math.exp(-2)));
  [left, top, right, bottom].forEach((side, k) => {
    close(side, [48 - 24, 20 - 32, 48 + 24, 20 + 32][k]);
  });
  const expected = [24, 8, 56, 8, 40, 24, 32, 40, 48, 40].map((value) => value - 0.5);
  landmarks.flat().forEach((value, k) => {
    close(value, expected[k]);
  });
  assert.is(facesOfCells(values, 96, 64, 0.9).length, 0, 'a score of 0.88 is below 0.9');
  assert.is(facesOfCells(values, 96, 64, 0).length, 126, 'every score is at least 0');
  values[at] = Number.NaN;
  assert.is(facesOfCells(values, 96, 64, 0).length, 125, 'no number is no face');
  values[at] = 2;
  values[at + 1] = Number.POSITIVE_INFINITY;
  assert.is(facesOfCells(values, 96, 64, 0).length, 125, 'a box nowhere is no face');
});

const face = (left: number, top: number, side: number, score: number): FoundFace => {
  const landmarks = [0.3, 0.7, 0.5, 0.35, 0.65].map((x, k) => [left + x * side, top + (k < 2 ? 0.4 : 0.7) * side]);
  return { left, top, right: left + side, bottom: top + side, score, landmarks: landmarks as never };
};

test('several cells that report one face become one face, at the average of the confident cells', () => {
  const merged = mergeFaces([face(60, 0, 10, 0.4), face(0, 0, 40, 0.8), face(2, 4, 40, 0.8), face(8, 0, 40, 0.3)]);
  assert.is(merged.length, 2);
  const [best, other] = merged;
  assert.is(best.score, 0.8);
  [best.left, best.top, best.right, best.bottom].forEach((side, k) => {
    close(side, [1, 2, 41, 42][k]);
  });
  close(best.landmarks[0][0], 13);
  close(best.landmarks[0][1], 18);
  assert.is(other.score, 0.4);
});

test('a part of a face does not count as another face, and a limit keeps the best faces', () => {
  assert.is(mergeFaces([face(0, 0, 40, 0.9), face(10, 10, 12, 0.8)]).length, 1);
  const row = Array.from({ length: 9 }, (_, k) => face(50 * k, 0, 40, 0.5 + 0.05 * k));
  assert.equal(
    mergeFaces(row, 2).map(({ left }) => Math.round(left)),
    [400, 350],
  );
  assert.equal(mergeFaces([]), []);
});

test('thousands of faces, each reported by several cells, are counted correctly', () => {
  const random = new CounterRandom(9);
  const [across, down, cells] = [60, 50, 12];
  const seen = Array.from({ length: across * down * cells }, (_, k): FoundFace => {
    const [x, y] = [k % across, Math.floor(k / across) % down];
    const near = (): number => 3 * random.uniform();
    return face(40 * x + near(), 40 * y + near(), 30, 0.75 + 0.25 * random.uniform());
  });
  const merged = mergeFaces(seen);
  assert.is(merged.length, across * down);
  assert.is(
    new Set(merged.map(({ left, top }) => `${Math.floor(left / 40)} ${Math.floor(top / 40)}`)).size,
    across * down,
  );
  assert.equal(mergeFaces(seen, 700), merged.slice(0, 700), 'the best ones');
});

test.run();
