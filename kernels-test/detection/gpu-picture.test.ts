import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import type { RgbImage } from '../../src/common/rgb-image.js';
import { type CropWindow, GpuPicture } from '../../src/detection/gpu-picture.js';
import { assertClose, gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('gpu-picture');

function noise(width: number, height: number, seed: number): RgbImage {
  const random = new CounterRandom(seed);
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, () => random.int(256)) };
}

/** The picture at half its size: means of 2×2 pixels as bytes, with black outside of the border. */
function halved({ width, height, data }: RgbImage): RgbImage {
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const half = { width: w, height: h, data: new Uint8Array(w * h * 3) };
  const at = (x: number, y: number, c: number): number => (x < width && y < height ? data[(y * width + x) * 3 + c] : 0);
  for (let i = 0; i < half.data.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % w, Math.floor(i / 3 / w)];
    const sum = at(2 * x, 2 * y, c) + at(2 * x + 1, 2 * y, c) + at(2 * x, 2 * y + 1, c) + at(2 * x + 1, 2 * y + 1, c);
    half.data[i] = Math.round(sum / 4);
  }
  return half;
}

/** Length of the intersection of two intervals. */
const common = (a: number, b: number, c: number, d: number): number => Math.max(0, Math.min(b, d) - Math.max(a, c));

/** The crop in float64: each pixel is the mean over its square, in which pixels of the picture count by their area. */
function expectedCrop(image: RgbImage, window: CropWindow, side: number): number[] {
  let picture = image;
  let { left, top, step } = window;
  for (; step >= 2 && Math.min(picture.width, picture.height) > 1; step /= 2, left /= 2, top /= 2) {
    picture = halved(picture);
  }
  const half = Math.max(step, 1) / 2;
  const result: number[] = [];
  for (let i = 0; i < side * side; i++) {
    const column = window.mirrored ? side - 1 - (i % side) : i % side;
    const x = left + (column + 0.5) * step;
    const y = top + (Math.floor(i / side) + 0.5) * step;
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      for (let row = 0; row < picture.height; row++) {
        const tall = common(row, row + 1, y - half, y + half);
        if (tall === 0) continue;
        for (let column = 0; column < picture.width; column++) {
          const wide = common(column, column + 1, x - half, x + half);
          sum += tall * wide * picture.data[(row * picture.width + column) * 3 + c];
        }
      }
      result.push((sum / (4 * half * half) - 127.5) / 128);
    }
  }
  return result;
}

/** The most halvings of a picture; each may round a value to the byte above or below. */
const HALVINGS = 3;
/** One level of a byte, in units of the crop. */
const BYTE = 1 / 128;

async function check(image: RgbImage, windows: readonly CropWindow[], side: number): Promise<void> {
  const picture = new GpuPicture(await testGpu(), image);
  const crops = picture.crops(windows, { width: side, height: side });
  const actual = await crops.read();
  crops.dispose();
  picture.dispose();
  assert.equal([...crops.shape], [windows.length, side, side, 3]);
  for (const [k, window] of windows.entries()) {
    const expected = expectedCrop(image, window, side);
    const ours = actual.subarray(k * side * side * 3, (k + 1) * side * side * 3);
    const what = `${image.width}×${image.height} ${JSON.stringify(window)}`;
    if (window.step < 2) {
      // Positions are rounded to float32, and noise changes from black to white within a pixel.
      assertClose(what, ours, expected, { scale: Math.max(2, image.width, image.height) });
    } else {
      const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i])), 0);
      assert.ok(worst < HALVINGS * BYTE, `${what}: off by ${worst}`);
      // Only bytes half way between two levels may round either way, so the mean error is small.
      const mean = expected.reduce((sum, value, i) => sum + Math.abs(value - ours[i]), 0) / expected.length;
      assert.ok(mean < BYTE / 2, `${what}: off by ${mean} on average`);
    }
  }
}

test('crops are means over squares, or bilinear if they are enlarged', async () => {
  const windows = [
    { left: 0, top: 0, step: 1 },
    { left: 3.25, top: -1.5, step: 0.37 },
    { left: 1.5, top: 2.125, step: 1.9 },
    { left: -8, top: 20, step: 1.3 },
    { left: 2.5, top: 1, step: 0.6, mirrored: true },
    { left: -3.25, top: 4, step: 1.7, mirrored: true },
  ];
  await check(noise(17, 23, 1), windows, 12);
  await check(noise(40, 9, 2), windows, 7);
  await check(noise(1, 1, 3), windows, 5);
});

test('large parts are cut from halved copies', async () => {
  const windows = [
    { left: 0, top: 0, step: 2 },
    { left: -5, top: 3.5, step: 3.7 },
    { left: 10, top: -9, step: 7.9 },
    { left: -7, top: 5, step: 3.1, mirrored: true },
  ];
  await check(noise(61, 47, 4), windows, 12);
  await check(noise(64, 33, 5), windows, 5);
});

test('at integer positions the pixels are those of the picture', async () => {
  const image = noise(30, 26, 6);
  const picture = new GpuPicture(await testGpu(), image);
  const crops = picture.crops([{ left: 4, top: 2, step: 1 }], { width: 24, height: 24 });
  const actual = await crops.read();
  crops.dispose();
  picture.dispose();
  for (let i = 0; i < actual.length; i++) {
    const [x, y] = [4 + (Math.floor(i / 3) % 24), 2 + Math.floor(i / 72)];
    const byte = image.data[(y * 30 + x) * 3 + (i % 3)];
    assert.ok(Math.abs(actual[i] - (byte - 127.5) / 128) < 1e-6, `(${x}, ${y}): ${actual[i]}`);
  }
});

test('pixels outside of the picture are black', async () => {
  const picture = new GpuPicture(await testGpu(), noise(9, 9, 7));
  const crops = picture.crops(
    [
      { left: -1e6, top: -1e6, step: 1 },
      { left: 16, top: 0, step: 5 },
    ],
    { width: 6, height: 5 },
  );
  for (const value of await crops.read()) assert.is(value, -127.5 / 128);
  crops.dispose();
  picture.dispose();
});

test.run();
