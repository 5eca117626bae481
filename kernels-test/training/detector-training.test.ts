import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { cellMaps, countCells } from '../../src/detection/cells.js';
import { FaceDetector } from '../../src/detection/index.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { drawBatch } from '../../src/training/detector/batches.js';
import {
  checkDetectorTraining,
  DEFAULT_DETECTOR_TRAINING,
  type DetectorTrainingConfig,
} from '../../src/training/detector/config.js';
import { detectorLoss } from '../../src/training/detector/loss.js';
import { drawMosaic } from '../../src/training/detector/mosaic.js';
import type { MosaicFace } from '../../src/training/detector/mosaic-face.js';
import { trainingPhoto } from '../../src/training/detector/photo-pyramid.js';
import { assignCells, emptyTargets, PLACE_VALUES } from '../../src/training/detector/targets.js';
import { trainDetector } from '../../src/training/detector/train-detector.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';
import { SMALL_DETECTOR } from '../models/single-shot-fixture.js';
import { FACE, facePicture, SIZE, writeLabelledPhotos } from './face-picture-fixture.js';

const test = gpuSuite('detector training');
const folder = mkdtempSync(join(tmpdir(), 'cameo-detector-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const PHOTOS = { boxed: [trainingPhoto({ ...SIZE, data: facePicture() }, [FACE])], pointed: [] };
const SIDE = 96;

test('mosaics have faces where their labels are, at all sizes, also turned and mirrored', () => {
  let [seen, hidden, cut] = [0, 0, 0];
  const sides: number[] = [];
  for (let k = 0; k < 200; k++) {
    const pixels = new Float32Array(SIDE * SIDE * 3);
    const faces = drawMosaic(PHOTOS, SIDE, new CounterRandom(5, k), pixels);
    for (const { x, y, width, height, landmarks, visible } of faces) {
      assert.ok(visible > 0 && visible <= 1);
      if (visible < 1) cut++;
      sides.push(Math.sqrt(width * height));
      const [left, right] = landmarks;
      assert.ok(left[0] < right[0], 'the left eye lies to the left, though faces are mirrored');
      for (const [px, py] of landmarks.slice(0, 2)) {
        assert.ok(px > x && px < x + width && py > y && py < y + height, 'eyes lie in the box');
      }
      if (visible < 1 || width < 30) continue;
      const colour = ([px, py]: readonly [number, number]): number[] => {
        const at = 3 * (Math.floor(py) * SIDE + Math.floor(px));
        return [...pixels.subarray(at, at + 3)];
      };
      const [a, b] = [colour(left), colour(right)];
      // One eye is red and one is blue, also if the face is mirrored, unless the picture is grey or something covers the eye.
      if ((a[0] - a[2]) * (b[0] - b[2]) < -0.05) seen++;
      else hidden++;
    }
  }
  assert.ok(
    seen > 20 && seen > 2 * hidden,
    `eyes seen where they are said to be: ${seen}; hidden, grey or dark: ${hidden}`,
  );
  assert.ok(cut > 10 && cut < sides.length, `${cut} of ${sides.length} faces are cut off`);
  assert.ok(
    Math.min(...sides) < 12 && Math.max(...sides) > 70,
    `sides from ${Math.min(...sides)} to ${Math.max(...sides)}`,
  );
});

const mosaicFace = (x: number, y: number, side: number, more: Partial<MosaicFace> = {}): MosaicFace => ({
  x,
  y,
  width: side,
  height: side,
  landmarks: [0.3, 0.7, 0.5, 0.35, 0.65].map((u, k) => [x + u * side, y + (k < 2 ? 0.4 : 0.7) * side] as const),
  visible: 1,
  doubtful: false,
  guessed: false,
  ...more,
});

function targetsOf(faces: readonly MosaicFace[]) {
  const targets = emptyTargets(countCells(SIDE, SIDE));
  const count = assignCells(targets, 0, cellMaps(SIDE, SIDE), faces, { box: 2, landmarks: 1 });
  return { targets, count };
}

test('cells near the centre of a face learn it, in the map for its size', () => {
  const [fine, middle, coarse] = cellMaps(SIDE, SIDE);
  const inMap = ({ first, columns, rows }: typeof fine, values: Float32Array): number =>
    values.subarray(first, first + columns * rows).reduce((sum, value) => sum + value, 0);
  for (const [side, map] of [
    [14, fine],
    [48, middle],
    [90, coarse],
  ] as const) {
    const { targets, count } = targetsOf([mosaicFace(40 - side / 2, 44 - side / 2, side)]);
    assert.ok(count >= 1 && count <= 16, `${count} cells learn a face of ${side}`);
    assert.is(inMap(map, targets.positive), count, `all of them in the map of stride ${map.stride}`);
  }
  // The formula of facesOfCells turns a cell's values back into the face.
  const face = mosaicFace(37, 45, 12);
  const { targets } = targetsOf([face]);
  const cell = targets.positive.indexOf(1);
  const at = cell * PLACE_VALUES;
  const value = (k: number): number => targets.place[at + k] / targets.scale[at + k];
  const centre = [((cell % 12) + 0.5) * 8, (Math.floor(cell / 12) + 0.5) * 8];
  const close = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-4);
  close(centre[0] + 8 * value(0), 43);
  close(centre[1] + 8 * value(1), 51);
  close(8 * Math.exp(value(2)), 12);
  face.landmarks.forEach(([x, y], k) => {
    close(centre[0] + 8 * value(4 + 2 * k), x);
    close(centre[1] + 8 * value(5 + 2 * k), y);
  });
});

test('doubtful and half-hidden faces are ignored, and of faces with guessed boxes only the landmarks are learnt', () => {
  for (const more of [{ doubtful: true }, { visible: 0.3 }]) {
    const { targets, count } = targetsOf([mosaicFace(37, 45, 20, more)]);
    assert.is(count, 0);
    assert.ok(targets.negative.includes(0), 'cells that see it are not part of the loss');
  }
  const hidden = targetsOf([mosaicFace(37, 45, 20, { visible: 0.1 })]);
  assert.ok(
    hidden.targets.negative.every((value) => value === 1),
    'a face that is hardly visible counts as none',
  );
  const { targets } = targetsOf([mosaicFace(37, 45, 20, { guessed: true })]);
  const at = targets.positive.indexOf(1) * PLACE_VALUES;
  assert.equal([...targets.weight.subarray(at, at + 4)], [0, 0, 0, 0]);
  assert.ok(targets.weight[at + 4] > 0);
});

test('the loss agrees with its formula in float64', async () => {
  const gpu = await testGpu();
  const shape = [1, 21, PLACE_VALUES + 1];
  const values = randomValues(21 * 15, 3, [-2, 2]);
  const targets = emptyTargets(21);
  assignCells(targets, 0, cellMaps(32, 32), [mosaicFace(6, 8, 18)], { box: 2, landmarks: 1 });
  const tensors = scope(gpu, () => {
    const of = (data: Float32Array, width: number): Tensor => Tensor.from(gpu, data, [1, 21, width]);
    const { scores, places } = detectorLoss(Tensor.from(gpu, values, shape), {
      positive: of(targets.positive, 1),
      negative: of(targets.negative, 1),
      place: of(targets.place, PLACE_VALUES),
      scale: of(targets.scale, PLACE_VALUES),
      weight: of(targets.weight, PLACE_VALUES),
    });
    return { results: Promise.all([scores.item(), places.item()]) };
  });
  const [scores, places] = await tensors.results;
  let [expectedScores, expectedPlaces] = [0, 0];
  for (let cell = 0; cell < 21; cell++) {
    const p = 1 / (1 + Math.exp(-values[cell * 15]));
    expectedScores -= targets.positive[cell] * (1 - p) ** 2 * Math.log(p);
    expectedScores -= targets.negative[cell] * p ** 2 * Math.log(1 - p);
    for (let k = 0; k < PLACE_VALUES; k++) {
      const at = cell * PLACE_VALUES + k;
      const x = Math.abs(values[cell * 15 + 1 + k] * targets.scale[at] - targets.place[at]);
      expectedPlaces += targets.weight[at] * (x < 0.06 ? x ** 2 / 0.12 : x - 0.03);
    }
  }
  assert.ok(Math.abs(scores - expectedScores) < 1e-5 * expectedScores, `${scores}, not ${expectedScores}`);
  assert.ok(Math.abs(places - expectedPlaces) < 1e-5 * expectedPlaces, `${places}, not ${expectedPlaces}`);
});

const CONFIG: DetectorTrainingConfig = {
  ...DEFAULT_DETECTOR_TRAINING,
  model: SMALL_DETECTOR,
  steps: 4,
  batchSize: 2,
  side: 64,
  warmUpSteps: 1,
};

test('a run that is stopped and resumed gives the bits of an uninterrupted one, and writes a working detector', async () => {
  const gpu = await testGpu();
  const data = await writeLabelledPhotos(join(folder, 'data'));
  const whole = join(folder, 'whole');
  const starts: number[] = [];
  const result = await trainDetector({
    gpu,
    data,
    out: whole,
    config: CONFIG,
    onStart: ({ faces, firstStep }) => starts.push(faces.photos, faces.unreadable.length, firstStep),
  });
  assert.equal(starts, [2, 1, 0]);
  assert.ok(result.finished && result.validation && result.validation.faces > 0);
  const parts = join(folder, 'parts');
  const stop = new AbortController();
  const stopped = await trainDetector({
    gpu,
    data,
    out: parts,
    config: CONFIG,
    signal: stop.signal,
    onStep: ({ step }) => step === 1 && stop.abort(),
  });
  assert.is(stopped.steps, 2);
  const options = { gpu, data, out: parts, resume: true };
  await trainDetector({ ...options, config: CONFIG });
  for (const name of ['checkpoint.safetensors', 'model.safetensors']) {
    assert.ok(readFileSync(join(parts, name)).equals(readFileSync(join(whole, name))), `${name} is the same`);
  }
  const other = await rejection(
    () => trainDetector({ ...options, config: { ...CONFIG, learningRate: 0.1, steps: 6 } }),
    CheckpointError,
  );
  assert.match(other.message, /learningRate 0\.003; this run has 0\.1/);
  const detector = FaceDetector.fromWeights(gpu, readFileSync(join(whole, 'model.safetensors')));
  await detector.detect({ ...SIZE, data: facePicture() }, { threshold: 0.001 });
  detector.dispose();
});

test('the batch of a step depends on seed and step alone', async () => {
  const [first, again, next] = [
    await drawBatch(PHOTOS, CONFIG, 3),
    await drawBatch(PHOTOS, CONFIG, 3),
    await drawBatch(PHOTOS, CONFIG, 4),
  ];
  assert.equal(first, again);
  assert.not.equal(first.images, next.images);
});

test('settings out of range and folders without photographs are refused by name', async () => {
  const gpu = await testGpu();
  assert.throws(() => checkDetectorTraining({ ...CONFIG, side: 72 }), /side is 72; expected a multiple of 32/);
  assert.throws(() => checkDetectorTraining({ ...CONFIG, batchSize: 0 }), /batchSize is 0; expected an integer from 1/);
  const data = join(folder, 'none');
  mkdirSync(data);
  writeFileSync(join(data, 'manifest.tsv'), 'path\tidentity\tsplit\tfaces\n');
  const none = await rejection(
    () => trainDetector({ gpu, data, out: join(folder, 'no'), config: CONFIG }),
    ArgumentError,
  );
  assert.match(none.message, /no photographs of split train whose faces have boxes/);
});

test.run();
