import * as assert from 'uvu/assert';
import { CheckpointError } from '../../src/common/errors.js';
import type { FaceLandmarks, Point } from '../../src/common/face-landmarks.js';
import { GpuPicture } from '../../src/detection/gpu-picture.js';
import { FaceDetector } from '../../src/detection/index.js';
import { refineFaces, refinerSquare, scoreBefore } from '../../src/detection/refine-landmarks.js';
import { LandmarkRefiner, loadRefiner, withRefiner } from '../../src/models/landmark-refiner.js';
import { loadSingleShot, writeSingleShot } from '../../src/models/single-shot.js';
import { readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';
import { inventedWeights } from '../models/conv-block-reference.js';
import { fixedDetectorWeights, SMALL_DETECTOR } from '../models/single-shot-fixture.js';

const test = gpuSuite('refine landmarks');

const SMALL = { widths: [3, 4, 5, 6] } as const;
/** The landmarks that a fixed refiner gives, whatever it sees: relative to the crop's centre, in units of half its side. */
const PLACES = [-0.25, -0.5, 0.25, -0.5, 0, 0.125, -0.25, 0.5, 0.25, 0.5];

/** A detector file whose refiner gives the same for each crop. */
function fixedRefiner(detectorValues: readonly number[]): Uint8Array {
  const weights = inventedWeights(new LandmarkRefiner(SMALL), 3);
  weights.get('points.weight')!.data.fill(0);
  weights.get('points.bias')!.data.set(PLACES);
  return withRefiner(writeSingleShot(SMALL_DETECTOR, fixedDetectorWeights(detectorValues)), SMALL, weights);
}

// Boxes of 44 pixels in the finest cells, as large as the second look wants them.
const SIZE = Math.log(44 / 8);
const FACE_VALUES = [2, 0, 0, SIZE, SIZE, -0.25, -0.25, 0.25, -0.25, 0, 0, -0.25, 0.25, 0.25, 0.25];
/** A network that finds nothing. */
const BLIND_VALUES = [-9, ...FACE_VALUES.slice(1)];
const GREY = { width: 90, height: 70, data: new Uint8Array(90 * 70 * 3).fill(120) };

test("a crop's square has the landmarks' centre, and 4.5 times their spread", () => {
  const { centre, side } = refinerSquare([
    [10, 10],
    [30, 10],
    [20, 20],
    [10, 30],
    [30, 30],
  ]);
  assert.equal(centre, [20, 20]);
  assert.ok(Math.abs(side - 4.5 * Math.sqrt(160)) < 1e-9, `${side}`);
});

/** Landmarks after one view by a fixed refiner. Its places are those of a symmetric face, so the mirror image of a square gives the same. */
function afterLook(landmarks: readonly Point[]): Point[] {
  const { centre, side } = refinerSquare(landmarks);
  const half = (side * (1 + 0.92)) / 4;
  return landmarks.map((_, p): Point => [centre[0] + PLACES[2 * p] * half, centre[1] + PLACES[2 * p + 1] * half]);
}

/** Faces of falling score in a row, three pixels apart. */
const facesInRow = (count: number) =>
  Array.from({ length: count }, (_, k) => ({
    score: 0.9 - 0.01 * k,
    left: k,
    top: 0,
    right: k + 20,
    bottom: 20,
    landmarks: [4, 16, 10, 5, 15].map((x, p) => [x + 3 * k, 6 + 4 * Math.max(0, p - 1)]) as unknown as FaceLandmarks,
  }));

test('after two rounds, landmarks are the mean of the results for a square and for a smaller mirrored one', async () => {
  const gpu = await testGpu();
  const refiner = loadRefiner(gpu, fixedRefiner(FACE_VALUES))!;
  const detector = loadSingleShot(gpu, fixedRefiner(FACE_VALUES));
  const picture = new GpuPicture(gpu, GREY);
  const faces = facesInRow(9);
  const all = { threshold: 0, maxFaces: Number.POSITIVE_INFINITY };
  const refined = await refineFaces(refiner, detector, picture, faces, all);
  assert.is(refined.length, 9);
  refined.forEach((face, k) => {
    const { score, landmarks, ...box } = face;
    assert.equal({ ...faces[k], ...box }, faces[k], 'the box does not change');
    const expected = afterLook(afterLook(faces[k].landmarks));
    landmarks.forEach(([x, y], p) => {
      assert.ok(Math.abs(x - expected[p][0]) < 1e-3, `face ${k}: x of landmark ${p}`);
      assert.ok(Math.abs(y - expected[p][1]) < 1e-3, `face ${k}: y of landmark ${p}`);
    });
  });
  assert.equal(await refineFaces(refiner, detector, picture, [], all), []);
  picture.dispose();
  detector.dispose();
  refiner.dispose();
});

const odds = (score: number): number => Math.log(score / (1 - score));

test('scores fall if views disagree or the detector does not see the mirror image, and the best faces are kept', async () => {
  const gpu = await testGpu();
  const refiner = loadRefiner(gpu, fixedRefiner(FACE_VALUES))!;
  const [blind, seeing] = [BLIND_VALUES, FACE_VALUES].map((values) => loadSingleShot(gpu, fixedRefiner(values)));
  const picture = new GpuPicture(gpu, GREY);
  const faces = facesInRow(9);
  const refine = (detector = blind, threshold = 0, maxFaces = Number.POSITIVE_INFINITY) =>
    refineFaces(refiner, detector, picture, faces, { threshold, maxFaces });
  const all = await refine();
  const seen = await refine(seeing);
  all.forEach(({ score }, k) => {
    const [half, { side }] = [0.5, refinerSquare(faces[k].landmarks)];
    // The two views differ in each landmark by 0.08 of its position.
    const places = Array.from({ length: 5 }, (_, p) => Math.hypot(PLACES[2 * p], PLACES[2 * p + 1]));
    const apart = (0.08 * half * side * places.reduce((sum, place) => sum + place, 0)) / 5 / (side / 4.5);
    const moved = refinerSquare(afterLook(faces[k].landmarks)).side / side;
    // The detector's second look is worth 0.4 of its logit, which is at least -4.
    const expected = odds(faces[k].score) + 0.9 - 5 * apart - 4 * Math.max(0, 1 - moved) - 0.4 * 4 - 0.25;
    assert.ok(Math.abs(odds(score) - expected) < 1e-3, `face ${k}: ${odds(score)}, not ${expected}`);
    // It sees the face with a logit of 2.
    assert.ok(Math.abs(odds(seen[k].score) - expected - 0.4 * (4 + 2)) < 1e-3, `face ${k}: ${odds(seen[k].score)}`);
    for (const { score } of [all[k], seen[k]])
      assert.ok(scoreBefore(score) <= faces[k].score, 'no face with a lower score can become one of this score');
  });
  assert.equal(await refine(blind, all[4].score), all.slice(0, 5));
  for (const most of [1, 2, 5, 9, 20]) assert.equal(await refine(blind, 0, most), all.slice(0, most), `${most} faces`);
  picture.dispose();
  for (const network of [refiner, blind, seeing]) network.dispose();
});

test('the detector does not look again at what it is sure of', async () => {
  const gpu = await testGpu();
  const refiner = loadRefiner(gpu, fixedRefiner(FACE_VALUES))!;
  const blind = loadSingleShot(gpu, fixedRefiner(BLIND_VALUES));
  const picture = new GpuPicture(gpu, GREY);
  const faces = [0.999, 0.9].map((score, k) => ({ ...facesInRow(2)[k], score }));
  const [sure, unsure] = await refineFaces(refiner, blind, picture, faces, { threshold: 0, maxFaces: 2 });
  assert.ok(sure.score > faces[0].score);
  assert.ok(unsure.score < faces[1].score);
  picture.dispose();
  refiner.dispose();
  blind.dispose();
});

test('a detector whose file has a refiner uses it', async () => {
  const detector = FaceDetector.fromWeights(await testGpu(), fixedRefiner(FACE_VALUES));
  const [{ landmarks }] = await detector.detect(GREY);
  const [left, right, nose] = landmarks;
  const across = right[0] - left[0];
  assert.ok(across > 0);
  // The proportions are those of PLACES: the nose is below the eyes by 1.25 of the distance between them.
  assert.ok(Math.abs((nose[1] - left[1]) / across - 1.25) < 1e-3, `${JSON.stringify(landmarks)}`);
  detector.dispose();
});

test('a file with a damaged part leaves no tensors on the GPU', async () => {
  const gpu = await testGpu();
  const { tensors, metadata } = readSafetensors(fixedRefiner(FACE_VALUES));
  for (const name of ['head0.bias', 'landmarks.points.bias']) {
    const damaged = new Map(tensors);
    damaged.delete(name);
    const error = await rejection(
      async () => FaceDetector.fromWeights(gpu, writeSafetensors(damaged, metadata)),
      CheckpointError,
    );
    assert.match(error.message, /bias/);
  }
});

test.run();
