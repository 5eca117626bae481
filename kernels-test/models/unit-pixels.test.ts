import * as assert from 'uvu/assert';
import { NotFiniteError } from '../../src/common/errors.js';
import {
  levelWords,
  pixelLevels,
  pixelsOfLevels,
  readLevels,
  unitsOfLevels,
  writeUnitPixels,
} from '../../src/models/unit-pixels.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('samples and levels');

/** Levels of samples of two pictures, by the GPU. */
async function levelsOf(samples: Float32Array, offset: number): Promise<Uint8Array[]> {
  const x = Tensor.from(await testGpu(), samples, [samples.length]);
  const words = pixelLevels(x, offset);
  try {
    return readLevels('test: the samples', await words.read(), 2, samples.length / 2, 7);
  } finally {
    for (const tensor of [x, words]) tensor.dispose();
  }
}

test('all levels come back, as bytes of their pictures', async () => {
  // More than one workgroup, and the last is not full.
  const pictures = [0, 1].map((n) => Uint8Array.from({ length: 48 * 25 }, (_, i) => (i * 7 + n * 100) % 256));
  const samples = new Float32Array(2 * 48 * 25);
  writeUnitPixels(pictures, samples);
  assert.equal(await levelsOf(samples, 0), pictures);
  assert.equal(
    await levelsOf(
      samples.map((x) => x - 0.5),
      0.5,
    ),
    pictures,
  );
});

test('bytes become the same samples on the GPU as on the CPU, to the last bit', async () => {
  const gpu = await testGpu();
  const pictures = [0, 1].map((n) => Uint8Array.from({ length: 404 }, (_, i) => (i * 7 + n * 100) % 256));
  const samples = new Float32Array(3 * 404);
  writeUnitPixels(pictures, samples);
  const words = levelWords(pictures, 3 * 404); // room for a third picture stays 0
  const given = Tensor.from(gpu, words, [words.length], 'int32');
  const table = Tensor.from(gpu, unitsOfLevels(), [256]);
  const pixels = pixelsOfLevels(given, table, [3, 404]);
  assert.equal(await pixels.read(), samples);
  for (const tensor of [given, table, pixels]) tensor.dispose();
});

test('samples are rounded to the nearest level, and clamped', async () => {
  const samples = new Float32Array(32);
  samples.set([-1e30, -0.1, 0.49 / 255, 0.51 / 255, 254.4 / 255, 254.6 / 255, 1.1, 3e38]);
  const [first, second] = await levelsOf(samples, 0);
  assert.equal([...first.subarray(0, 8)], [0, 0, 0, 1, 254, 255, 255, 255]);
  assert.ok([...first.subarray(8), ...second].every((level) => level === 0));
});

test('a sample that is not finite is an error that names it', async () => {
  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    for (const place of [0, 15, 16, 95]) {
      const samples = new Float32Array(96);
      samples[place] = bad;
      const error = await rejection(() => levelsOf(samples, 0.5), NotFiniteError);
      assert.match(error.message, `samples of face ${7 + Math.floor(place / 48)} are not finite (value ${place % 48})`);
    }
  }
});

test.run();
