// adapters: once
// suite: long
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import sharp from '../../src/data/pictures/sharp.js';
import { cropFaces, FaceDetector, type FaceLandmarks } from '../../src/detection/index.js';
import { landmarkError } from '../../src/evaluation/metrics/landmarks.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS, findDetector } from '../helpers/data-available.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

/* A photograph of more than 100 megapixels, as the largest cameras make them. */

const test = gpuSuite('large-picture');
const weights = findDetector();
if ('missing' in weights) console.log(`SKIP a photograph of 100 megapixels: ${weights.missing}`);
const withDetector = 'path' in weights ? test : test.skip;

const [WIDTH, HEIGHT] = [12_000, 9000];

withDetector('faces of a photograph of 108 megapixels are found and aligned', async () => {
  const [[photo, listed]] = await readLandmarks(DEMO_LANDMARKS);
  const small = sharp(readFileSync(join(DEMO_PHOTOS, photo)));
  const { width = 0, height = 0 } = await small.metadata();
  const jpeg = await small.resize(WIDTH, HEIGHT, { fit: 'fill', kernel: 'linear' }).jpeg({ quality: 60 }).toBuffer();
  const picture = await readImage(jpeg);
  assert.equal([picture.width, picture.height], [WIDTH, HEIGHT]);
  const detector = FaceDetector.fromWeights(await testGpu(), readFileSync((weights as { path: string }).path));
  const faces = await cropFaces(detector, picture);
  for (const points of listed) {
    const expected = points.map(([x, y]) => [((x + 0.5) * WIDTH) / width - 0.5, ((y + 0.5) * HEIGHT) / height - 0.5]);
    const errors = faces.map(({ landmarks }) => landmarkError(landmarks, expected as unknown as FaceLandmarks));
    assert.ok(Math.min(...errors) < 0.2, `errors ${errors}`);
    assert.ok(faces[errors.indexOf(Math.min(...errors))].crop);
  }
  detector.dispose();
});

test.run();
