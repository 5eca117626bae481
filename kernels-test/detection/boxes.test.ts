import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { reducePicture } from '../../src/common/reduce-picture.js';
import {
  BoxGrid,
  bestFirst,
  type Candidate,
  moveSides,
  overlap,
  squareAround,
  suppressOverlaps,
} from '../../src/detection/boxes.js';

const box = (left: number, top: number, right: number, bottom: number, score = 0): Candidate => ({
  left,
  top,
  right,
  bottom,
  score,
});

test('overlap is the common area over the area of the union, or of the smaller box', () => {
  assert.is(overlap(box(0, 0, 4, 4), box(2, 0, 6, 4)), 8 / 24);
  assert.is(overlap(box(0, 0, 4, 4), box(1, 1, 3, 3)), 4 / 16);
  assert.is(overlap(box(0, 0, 4, 4), box(1, 1, 3, 3), 'min'), 1);
  assert.is(overlap(box(0, 0, 4, 4), box(4, 0, 8, 4)), 0, 'they touch');
  assert.is(overlap(box(0, 0, 4, 4), box(9, 9, 12, 12)), 0, 'apart along both axes');
  assert.is(overlap(box(-1, -2, 4, 4), box(-1, -2, 4, 4)), 1);
});

test('the best box suppresses those that overlap it, and a suppressed box suppresses none', () => {
  const chain = [box(0, 0, 10, 10, 0.7), box(3, 0, 13, 10, 0.8), box(6, 0, 16, 10, 0.6), box(40, 0, 50, 10, 0.1)];
  // Neighbours overlap by 7/13; the first and the third by 4/16 only.
  assert.equal(
    suppressOverlaps(chain, 0.5).map(({ score }) => score),
    [0.8, 0.1],
  );
  const other = [box(0, 0, 10, 10, 0.9), box(3, 0, 13, 10, 0.8), box(6, 0, 16, 10, 0.6)];
  assert.equal(
    suppressOverlaps(other, 0.5).map(({ score }) => score),
    [0.9, 0.6],
  );
  assert.is(suppressOverlaps(other, 0.6).length, 3);
  // A small box in a large one has little of their union, but all of the smaller box.
  const nested = [box(0, 0, 30, 30, 0.9), box(5, 5, 15, 15, 0.8)];
  assert.is(suppressOverlaps(nested, 0.7).length, 2);
  assert.is(suppressOverlaps(nested, 0.7, 'min').length, 1);
});

test('boxes that are kept overlap by at most the limit, and each dropped box overlaps a better one that is kept', () => {
  const random = new CounterRandom(5);
  const many = Array.from({ length: 300 }, () => {
    const [x, y] = [80 * random.uniform(), 80 * random.uniform()];
    return box(x, y, x + 5 + 20 * random.uniform(), y + 5 + 20 * random.uniform(), random.uniform());
  });
  for (const over of ['union', 'min'] as const) {
    const kept = suppressOverlaps(many, 0.4, over);
    assert.ok(kept.length > 5 && kept.length < 250, `${kept.length} kept`);
    for (const candidate of many) {
      const better = kept.filter((other) => other.score > candidate.score && overlap(candidate, other, over) > 0.4);
      assert.is(kept.includes(candidate), better.length === 0);
    }
    assert.equal(kept, bestFirst(kept));
  }
  assert.equal(bestFirst(many, 3), bestFirst(many).slice(0, 3));
});

test('a grid finds the first of all boxes that passes, and tests few of them', () => {
  const random = new CounterRandom(8);
  const invented = (): Candidate => {
    const [x, y] = [4000 * random.uniform(), 3000 * random.uniform()];
    // One in twenty is as large as the picture, or larger.
    const size = random.uniform() < 0.05 ? 9000 * random.uniform() : 10 + 50 * random.uniform();
    return box(x - size / 2, y - size, x + size, y + size / 3, random.uniform());
  };
  const [first, asked] = [300, 2000].map((length) => Array.from({ length }, invented));
  for (const expected of [first, first.slice(0, 2), []]) {
    const grid = new BoxGrid<Candidate>(expected);
    for (const candidate of first) grid.add(candidate);
    assert.is(grid.all.length, first.length);
    for (const candidate of asked) {
      const passes = (other: Candidate): boolean => overlap(candidate, other) > 0.05;
      assert.is(grid.first(candidate, passes), first.find(passes));
    }
  }
  const many = Array.from({ length: 20_000 }, (_, k) =>
    box(24 * (k % 200), 24 * Math.floor(k / 200), 24 * (k % 200) + 20, 24 * Math.floor(k / 200) + 20),
  );
  const grid = new BoxGrid<Candidate>(many);
  let looks = 0;
  for (const candidate of many) {
    assert.is(
      grid.first(candidate, (other) => ++looks > 0 && overlap(candidate, other) > 0),
      undefined,
    );
    grid.add(candidate);
  }
  assert.ok(looks < 30 * many.length, `${looks} looks for ${many.length} boxes`);
});

test('sides move by parts of the size, and squares keep the centre', () => {
  const moved = moveSides(box(10, 20, 30, 60), [0.1, -0.25, 0.5, 0]);
  assert.equal(moved, { left: 12, top: 10, right: 40, bottom: 60 });
  assert.equal(squareAround(box(10, 20, 30, 60)), { left: 0, top: 20, right: 40, bottom: 60 });
  assert.equal(squareAround(box(0, 0, 8, 2)), { left: 0, top: -3, right: 8, bottom: 5 });
});

test('a picture is reduced to means of blocks, which are smaller at the border', () => {
  const random = new CounterRandom(6);
  const [width, height, factor] = [11, 7, 3];
  const data = Uint8Array.from({ length: width * height * 3 }, () => random.int(256));
  const small = reducePicture({ width, height, data }, factor);
  assert.equal([small.width, small.height], [4, 3]);
  for (let i = 0; i < small.data.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % 4, Math.floor(i / 12)];
    const block: number[] = [];
    for (let row = y * factor; row < Math.min((y + 1) * factor, height); row++) {
      for (let column = x * factor; column < Math.min((x + 1) * factor, width); column++) {
        block.push(data[(row * width + column) * 3 + c]);
      }
    }
    const mean = block.reduce((sum, value) => sum + value, 0) / block.length;
    assert.is(small.data[i], Math.round(mean), `(${x}, ${y}, ${c})`);
  }
  const window = { left: 2, top: 1, width: 7, height: 5 };
  const part = new Uint8Array(7 * 5 * 3);
  for (let row = 0; row < 5; row++) part.set(data.subarray(((row + 1) * width + 2) * 3).subarray(0, 21), row * 21);
  assert.equal(
    reducePicture({ width, height, data }, 2, window),
    reducePicture({ width: 7, height: 5, data: part }, 2),
  );
  const same = { width, height, data };
  assert.is(reducePicture(same, 1), same);
});

test.run();
