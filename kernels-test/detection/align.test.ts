import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { type RgbImage, readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import sharp from '../../src/data/pictures/sharp.js';
import {
  alignFace,
  alignmentTransform,
  applySimilarity,
  FACE_TEMPLATE,
  type FaceLandmarks,
  fitResidual,
  fitSimilarity,
  type Point,
  type Similarity,
} from '../../src/detection/align.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS, testWithData } from '../helpers/data-available.js';
import { rejection } from '../helpers/rejection.js';

function similarity(scale: number, angle: number, tx: number, ty: number): Similarity {
  return { a: scale * Math.cos(angle), b: scale * Math.sin(angle), tx, ty };
}

function mapped(transform: Similarity, points: readonly Point[]): FaceLandmarks {
  return points.map((point) => applySimilarity(transform, point)) as unknown as FaceLandmarks;
}

/** A picture whose values are a function of the position in pixels. */
function paint(width: number, height: number, colour: (x: number, y: number) => number[]): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(colour(x, y), (y * width + x) * 3);
  }
  return { width, height, data };
}

test('a known similarity transform is recovered to far below 0.01 pixels', () => {
  const random = new CounterRandom(11);
  for (let trial = 0; trial < 200; trial++) {
    const truth = similarity(
      0.2 + 8 * random.uniform(),
      2 * Math.PI * random.uniform(),
      3000 * (random.uniform() - 0.5),
      3000 * (random.uniform() - 0.5),
    );
    const found = alignmentTransform(mapped(truth, FACE_TEMPLATE));
    // Transformed back, every corner of the crop must be in its place.
    for (const corner of [
      [0, 0],
      [95, 0],
      [0, 111],
      [95, 111],
    ] as Point[]) {
      const [x, y] = applySimilarity(found, applySimilarity(truth, corner));
      assert.ok(Math.hypot(x - corner[0], y - corner[1]) < 1e-6, `${corner} → ${x}, ${y}`);
    }
  }
});

test('the fit is the best of all similarity transforms, also for noisy points', () => {
  const random = new CounterRandom(12);
  for (let trial = 0; trial < 20; trial++) {
    const noisy = FACE_TEMPLATE.map(([x, y]): Point => [2 * x + 9 * random.normal(), 2 * y + 9 * random.normal()]);
    const best = fitSimilarity(noisy, FACE_TEMPLATE);
    const residual = fitResidual(best, noisy, FACE_TEMPLATE);
    for (const key of ['a', 'b', 'tx', 'ty'] as const) {
      for (const step of [-1e-3, 1e-3]) {
        const other = fitResidual({ ...best, [key]: best[key] + step }, noisy, FACE_TEMPLATE);
        assert.ok(other > residual, `changing ${key} by ${step} gives ${other}, not above ${residual}`);
      }
    }
  }
});

test('an aligned crop has the values of the picture at the right places', () => {
  // Colours are linear in the position, which bilinear sampling reproduces exactly (to rounding).
  const wave = (x: number, y: number): number[] => [x / 2, y / 2, (x + y) / 4];
  const photo = paint(500, 480, wave);
  const truth = similarity(1.3, 0.4, 160, 60);
  for (const [size, margin] of [
    ['96x112', 0],
    ['112x112', 8],
  ] as const) {
    const crop = alignFace(photo, mapped(truth, FACE_TEMPLATE), size);
    assert.equal([crop.width, crop.height], [96 + 2 * margin, 112]);
    for (let y = 0; y < crop.height; y++) {
      for (let x = 0; x < crop.width; x++) {
        const expected = wave(...applySimilarity(truth, [x - margin, y]));
        for (let c = 0; c < 3; c++) {
          const actual = crop.data[(y * crop.width + x) * 3 + c];
          assert.ok(Math.abs(actual - expected[c]) <= 1.5, `(${x}, ${y}, ${c}): ${actual}, not ${expected[c]}`);
        }
      }
    }
  }
});

test('at scale 1 and an integer shift, the crop has exactly the pixels of the picture', () => {
  const random = new CounterRandom(13);
  const photo = paint(150, 160, () => [random.int(256), random.int(256), random.int(256)]);
  const crop = alignFace(photo, mapped(similarity(1, 0, 20, 30), FACE_TEMPLATE));
  for (let y = 0; y < 112; y++) {
    const from = ((y + 30) * 150 + 20) * 3;
    assert.equal(crop.data.slice(y * 96 * 3, (y + 1) * 96 * 3), photo.data.slice(from, from + 96 * 3));
  }
});

test('a much larger face is averaged down, not sampled at single pixels', () => {
  // A chessboard of single pixels has the mean 128; single samples would give anything from 0 to 255.
  const photo = paint(800, 900, (x, y) => new Array(3).fill((x + y) % 2 ? 255 : 0));
  const crop = alignFace(photo, mapped(similarity(6.4, 0.1, 80, 60), FACE_TEMPLATE));
  for (const v of crop.data) assert.ok(Math.abs(v - 127.5) < 40, `a pixel of ${v}`);
});

test('patterns that are finer than the crop can show become grey, at any factor', () => {
  for (const factor of [2.4, 3.9, 6.3, 11.4]) {
    const [width, height] = [Math.ceil(110 * factor), Math.ceil(120 * factor)];
    for (let period = 2; period < 1.7 * factor; period += 0.37 * factor) {
      const photo = paint(width, height, (x) => new Array(3).fill(127.5 + 127 * Math.cos((2 * Math.PI * x) / period)));
      const crop = alignFace(photo, mapped(similarity(factor, 0, 5 * factor, 3 * factor), FACE_TEMPLATE));
      const row = [...crop.data.subarray(50 * 288, 51 * 288)];
      const spread = Math.sqrt(row.reduce((sum, value) => sum + (value - 127.5) ** 2, 0) / row.length);
      // A pattern that the crop can show has a spread of 90.
      assert.ok(spread < 33, `factor ${factor}, period ${period.toFixed(2)}: ${spread}`);
    }
  }
});

test('a picture that is enlarged 4 times gives the same crops as the original', async () => {
  let worst = 0;
  for (const [name, list] of await readLandmarks(DEMO_LANDMARKS)) {
    const photo = await readImage(join(DEMO_PHOTOS, name));
    for (const landmarks of list) {
      // The face has only as much around it as its crop may show, because the whole photograph would take seconds. The part begins where
      // averaged areas begin in the whole photograph.
      const eyes = Math.hypot(landmarks[1][0] - landmarks[0][0], landmarks[1][1] - landmarks[0][1]);
      const [left, top] = [0, 1].map((k) =>
        Math.max(0, 16 * Math.floor((Math.min(...landmarks.map((at) => at[k])) - 3 * eyes) / 16)),
      );
      const [right, bottom] = [photo.width, photo.height].map((size, k) =>
        Math.min(size, Math.ceil(Math.max(...landmarks.map((at) => at[k])) + 3 * eyes)),
      );
      const [width, height] = [right - left, bottom - top];
      const part = sharp(photo.data, { raw: { width: photo.width, height: photo.height, channels: 3 } });
      const around = await part.extract({ left, top, width, height }).raw().toBuffer();
      const cubic = sharp(around, { raw: { width, height, channels: 3 } }).resize(4 * width, 4 * height, {
        kernel: 'cubic',
      });
      const enlarged = { width: 4 * width, height: 4 * height, data: new Uint8Array(await cubic.raw().toBuffer()) };
      const larger = landmarks.map(([x, y]): Point => [(x - left + 0.5) * 4 - 0.5, (y - top + 0.5) * 4 - 0.5]);
      const expected = alignFace(photo, landmarks).data;
      const actual = alignFace(enlarged, larger as unknown as FaceLandmarks).data;
      const squares = expected.reduce((sum, value, i) => sum + (value - actual[i]) ** 2, 0);
      worst = Math.max(worst, Math.sqrt(squares / expected.length));
    }
  }
  assert.ok(worst < 1.5, `off by ${worst} levels, r.m.s.`);
});

test('large factors sample at the same places as small ones, also at the border', () => {
  // Means and interpolation reproduce linear colours exactly, so each pixel of the crop shows where it was sampled.
  const colour = (x: number, y: number): number[] => [x / 8, y / 8, (x + y) / 16];
  const photo = paint(1600, 1500, colour);
  for (const truth of [
    similarity(4.4, 0.3, 500, 200),
    similarity(9.3, -0.2, 300, 300),
    similarity(2.1, 2.5, 900, 700),
  ]) {
    const crop = alignFace(photo, mapped(truth, FACE_TEMPLATE));
    for (let y = 0; y < crop.height; y++) {
      for (let x = 0; x < crop.width; x++) {
        const [px, py] = applySimilarity(truth, [x, y]);
        if (Math.min(px, py) < 20 || px > 1580 || py > 1480) continue;
        const expected = colour(px, py);
        for (let c = 0; c < 3; c++) {
          const actual = crop.data[(y * crop.width + x) * 3 + c];
          assert.ok(Math.abs(actual - expected[c]) <= 1.5, `(${x}, ${y}, ${c}): ${actual}, not ${expected[c]}`);
        }
      }
    }
  }
  // Outside of the picture, a large factor shows the same mirror image.
  const wide = similarity(8, 0, -200, -160);
  const crop = alignFace(photo, mapped(wide, FACE_TEMPLATE));
  for (let y = 0; y < 112; y += 3) {
    for (let x = 0; x < 96; x += 3) {
      const expected = colour(Math.abs(8 * x - 200), Math.abs(8 * y - 160));
      for (let c = 0; c < 3; c++) {
        const actual = crop.data[(y * 96 + x) * 3 + c];
        assert.ok(Math.abs(actual - expected[c]) <= 2, `(${x}, ${y}, ${c}): ${actual}, not ${expected[c]}`);
      }
    }
  }
});

test('outside of its border the picture is continued by its mirror image', () => {
  const photo = paint(150, 160, (x, y) => [x, y, 0]);
  const crop = alignFace(photo, mapped(similarity(1, 0, -30, -10), FACE_TEMPLATE));
  const mirror = (i: number): number => Math.abs(i);
  for (let y = 0; y < 112; y++) {
    for (let x = 0; x < 96; x++) {
      assert.equal([...crop.data.slice((y * 96 + x) * 3).slice(0, 2)], [mirror(x - 30), mirror(y - 10)]);
    }
  }
  // Far outside, the mirror images repeat.
  const small = paint(8, 9, (x, y) => [x * 30, y * 25, 7]);
  const around = alignFace(small, mapped(similarity(0.05, 0, 1, 1), FACE_TEMPLATE));
  assert.is(around.data.length, 96 * 112 * 3);
  assert.ok(around.data.every((v, i) => i % 3 !== 2 || v === 7));
});

test('landmarks that cannot be those of a face are refused', async () => {
  const photo = paint(200, 200, () => [9, 9, 9]);
  const [leftEye, rightEye, nose, leftMouth, rightMouth] = mapped(similarity(1, 0, 40, 40), FACE_TEMPLATE);
  const good = [leftEye, rightEye, nose, leftMouth, rightMouth];
  const line = [0, 1, 2, 3, 4].map((i): Point => [20 + 30 * i, 10 + 20 * i]);
  const far = good.map(([x, y]): Point => [x + 2000, y]);
  const cases: [unknown, RegExp][] = [
    [good.slice(0, 4), /expected five points/],
    ['nose', /expected five points/],
    [[leftEye, rightEye, [Number.NaN, 3], leftMouth, rightMouth], /the nose is \[null,3\]/],
    [[leftEye, rightEye, nose, leftMouth, [4, Infinity]], /the right mouth corner/],
    [[leftEye, rightEye, nose, leftMouth, [4]], /the right mouth corner is \[4\]; expected \[x, y\]/],
    [new Array(5).fill([70, 80]), /within one pixel/],
    [line, /on one line/],
    [line.map(([x]) => [x, 50]), /on one line/],
    [far, /the left eye at \(.*\) is far outside the picture of 200×200/],
    [[rightEye, leftEye, nose, leftMouth, rightMouth], /expected the order left eye, right eye/],
    [[rightEye, leftEye, nose, rightMouth, leftMouth], /left and right as seen in the picture/],
    [[leftEye, rightEye, nose, leftMouth, [2, 190]], /pixels \(r.m.s., in the crop\) from the proportions of a face/],
  ];
  for (const [landmarks, reason] of cases) {
    const error = await rejection(() => alignFace(photo, landmarks as FaceLandmarks), ArgumentError);
    assert.match(error.message, reason);
  }
  assert.is(alignFace(photo, good as unknown as FaceLandmarks).width, 96);
});

test('fitSimilarity refuses sets that do not fit together', async () => {
  const two: Point[] = [
    [0, 0],
    [1, 1],
  ];
  await rejection(() => fitSimilarity(two, FACE_TEMPLATE), ArgumentError);
  await rejection(() => fitSimilarity([[0, 0]], [[1, 1]]), ArgumentError);
  await rejection(
    () =>
      fitSimilarity(
        [
          [3, 3],
          [3, 3],
        ],
        two,
      ),
    ArgumentError,
  );
  await rejection(
    () =>
      fitSimilarity(two, [
        [0, 0],
        [Number.NaN, 1],
      ]),
    ArgumentError,
  );
});

test('every listed face of the demo photographs can be aligned with a small residual', async () => {
  const photos = await readLandmarks(DEMO_LANDMARKS);
  let faces = 0;
  for (const [name, list] of photos) {
    const photo = await readImage(join(DEMO_PHOTOS, name));
    for (const landmarks of list) {
      const [left, right] = landmarks;
      assert.ok(Math.hypot(right[0] - left[0], right[1] - left[1]) >= 18, `${name}: a face too small`);
      assert.ok(
        landmarks.every(([x, y]) => x > 0 && y > 0 && x < photo.width && y < photo.height),
        `${name}: a landmark outside`,
      );
      const residual = fitResidual(alignmentTransform(landmarks), landmarks, FACE_TEMPLATE);
      assert.ok(residual < 7, `${name}: residual ${residual}`);
      assert.is(alignFace(photo, landmarks).data.length, 96 * 112 * 3);
      faces++;
    }
  }
  assert.is(photos.size, 6);
  assert.is(faces, 20);
});

testWithData('golden', 'LFW faces align to the pixels that an independent program gives', async (golden) => {
  const lfw = join(golden, '../lfw');
  const names: string[] = JSON.parse(await readFile(join(golden, 'reference_embeddings.json'), 'utf8')).images;
  const lines = (await readFile(join(lfw, 'landmarks.txt'), 'utf8')).split('\n').map((line) => line.split('\t'));
  for (const [size, width] of [
    ['96x112', 96],
    ['112x112', 112],
  ] as const) {
    const reference = await readFile(join(golden, `reference_rgb_u8_4x112x${width}x3.bin`));
    for (const [i, name] of names.entries()) {
      const numbers = lines
        .find(([path]) => path === name)!
        .slice(1)
        .map(Number);
      const landmarks = [0, 2, 4, 6, 8].map((k): Point => [numbers[k], numbers[k + 1]]);
      const photo = await readImage(join(lfw, 'images', name));
      const { data } = alignFace(photo, landmarks as unknown as FaceLandmarks, size);
      const expected = reference.subarray(i * data.length, (i + 1) * data.length);
      const differences = data.map((v, k) => Math.abs(v - expected[k]));
      // That program interpolates with weights of 5 bits, so the pixels are not exactly equal.
      assert.ok(
        differences.every((d) => d <= 3),
        `${name}: differs by up to ${Math.max(...differences)} levels`,
      );
      const mean = differences.reduce((sum, d) => sum + d, 0) / data.length;
      assert.ok(mean < 0.2, `${name}: differs by ${mean} levels on average`);
      const snapped = alignFace(photo, landmarks as unknown as FaceLandmarks, size, { subpixels: 32 }).data;
      const equal = snapped.filter((v, k) => v === expected[k]).length / snapped.length;
      assert.ok(equal > 0.99, `${name}: with weights of 5 bits ${(100 * equal).toFixed(2)} % of the samples are equal`);
    }
  }
});

test.run();
