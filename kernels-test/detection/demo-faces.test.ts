import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { reducePicture } from '../../src/common/reduce-picture.js';
import { readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import { cropFaces, FaceDetector, type FaceLandmarks } from '../../src/detection/index.js';
import { landmarkError } from '../../src/evaluation/metrics/landmarks.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS, findDetector } from '../helpers/data-available.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('demo-faces');
const weights = findDetector();
if ('missing' in weights) console.log(`SKIP the faces of the demo: ${weights.missing}`);
const withDetector = 'path' in weights ? test : test.skip;

/** Pictures are searched at a third of their size, at which faces are some 60 pixels wide. */
const FACTOR = 3;

withDetector('the faces of the demo are found where demo/landmarks.json has them', async () => {
  const detector = FaceDetector.fromWeights(await testGpu(), readFileSync((weights as { path: string }).path));
  const errors: number[] = [];
  let count = 0;
  for (const [photo, listed] of await readLandmarks(DEMO_LANDMARKS)) {
    const image = reducePicture(await readImage(join(DEMO_PHOTOS, photo)), FACTOR);
    const faces = await cropFaces(detector, image, { minFace: 40 });
    count += faces.length;
    for (const points of listed) {
      const expected = points.map((point) => point.map((value) => (value + 0.5) / FACTOR - 0.5));
      const nearest = faces.map(({ landmarks }) => landmarkError(landmarks, expected as unknown as FaceLandmarks));
      errors.push(Math.min(...nearest));
    }
    for (const { crop, problem } of faces) assert.ok(crop, `${photo}: ${problem}`);
  }
  // All five points were marked by hand. An error of a quarter of the eyes' distance would mean another face.
  assert.ok(Math.max(...errors) < 0.25, `the worst ${Math.max(...errors)} of the distance of the eyes`);
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  assert.ok(mean < 0.08, `mean error ${mean} of the distance of the eyes`);
  assert.ok(count <= errors.length + 3, `${count} faces, of which ${errors.length} are listed`);
  detector.dispose();
});

test.run();
