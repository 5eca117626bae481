// adapters: once
// suite: long
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { reducePicture } from '../../src/common/reduce-picture.js';
import { readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import { alignFace, FACE_HEIGHT, FACE_WIDTH } from '../../src/detection/align.js';
import { FaceDetector, type RgbImage } from '../../src/detection/index.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS, findDetector } from '../helpers/data-available.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { THOROUGH } from '../helpers/thorough.js';

/* A crowd: a picture of more than two thousand small faces. Refining all of them takes many seconds on a CPU. */

const test = gpuSuite('many-faces');
const weights = findDetector();
if ('missing' in weights) console.log(`SKIP a picture of thousands of faces: ${weights.missing}`);
const withDetector = 'path' in weights ? test : test.skip;

const [ACROSS, DOWN] = [48, 42];
const [CELL_WIDTH, CELL_HEIGHT] = [FACE_WIDTH / 2, FACE_HEIGHT / 2];

/** The faces of the demo's photographs, at half the size of a crop. */
async function smallFaces(): Promise<RgbImage[]> {
  const faces: RgbImage[] = [];
  for (const [photo, listed] of await readLandmarks(DEMO_LANDMARKS)) {
    const image = await readImage(join(DEMO_PHOTOS, photo));
    for (const points of listed) faces.push(reducePicture(alignFace(image, points), 2));
  }
  return faces;
}

function mosaic(faces: readonly RgbImage[]): RgbImage {
  const [width, height] = [ACROSS * CELL_WIDTH, DOWN * CELL_HEIGHT];
  const data = new Uint8Array(3 * width * height);
  for (let k = 0; k < ACROSS * DOWN; k++) {
    const face = faces[k % faces.length];
    const corner = Math.floor(k / ACROSS) * CELL_HEIGHT * width + (k % ACROSS) * CELL_WIDTH;
    for (let y = 0; y < CELL_HEIGHT; y++) {
      const row = face.data.subarray(3 * y * CELL_WIDTH, 3 * (y + 1) * CELL_WIDTH);
      data.set(row, 3 * (corner + y * width));
    }
  }
  return { width, height, data };
}

withDetector('thousands of small faces are found, each in its place, and no more than asked for', async () => {
  const detector = FaceDetector.fromWeights(await testGpu(), readFileSync((weights as { path: string }).path));
  const picture = mosaic(await smallFaces());
  const best = await detector.detect(picture, { minFace: 20, maxFaces: 150 });
  assert.is(best.length, 150);
  if (!THOROUGH) return detector.dispose();
  const all = await detector.detect(picture, { minFace: 20 });
  const places = new Set(
    all.map(({ box }) => {
      const [x, y] = [(box.x + box.width / 2) / CELL_WIDTH, (box.y + box.height / 2) / CELL_HEIGHT];
      return Math.floor(y) * ACROSS + Math.floor(x);
    }),
  );
  assert.ok(places.size > 0.95 * ACROSS * DOWN, `${places.size} of ${ACROSS * DOWN} faces`);
  assert.ok(all.length < 1.05 * ACROSS * DOWN, `${all.length} found`);
  assert.equal(best, all.slice(0, 150));
  detector.dispose();
});

test.run();
