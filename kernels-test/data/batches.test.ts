import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import {
  assembleBatch,
  type BatchPlan,
  FaceBatches,
  type FaceBatchesOptions,
  NO_AUGMENTATION,
  sourceWeights,
} from '../../src/data/faces/batches.js';
import type { FaceEntry } from '../../src/data/faces/face-listing.js';
import { FACE_BYTES, openFaceFolder } from '../../src/data/faces/face-set.js';
import { plainFolder } from '../helpers/face-folder-fixture.js';
import { rejection } from '../helpers/rejection.js';

const folder = await mkdtemp(join(tmpdir(), 'cameo-batches-'));
test.after(() => rm(folder, { recursive: true, force: true }));

const OPTIONS: FaceBatchesOptions = { count: 53, batchSize: 8, seed: 42 };

test('a batch depends on seed and step alone', () => {
  const forward = new FaceBatches(OPTIONS);
  const plans = Array.from({ length: 40 }, (_, step) => forward.plan(step));
  // One object starts in the middle, and one is asked for steps in reverse order.
  const resumed = new FaceBatches(OPTIONS);
  for (let step = 25; step < 40; step++) assert.equal(resumed.plan(step), plans[step]);
  const backward = new FaceBatches(OPTIONS);
  for (let step = 39; step >= 0; step--) assert.equal(backward.plan(step), plans[step]);
  assert.equal(new FaceBatches(OPTIONS).plan(10 ** 9), new FaceBatches(OPTIONS).plan(10 ** 9));
  const other = new FaceBatches({ ...OPTIONS, seed: 43 });
  for (const key of ['indices', 'flip', 'dx', 'brightness'] as const) {
    assert.not.equal(other.plan(0)[key], plans[0][key], `${key} of another seed`);
    assert.not.equal(plans[1][key], plans[0][key], `${key} of another step`);
  }
});

test('every epoch has each face once, in a different order', () => {
  const batches = new FaceBatches(OPTIONS);
  const drawn: number[] = [];
  for (let step = 0; drawn.length < 53 * 4; step++) {
    const plan = batches.plan(step);
    assert.is(plan.epoch, Math.floor((step * 8) / 53));
    drawn.push(...plan.indices);
  }
  const epochs = [0, 1, 2, 3].map((e) => drawn.slice(e * 53, (e + 1) * 53));
  for (const epoch of epochs) {
    assert.equal(
      [...epoch].sort((a, b) => a - b),
      Array.from({ length: 53 }, (_, i) => i),
    );
  }
  assert.not.equal(epochs[0], epochs[1]);
  assert.not.equal(epochs[1], epochs[2]);
  // A batch that is larger than the set has its faces more than once.
  const large = new FaceBatches({ count: 3, batchSize: 9, seed: 1 }).plan(0);
  assert.equal([...large.indices].sort(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
});

test('augmentations use their whole ranges, stay within them, and can be switched off one by one', () => {
  const draw = (augment: FaceBatchesOptions['augment']): BatchPlan =>
    new FaceBatches({ count: 10, batchSize: 4000, seed: 5, augment }).plan(3);
  const plan = draw({ shift: 2, brightness: 0.1, contrast: 0.2 });
  const flips = plan.flip.filter(Boolean).length;
  assert.ok(Math.abs(flips - 2000) < 160, `${flips} of 4000 are mirrored`);
  for (const shifts of [plan.dx, plan.dy]) {
    for (const value of [-2, -1, 0, 1, 2]) {
      const times = shifts.filter((s) => s === value).length;
      assert.ok(Math.abs(times - 800) < 130, `shift ${value} comes ${times} times of 4000`);
    }
  }
  assert.ok(Math.min(...plan.brightness) < -0.095 && Math.min(...plan.brightness) >= -0.1);
  assert.ok(Math.max(...plan.brightness) > 0.095 && Math.max(...plan.brightness) <= 0.1);
  assert.ok(Math.min(...plan.contrast) < 0.81 && Math.min(...plan.contrast) >= 0.8);
  assert.ok(Math.max(...plan.contrast) > 1.19 && Math.max(...plan.contrast) <= 1.2);
  const still = draw({ flip: false, shift: 0, brightness: 0.1, contrast: 0 });
  assert.ok(still.flip.every((f) => !f) && still.dx.every((d) => d === 0) && still.contrast.every((c) => c === 1));
  assert.equal(still.brightness, plan.brightness);
});

test('assembleBatch mirrors, shifts with repeated edges, brightens, and raises the contrast', () => {
  const face = Uint8Array.from({ length: FACE_BYTES }, (_, i) => (i * 7 + (i >> 8)) % 256);
  const at = (y: number, x: number, c: number): number => face[(y * 96 + x) * 3 + c];
  const plan = (flip: boolean, dx: number, dy: number, brightness: number, contrast: number): BatchPlan => ({
    step: 0,
    epoch: 0,
    indices: new Uint32Array(2),
    flip: [false, flip],
    dx: Int32Array.of(0, dx),
    dy: Int32Array.of(0, dy),
    brightness: Float64Array.of(0, brightness),
    contrast: Float64Array.of(1, contrast),
    angle: new Float64Array(2),
    scale: Float64Array.of(1, 1),
  });
  const clamp = (i: number, n: number): number => Math.min(n - 1, Math.max(0, i));
  for (const [flip, dx, dy, brightness, contrast] of [
    [false, 0, 0, 0, 1],
    [true, 0, 0, 0, 1],
    [false, 2, -1, 0, 1],
    [true, -2, 2, 0.1, 1.3],
  ] as const) {
    const images = assembleBatch([face, face], plan(flip, dx, dy, brightness, contrast));
    assert.is(images.length, 2 * FACE_BYTES);
    for (let y = 0, i = 0; y < 112; y++) {
      for (let x = 0; x < 96; x++) {
        for (let c = 0; c < 3; c++, i++) {
          assert.is(images[i], Math.fround(face[i] / 255));
          const column = clamp(x - dx, 96);
          const level = at(clamp(y - dy, 112), flip ? 95 - column : column, c) / 255;
          const expected = Math.min(1, Math.max(0, (level - 0.5) * contrast + 0.5 + brightness));
          assert.ok(Math.abs(images[FACE_BYTES + i] - expected) < 1e-6);
        }
      }
    }
  }
});

test('weights set how often a face is drawn', () => {
  const entry = (source: string): FaceEntry => ({ path: '', identity: '', source, split: '', sex: '', race: '' });
  const entries = ['fiw', 'pins', 'utk', 'fiw'].map(entry);
  const weights = sourceWeights(entries, { fiw: 0.25, utk: 0 });
  assert.equal([...weights], [0.25, 1, 0, 0.25]);
  const options = { count: 4, batchSize: 6000, seed: 9, weights };
  const plan = new FaceBatches(options).plan(2);
  const counts = [0, 1, 2, 3].map((i) => plan.indices.filter((k) => k === i).length);
  assert.is(counts[2], 0);
  [1000, 4000, 0, 1000].forEach((expected, i) => {
    assert.ok(Math.abs(counts[i] - expected) < 160, `face ${i} comes ${counts[i]} times, not about ${expected}`);
  });
  assert.equal(new FaceBatches(options).plan(2).indices, plan.indices);
  assert.not.equal(new FaceBatches(options).plan(1).indices, plan.indices);
});

test('impossible options, and sets that do not fit, are refused', async () => {
  const bad: Partial<FaceBatchesOptions>[] = [
    { count: 0 },
    { count: 2.5 },
    { batchSize: 0 },
    { batchSize: Number.NaN },
    { seed: -1 },
    { seed: 2 ** 32 },
    { augment: { shift: 96 } },
    { augment: { shift: 0.5 } },
    { augment: { brightness: -0.1 } },
    { augment: { contrast: 1 } },
    { weights: [1, 2] },
    { weights: new Float64Array(53) },
    { weights: new Array(53).fill(-1) },
    { weights: new Array(53).fill(Number.NaN) },
    { weights: new Array(53).fill(Infinity) },
  ];
  for (const options of bad) await rejection(() => new FaceBatches({ ...OPTIONS, ...options }), ArgumentError);
  const batches = new FaceBatches(OPTIONS);
  for (const step of [-1, 0.5, Number.NaN, 2 ** 53]) await rejection(() => batches.plan(step), ArgumentError);
  await rejection(() => assembleBatch([], batches.plan(0)), ArgumentError);
  await rejection(() => assembleBatch(new Array(8).fill(new Uint8Array(5)), batches.plan(0)), ArgumentError);
  const set = await openFaceFolder(await plainFolder(folder));
  assert.match((await rejection(() => batches.load(set, 0), ArgumentError)).message, /faces; expected 53/);
  const error = await rejection(() => sourceWeights(set.entries, { fwi: 1 }), ArgumentError);
  assert.match(error.message, /no face of source "fwi"/);
});

test('the batch of a folder has the faces of its plan', async () => {
  const set = await openFaceFolder(await plainFolder(folder));
  const good = await set.readable();
  const batches = new FaceBatches({ count: set.count, batchSize: 7, seed: 3, augment: NO_AUGMENTATION });
  const { plan, images } = await batches.load(set, 4);
  assert.is(images.length, 7 * FACE_BYTES);
  for (let i = 0; i < 7; i++) {
    if (!good.includes(plan.indices[i])) continue;
    const face = await set.face(plan.indices[i]);
    const part = images.subarray(i * FACE_BYTES, (i + 1) * FACE_BYTES);
    assert.ok(part.every((v, k) => v === Math.fround(face[k] / 255)));
  }
});

test.run();
