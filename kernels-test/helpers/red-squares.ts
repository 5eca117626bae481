import { writeFileSync } from 'node:fs';
import { CounterRandom } from '../../src/common/random.js';
import { FACE_TEMPLATE } from '../../src/detection/align.js';
import type { RgbImage } from '../../src/detection/index.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { inventedWeights } from '../models/mtcnn-fixture.js';

/*
 * A detector for tests without data: it finds red squares in place of faces, with certainty. The first network of the cascade
 * measures how red a window is, and the others accept every window that they get.
 */

/** The landmarks, as fractions of a square's side. With them the crop shows the middle of the square. */
const SIDE = 112;
const POINTS = FACE_TEMPLATE.map(([x, y]) => [(x + 8) / SIDE, (y + 4) / SIDE] as const);

/** The weights of this detector. It finds squares whose side is `minFace`, at multiples of a sixth of the side. */
export function redSquaresWeights(): Uint8Array {
  const weights = inventedWeights(3);
  for (const { data } of weights.values()) data.fill(0);
  const set = (name: string, at: number, values: readonly number[]): void => weights.get(name)!.data.set(values, at);
  const mean = new Array<number>(9).fill(1 / 9);
  // Channel 0 of each layer is the mean of the red bytes above the middle.
  for (const name of ['pnet.conv1', 'pnet.conv2', 'pnet.conv3']) set(`${name}.weight`, 0, mean);
  // In [2, 32], the row for a face: it is above 0 if more than nine tenths are red.
  set('pnet.conv4_1.weight', 32, [100]);
  set('pnet.conv4_1.bias', 0, [90, 0]);
  set('rnet.dense5_1.bias', 1, [9]);
  set('onet.dense6_1.bias', 1, [3]);
  set('onet.dense6_3.bias', 0, [...POINTS.map(([x]) => x), ...POINTS.map(([, y]) => y)]);
  return writeSafetensors(weights);
}

/** Writes the weights as a file. */
export function writeRedSquaresDetector(path: string): string {
  writeFileSync(path, redSquaresWeights());
  return path;
}

/** A black picture with red squares, which differ in green and blue. @param corners left and top of each square @param seed for green and blue */
export function redSquares(
  width: number,
  height: number,
  side: number,
  corners: readonly (readonly [number, number])[],
  seed = 7,
): RgbImage {
  const data = new Uint8Array(width * height * 3);
  corners.forEach(([left, top], k) => {
    const random = new CounterRandom(seed, k);
    for (let y = top; y < top + side; y++) {
      for (let x = left; x < left + side; x++) {
        data.set([255, Math.floor(256 * random.uniform()), Math.floor(256 * random.uniform())], (y * width + x) * 3);
      }
    }
  });
  return { width, height, data };
}
