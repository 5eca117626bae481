// adapters: once
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readRecognizerOf } from '../../src/data/checkpoints/recognizer-source.js';
import { PACKAGE_ROOT } from '../../src/data/files/package-root.js';
import { type RgbImage, readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import sharp from '../../src/data/pictures/sharp.js';
import { alignFace, type FaceLandmarks } from '../../src/detection/align.js';
import { cosineSimilarity } from '../../src/evaluation/metrics/verification.js';
import { embedFaces } from '../../src/evaluation/verification/embed-pictures.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS } from '../helpers/data-available.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

/* A crop has the same embedding however large its photograph is, because alignment averages areas, without aliasing. */

const test = gpuSuite('enlarged-faces');
const FACTOR = 4;

/** A picture in another size, resampled by sharp. */
async function scaled({ width, height, data }: RgbImage, factor: number): Promise<RgbImage> {
  const [w, h] = [Math.round(width * factor), Math.round(height * factor)];
  const raw = sharp(data, { raw: { width, height, channels: 3 } })
    .resize(w, h, { fit: 'fill', kernel: 'lanczos3' })
    .raw();
  return { width: w, height: h, data: new Uint8Array(await raw.toBuffer()) };
}

const scaledPoints = (points: FaceLandmarks, factor: number): FaceLandmarks =>
  points.map((point) => point.map((value) => (value + 0.5) * factor - 0.5)) as unknown as FaceLandmarks;

/** The part of a photograph around a face, with an even size, and the points of the face in it. */
function partAround({ width, height, data }: RgbImage, points: FaceLandmarks): [RgbImage, FaceLandmarks] {
  const [x, y] = points[2].map(Math.round);
  const [left, top] = [Math.max(0, x - 180), Math.max(0, y - 200)];
  const size = {
    width: 2 * Math.floor((Math.min(width, x + 180) - left) / 2),
    height: 2 * Math.floor((Math.min(height, y + 200) - top) / 2),
  };
  const part = new Uint8Array(size.width * size.height * 3);
  for (let row = 0; row < size.height; row++) {
    const from = ((top + row) * width + left) * 3;
    part.set(data.subarray(from, from + size.width * 3), row * size.width * 3);
  }
  const moved = points.map(([u, v]) => [u - left, v - top]) as unknown as FaceLandmarks;
  return [{ ...size, data: part }, moved];
}

test('embeddings of crops from pictures enlarged four times are those of the originals', async () => {
  const gpu = await testGpu();
  const recognizer = await readRecognizerOf('cameo', {
    data: '',
    own: join(PACKAGE_ROOT, 'models', 'recognizer.safetensors'),
  });
  recognizer.load(gpu);
  const pairs: [Uint8Array, Uint8Array][] = [];
  for (const [photo, [points]] of await readLandmarks(DEMO_LANDMARKS)) {
    const [part, own] = partAround(await readImage(join(DEMO_PHOTOS, photo)), points);
    // At full size it is reduced by more than 2; at half size a pixel is nearly as large as one of the crop.
    for (const scale of [1, 0.5]) {
      const image = await scaled(part, scale);
      const landmarks = scaledPoints(own, scale);
      const enlarged = alignFace(await scaled(image, FACTOR), scaledPoints(landmarks, FACTOR));
      pairs.push([alignFace(image, landmarks).data, enlarged.data]);
    }
  }
  const embeddings = await embedFaces(gpu, recognizer, pairs.flat(), {});
  const similarities = pairs.map((_, k) => cosineSimilarity(embeddings[2 * k], embeddings[2 * k + 1]));
  assert.ok(Math.min(...similarities) > 0.995, similarities.map((value) => value.toFixed(4)).join(' '));
  recognizer.dispose();
});

test.run();
