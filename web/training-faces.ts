import { CounterRandom } from '../src/common/random.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { resampleRgb } from '../src/evaluation/codecs/resample.js';
import { writeUnitPixels } from '../src/models/unit-pixels.js';

/** Size of the pictures that the page trains on: half that of an aligned face, so that a step is quick on a CPU, too. */
export const SMALL_WIDTH = FACE_WIDTH / 2;
export const SMALL_HEIGHT = FACE_HEIGHT / 2;

const SEED = 7;
/** The most pixels by which a picture is shifted. */
const SHIFT = 3;

/** An aligned face at the size for training. */
export function smallFace(face: Uint8Array): Uint8Array {
  return resampleRgb(face, FACE_WIDTH, FACE_HEIGHT, SMALL_WIDTH, SMALL_HEIGHT);
}

/** The middle of any picture, cropped to the proportions of a face, at the size for training. */
export function smallPicture({ width, height, data }: RgbImage): Uint8Array {
  const side = Math.min(width / SMALL_WIDTH, height / SMALL_HEIGHT);
  const [w, h] = [Math.max(1, Math.floor(side * SMALL_WIDTH)), Math.max(1, Math.floor(side * SMALL_HEIGHT))];
  const [left, top] = [(width - w) >> 1, (height - h) >> 1];
  const cut = new Uint8Array(3 * w * h);
  for (let y = 0; y < h; y++) {
    const from = 3 * ((top + y) * width + left);
    cut.set(data.subarray(from, from + 3 * w), 3 * y * w);
  }
  return resampleRgb(cut, w, h, SMALL_WIDTH, SMALL_HEIGHT);
}

/** The faces in a picture that has them side by side, row by row from the top left. */
export function facesOfSheet({ width, height, data }: RgbImage): Uint8Array[] {
  const faces: Uint8Array[] = [];
  for (let top = 0; top + SMALL_HEIGHT <= height; top += SMALL_HEIGHT) {
    for (let left = 0; left + SMALL_WIDTH <= width; left += SMALL_WIDTH) {
      const face = new Uint8Array(3 * SMALL_WIDTH * SMALL_HEIGHT);
      for (let y = 0; y < SMALL_HEIGHT; y++) {
        const from = 3 * ((top + y) * width + left);
        face.set(data.subarray(from, from + 3 * SMALL_WIDTH), 3 * y * SMALL_WIDTH);
      }
      faces.push(face);
    }
  }
  return faces;
}

/**
 * The batch of a step. It depends on the step alone, so a step that is repeated after a loss of the device computes the same.
 * @returns [count, SMALL_HEIGHT, SMALL_WIDTH, 3] in [0, 1], shifted and mirrored at random
 */
export function batchOf(faces: readonly Uint8Array[], step: number, count: number): Float32Array {
  const random = new CounterRandom(SEED + 1, step);
  const size = 3 * SMALL_WIDTH * SMALL_HEIGHT;
  const batch = new Float32Array(count * size);
  for (let k = 0; k < count; k++) {
    const face = faces[random.int(faces.length)];
    const [dx, dy] = [random.int(2 * SHIFT + 1) - SHIFT, random.int(2 * SHIFT + 1) - SHIFT];
    const mirror = random.int(2) === 1;
    for (let y = 0; y < SMALL_HEIGHT; y++) {
      const fromY = Math.max(0, Math.min(SMALL_HEIGHT - 1, y + dy));
      for (let x = 0; x < SMALL_WIDTH; x++) {
        const shifted = Math.max(0, Math.min(SMALL_WIDTH - 1, x + dx));
        const fromX = mirror ? SMALL_WIDTH - 1 - shifted : shifted;
        const [from, to] = [3 * (fromY * SMALL_WIDTH + fromX), k * size + 3 * (y * SMALL_WIDTH + x)];
        for (let c = 0; c < 3; c++) batch[to + c] = face[from + c] / 255;
      }
    }
  }
  return batch;
}

/** Faces as the network's input, neither shifted nor mirrored: [faces, SMALL_HEIGHT, SMALL_WIDTH, 3] in [0, 1]. */
export function unitPixels(faces: readonly Uint8Array[]): Float32Array {
  const pixels = new Float32Array(faces.length * 3 * SMALL_WIDTH * SMALL_HEIGHT);
  writeUnitPixels(faces, pixels);
  return pixels;
}
