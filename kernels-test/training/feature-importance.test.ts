import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { writePng } from '../../src/data/pictures/image.js';
import { GlobalLayers } from '../../src/models/global-layers.js';
import { Recognizer } from '../../src/models/recognizer.js';
import { heNormal } from '../../src/nn/init.js';
import { reshape } from '../../src/ops/layout.js';
import { matmul } from '../../src/ops/matmul/matmul.js';
import { featureImportance } from '../../src/training/components/feature-importance.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('importance of features');
const folder = mkdtempSync(join(tmpdir(), 'cameo-importance-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const [HEIGHT, WIDTH, PATCH, FEATURES] = [112, 96, 16, 5];
const PIXELS = HEIGHT * WIDTH * 3;

/** An embedding of two numbers, each a weighted sum of the samples: its direction is an angle. */
class Angle extends Recognizer {
  readonly height = HEIGHT;
  readonly width = WIDTH;
  readonly dimension = 2;
  readonly weights = this.parameter('weights', { shape: [PIXELS, 2], init: heNormal(PIXELS) });

  protected forward(x: Parameters<Recognizer['embed']>[0]) {
    return matmul(reshape(x, [x.shape[0], -1]), this.weights.tensor);
  }

  protected override normalize(x: Parameters<Recognizer['embed']>[0]) {
    return x;
  }
}

test('is that of the squared derivative of the embedding, and 1 without a distance', async () => {
  const gpu = await testGpu();
  // Eight times the same face: the derivative is one, and only its overall factor is random.
  const face = Uint8Array.from(randomValues(PIXELS, 4), (value) => 128 + 100 * value);
  mkdirSync(join(folder, 'p0'), { recursive: true });
  for (let k = 0; k < 8; k++) {
    await writePng(join(folder, 'p0', `${k}.png`), { width: WIDTH, height: HEIGHT, data: face });
  }
  const set = await openFaceFolder(folder);
  const layers = new GlobalLayers([7, 6], PATCH, FEATURES, 1, true).initialize(gpu, 3);
  const recognizer = new Angle().initialize(gpu, 5);
  const found = await featureImportance(gpu, layers, [recognizer], set, { error: 400, distance: 10 }, () => {});
  const none = await featureImportance(gpu, layers, [recognizer], set, { error: 400, distance: 0 }, () => {});
  assert.ok(none.every((value) => value === 1));

  const weights = await recognizer.weights.tensor.read();
  const patches = await layers.patches.tensor.read();
  let [a, b] = [0, 0];
  face.forEach((byte, i) => {
    a += (byte / 255) * weights[2 * i];
    b += (byte / 255) * weights[2 * i + 1];
  });
  // d angle / d sample, and through samples of half the range to features.
  const slope = (i: number): number => (0.5 * (a * weights[2 * i + 1] - b * weights[2 * i])) / (a * a + b * b);
  const factors: number[] = [];
  for (let k = 0; k < found.length; k++) {
    const [place, feature] = [Math.floor(k / FEATURES), k % FEATURES];
    const [top, left] = [PATCH * Math.floor(place / 6), PATCH * (place % 6)];
    let derivative = 0;
    for (let y = 0; y < PATCH; y++) {
      for (let x = 0; x < PATCH; x++) {
        for (let c = 0; c < 3; c++) {
          const kernel = patches[((y * PATCH + x) * 3 + c) * FEATURES + feature];
          derivative += kernel * slope(((top + y) * WIDTH + left + x) * 3 + c);
        }
      }
    }
    // Distance derivative² / 2, against the squared error of a sample of half the range.
    const expected = ((10 / 2) * derivative ** 2) / (400 / (4 * PIXELS));
    if (expected > 1e-3) factors.push((found[k] - 1) / expected);
  }
  assert.ok(factors.length > 50, `${factors.length} features matter`);
  const mean = factors.reduce((sum, factor) => sum + factor, 0) / factors.length;
  // The mean of the squares of eight normal numbers.
  assert.ok(mean > 0.1 && mean < 4, `factor ${mean}`);
  for (const factor of factors) assert.ok(Math.abs(factor / mean - 1) < 0.01, `${factor}, expected ${mean}`);
  recognizer.dispose();
  layers.dispose();
});

test.run();
