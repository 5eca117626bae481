import { writeFileSync } from 'node:fs';
import { CounterRandom } from '../../src/common/random.js';
import { FACE_TEMPLATE } from '../../src/detection/align.js';
import type { RgbImage } from '../../src/detection/index.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { inventedWeights } from '../models/mtcnn-fixture.js';

/*
 * A detector that is sure of what it finds without any data: to it, red squares are faces. The first network of the cascade
 * sees how red a window is, the others say yes to all that come to them.
 */

/** Of a square's side: where its landmarks are. The crop then shows the square's middle. */
const SIDE = 112;
const POINTS = FACE_TEMPLATE.map(([x, y]) => [(x + 8) / SIDE, (y + 4) / SIDE] as const);

/** The weights of that detector. Squares are found where `minFace` is their side, and they lie on multiples of a sixth of it. */
export function redSquaresWeights(): Uint8Array {
  const weights = inventedWeights(3);
  for (const { data } of weights.values()) data.fill(0);
  const set = (name: string, at: number, values: readonly number[]): void => weights.get(name)!.data.set(values, at);
  const mean = new Array<number>(9).fill(1 / 9);
  // Channel 0 of each layer is the mean of the red bytes, where they are above the middle.
  for (const name of ['pnet.conv1', 'pnet.conv2', 'pnet.conv3']) set(`${name}.weight`, 0, mean);
  // The face's row of [2, 32]: above 0 where more than nine tenths are red.
  set('pnet.conv4_1.weight', 32, [100]);
  set('pnet.conv4_1.bias', 0, [90, 0]);
  set('rnet.dense5_1.bias', 1, [9]);
  set('onet.dense6_1.bias', 1, [3]);
  set('onet.dense6_3.bias', 0, [...POINTS.map(([x]) => x), ...POINTS.map(([, y]) => y)]);
  return writeSafetensors(weights);
}

/** Writes them as a file. */
export function writeRedSquaresDetector(path: string): string {
  writeFileSync(path, redSquaresWeights());
  return path;
}

/** A black picture with red squares, which differ in green and blue. @param corners left and top of each @param seed of green and blue */
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
