import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { CheckpointError } from '../../src/common/errors.js';
import { FaceDetector } from '../../src/detection/index.js';
import {
  LandmarkRefiner,
  REFINER_SIDE,
  REFINER_VALUES,
  refinerTensors,
  withRefiner,
} from '../../src/models/landmark-refiner.js';
import { writeSingleShot } from '../../src/models/single-shot.js';
import { readSafetensorsMetadata } from '../../src/nn/safetensors.js';
import {
  checkLandmarkTraining,
  DEFAULT_LANDMARK_TRAINING,
  type LandmarkTrainingConfig,
} from '../../src/training/detector/landmark-config.js';
import { drawCrops, facesOf } from '../../src/training/detector/landmark-crops.js';
import { trainingPhoto } from '../../src/training/detector/photo-pyramid.js';
import { withTeacher } from '../../src/training/detector/teacher-landmarks.js';
import { trainLandmarks } from '../../src/training/detector/train-landmarks.js';
import { assertClose, gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';
import { inventedWeights } from '../models/conv-block-reference.js';
import { fixedDetectorWeights, inventedDetector, SMALL_DETECTOR } from '../models/single-shot-fixture.js';
import { FACE, facePicture, SIZE, writeLabelledPhotos } from './face-picture-fixture.js';

const test = gpuSuite('landmark training');
const folder = mkdtempSync(join(tmpdir(), 'cameo-landmarks-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const PHOTO = trainingPhoto({ ...SIZE, data: facePicture() }, [FACE, { ...FACE, score: 0.5 }]);
const FACES = facesOf({ boxed: [PHOTO], pointed: [] });

test('crops have landmarks where their labels are, also turned and mirrored, and doubtful faces are left out', () => {
  assert.is(FACES.length, 1);
  let [seen, hidden] = [0, 0];
  const { x, points, scale, weight } = drawCrops(FACES, { batchSize: 64, seed: 5 }, 3);
  const share = weight.reduce((sum, value) => sum + value, 0);
  assert.ok(Math.abs(share - 1) < 1e-5, `weights add up to ${share}`);
  for (let k = 0; k < 64; k++) {
    const pixels = x.subarray(k * REFINER_SIDE ** 2 * 3, (k + 1) * REFINER_SIDE ** 2 * 3);
    const place = (p: number): number[] =>
      [0, 1].map((axis) => {
        const at = k * REFINER_VALUES + 2 * p + axis;
        return ((points[at] / scale[at] + 1) * REFINER_SIDE) / 2;
      });
    const [left, right] = [place(0), place(1)];
    assert.ok(left[0] < right[0], 'the left eye lies to the left, though faces are mirrored');
    const inside = [...left, ...right].every((at) => at >= 0 && at < REFINER_SIDE);
    if (!inside) continue;
    const redness = ([px, py]: number[]): number => {
      const at = 3 * (Math.floor(py) * REFINER_SIDE + Math.floor(px));
      return pixels[at] - pixels[at + 2];
    };
    // One eye is red and one is blue, unless the picture is grey, dark or blurred, or something covers the eye.
    if (redness(left) * redness(right) < -0.05) seen++;
    else hidden++;
  }
  assert.ok(seen > 2 * hidden, `eyes seen where they are said to be: ${seen}; hidden, grey or dark: ${hidden}`);
});

test('the crops of a step depend on seed and step alone', () => {
  const settings = { batchSize: 2, seed: 1 };
  assert.equal(drawCrops(FACES, settings, 3), drawCrops(FACES, settings, 3));
  assert.not.equal(drawCrops(FACES, settings, 3).x, drawCrops(FACES, settings, 4).x);
});

test('faces with poor landmarks have less weight', () => {
  const [poor] = facesOf({ boxed: [], pointed: [PHOTO] });
  const { weight } = drawCrops([poor], { batchSize: 1, seed: 1 }, 0);
  assert.ok(Math.abs(weight[0] * REFINER_VALUES - 0.3) < 1e-6, `${weight[0]}`);
});

const CONFIG: LandmarkTrainingConfig = {
  ...DEFAULT_LANDMARK_TRAINING,
  model: { widths: [3, 4, 5, 6] },
  steps: 4,
  batchSize: 2,
  warmUpSteps: 1,
};

test('a run that is stopped and resumed gives the bits of an uninterrupted one, and writes a detector with a refiner', async () => {
  const gpu = await testGpu();
  const data = await writeLabelledPhotos(join(folder, 'data'));
  const detector = writeSingleShot(SMALL_DETECTOR, inventedDetector(1));
  const whole = join(folder, 'whole');
  const result = await trainLandmarks({ gpu, data, detector, out: whole, config: CONFIG });
  assert.ok(result.finished && result.validation && result.validation.crops === 48 && result.validation.nme > 0);
  const parts = join(folder, 'parts');
  const stop = new AbortController();
  const stopped = await trainLandmarks({
    gpu,
    data,
    detector,
    out: parts,
    config: CONFIG,
    signal: stop.signal,
    onStep: ({ step }) => step === 1 && stop.abort(),
  });
  assert.is(stopped.steps, 2);
  const options = { gpu, data, detector, out: parts, resume: true };
  await trainLandmarks({ ...options, config: CONFIG });
  for (const name of ['checkpoint.safetensors', 'model.safetensors']) {
    assert.ok(readFileSync(join(parts, name)).equals(readFileSync(join(whole, name))), `${name} is the same`);
  }
  const other = await rejection(
    () => trainLandmarks({ ...options, config: { ...CONFIG, learningRate: 0.1, steps: 6 } }),
    CheckpointError,
  );
  assert.match(other.message, /learningRate 0\.003; this run has 0\.1/);
  const model = readFileSync(join(whole, 'model.safetensors'));
  assert.is(readSafetensorsMetadata(model).get('cameo.landmarks-steps'), '4');
  FaceDetector.fromWeights(gpu, model).dispose();
});

/** A detector that reports a face of 32 pixels at the centre of each of its coarsest cells. @param down distance of the nose below the centre, in parts of the face */
function fixedTeacher(down: number): Uint8Array {
  const values = [2, 0, 0, 0, 0, -0.25, -0.25, 0.25, -0.25, 0, down, -0.25, 0.25, 0.25, 0.25];
  const weights = fixedDetectorWeights(values);
  for (const head of ['head0.bias', 'head1.bias']) weights.get(head)!.data[0] = -9;
  return writeSingleShot(SMALL_DETECTOR, weights);
}

test("a teacher's landmarks take the place of the labels, and stay in the folder for a run that is resumed", async () => {
  const gpu = await testGpu();
  const teacher = fixedTeacher(0.1);
  const source = { teacher: null, faces: 'these', count: 1 };
  const far = { ...FACE, box: { x: 0, y: 0, width: 300, height: 300 } };
  const photos = { boxed: [{ ...PHOTO, faces: [FACE, far] }], pointed: [PHOTO], unreadable: [] };
  const splits = { train: photos, validation: null, source };
  const file = join(folder, 'teacher.json');
  const taught = await withTeacher(gpu, splits, teacher, file);
  assert.is(taught.train.pointed[0], PHOTO, 'faces seen from the side keep theirs');
  const [{ faces }] = taught.train.boxed;
  assert.is(faces.length, 1, 'a face that the teacher does not find is left out');
  const [left, right, nose] = faces[0].landmarks;
  assert.ok(Math.abs((nose[1] - left[1]) / (right[0] - left[0]) - 0.7) < 1e-3, JSON.stringify(faces[0].landmarks));
  assert.equal({ ...faces[0], landmarks: 0 }, { ...FACE, landmarks: 0 });
  assert.not.equal(taught.source, source);
  assert.equal(await withTeacher(gpu, splits, teacher, file), taught, 'the file says the same');
  const other = await rejection(() => withTeacher(gpu, splits, fixedTeacher(0.2), file), CheckpointError);
  assert.match(other.message, /teacher\.json is of another teacher, or of other photographs/);
});

test('a run can start from the weights of another, and refuses a file without a refiner', async () => {
  const gpu = await testGpu();
  const data = await writeLabelledPhotos(join(folder, 'data'));
  const detector = writeSingleShot(SMALL_DETECTOR, inventedDetector(1));
  const weights = inventedWeights(new LandmarkRefiner(CONFIG.model), 3);
  const from = withRefiner(detector, CONFIG.model, weights);
  const config = { ...CONFIG, steps: 1, learningRate: 1e-9 };
  const options = { gpu, data, detector, config, teacher: fixedTeacher(0) };
  const out = join(folder, 'from');
  await trainLandmarks({ ...options, from, out });
  const trained = refinerTensors(readFileSync(join(out, 'model.safetensors')));
  const [bias, first] = [trained, weights].map((tensors) => tensors.get('points.bias')!.data);
  assertClose('weights', bias, Float64Array.from(first), { sumLength: 1 });
  const none = await rejection(
    () => trainLandmarks({ ...options, from: detector, out: join(folder, 'none') }),
    CheckpointError,
  );
  assert.match(none.message, /no refiner of landmarks/);
});

test('settings out of range are refused by name', () => {
  assert.throws(() => checkLandmarkTraining({ ...CONFIG, batchSize: 0 }), /batchSize is 0; expected an integer from 1/);
  assert.throws(() => checkLandmarkTraining({ ...CONFIG, averageDecay: 1 }), /averageDecay is 1; expected a number/);
  const model = { widths: [1, 2, 3, 4.5] } as never;
  assert.throws(() => checkLandmarkTraining({ ...CONFIG, model }), /widths is \[1,2,3,4\.5\]/);
});

test.run();
