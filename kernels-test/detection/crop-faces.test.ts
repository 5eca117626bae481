import * as assert from 'uvu/assert';
import { FaceCodec } from '../../src/codec/face-codec.js';
import { ArgumentError } from '../../src/common/errors.js';
import type { FaceLandmarks } from '../../src/common/face-landmarks.js';
import { alignFace, FACE_TEMPLATE } from '../../src/detection/align.js';
import { chosenFaces } from '../../src/detection/crop-faces.js';
import { cropFaces, encodePhoto, FaceDetector } from '../../src/detection/index.js';
import { smallFaceModel, TINY } from '../helpers/budget-fixture.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { redSquares, redSquaresWeights } from '../helpers/red-squares.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('crop-faces');

const SIDE = 60;
/** Faces in arbitrary order. */
const CORNERS = [
  [220, 10],
  [20, 30],
  [120, 0],
] as const;
const picture = redSquares(320, 120, SIDE, CORNERS);

test('faces are returned aligned, from left to right, with their places', async () => {
  const detector = FaceDetector.fromWeights(await testGpu(), redSquaresWeights());
  const faces = await cropFaces(detector, picture, { minFace: SIDE });
  assert.equal(
    faces.map(({ box, number }) => [Math.round(box.x), Math.round(box.y), number]),
    [
      [20, 30, 1],
      [120, 0, 2],
      [220, 10, 3],
    ],
  );
  for (const { landmarks, crop, problem, score } of faces) {
    assert.equal(crop, alignFace(picture, landmarks));
    assert.is(problem, null);
    assert.ok(score > 0.9);
  }
  const [middle] = await cropFaces(detector, picture, { minFace: SIDE, faces: 'central' });
  assert.equal([middle.number, middle.crop], [2, faces[1].crop]);
  assert.is((await cropFaces(detector, picture, { minFace: SIDE, maxFaces: 2 })).length, 2);
  assert.equal(await cropFaces(detector, { width: 1, height: 1, data: new Uint8Array(3) }), []);
  const error = await rejection(() => cropFaces(detector, picture, { faces: 'none' as never }), ArgumentError);
  assert.match(error.message, /faces is "none"; expected all, largest, central/);
  detector.dispose();
});

test('the largest face, or the one nearest to the middle, can be chosen', () => {
  const at = (x: number, y: number, scale: number): { landmarks: FaceLandmarks } => ({
    landmarks: FACE_TEMPLATE.map(([u, v]) => [x + scale * (u - 48), y + scale * (v - 72)]) as unknown as FaceLandmarks,
  });
  const size = { width: 640, height: 480 };
  const faces = [at(60, 60, 2), at(330, 250, 1), at(560, 60, 1.9)];
  assert.equal(chosenFaces(size, faces, 'all'), [0, 1, 2]);
  assert.equal(chosenFaces(size, faces, 'largest'), [0]);
  assert.equal(chosenFaces(size, faces, 'central'), [1]);
  for (const choice of ['all', 'largest', 'central'] as const) assert.equal(chosenFaces(size, [], choice), []);
});

test('encoding a photograph gives the same files as encoding the crops of its faces', async () => {
  const gpu = await testGpu();
  const detector = FaceDetector.fromWeights(gpu, redSquaresWeights());
  const codec = FaceCodec.fromWeights(gpu, await smallFaceModel(gpu, 1, { ...TINY, width: 96, height: 112 }));
  const faces = await encodePhoto(detector, codec, picture, { maxBytes: 60 }, { minFace: SIDE, container: 'bare' });
  const crops = faces.map(({ crop }) => crop!.data);
  assert.is(crops.length, 3);
  assert.equal(
    faces.map(({ file }) => file),
    await codec.encode(crops, { maxBytes: 60 }, 'bare'),
  );
  const nothing = { width: 30, height: 20, data: new Uint8Array(1800) };
  assert.equal(await encodePhoto(detector, codec, nothing, { maxBytes: 60 }), []);
  codec.dispose();
  detector.dispose();
});

test.run();
