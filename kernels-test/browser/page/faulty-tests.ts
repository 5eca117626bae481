import * as assert from 'uvu/assert';
import { Tensor } from '../../../src/engine.js';
import { gpuSuite, testGpu } from '../../helpers/harness.js';

// Tests that chromium-kernels.test.ts expects to fail in a page, between some that pass.
const test = gpuSuite('faulty');

test('passes', () => {});

test('differs', () => assert.equal([1, 2], [1, 3]));

test('the device reports an error', async () => {
  const { device } = await testGpu();
  device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
});

test('leaves a tensor behind', async () => {
  Tensor.zeros(await testGpu(), [4]);
});

test.skip('is skipped');

test('passes after them', () => {});

test.run();
