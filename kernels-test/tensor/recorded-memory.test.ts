// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { scope } from '../../src/tensor/tensor.js';
import { nullDevice, nullGpu } from '../shaders/every-kernel.js';
import { SMALL, Training } from './recorded-fixture.js';

/*
 * Memory of recorded steps, with the kernels for a CPU and for a GPU. It uses Dawn's null backend, which computes nothing,
 * because compiling the kernels for an adapter would take longer than everything else.
 */

for (const target of ['cpu', 'gpu'] as const) {
  for (const batch of [4, 16]) {
    test(`the autoencoder trains in 60 % of the unplanned memory, batch ${batch} on a ${target}`, async () => {
      const gpu = nullGpu(await nullDevice(), target);
      const training = new Training(gpu, {}, batch);
      const before = gpu.pool.liveBytes;
      const step = recordStep(gpu, training.inputs, training.body);
      const inputs = training.inputs.x.buffer.capacity + training.inputs.weight.buffer.capacity;
      assert.is(gpu.pool.liveBytes - before, step.plannedBytes - inputs, 'the step holds the bytes that it reports');
      const ratio = step.plannedBytes / step.unplannedBytes;
      console.log(`${step.plannedBytes} of ${step.unplannedBytes} bytes: ${ratio.toFixed(3)}`);
      assert.ok(ratio <= 0.6, `${step.plannedBytes} of ${step.unplannedBytes} bytes: ${ratio}`);
      step.dispose();
      assert.is(gpu.pool.liveBytes, before);
      training.dispose();
    });
  }

  test(`unplannedBytes is the memory that the eager step takes on a ${target}`, async () => {
    const gpu = nullGpu(await nullDevice(), target);
    const training = new Training(gpu, SMALL, 32);
    const before = gpu.pool.liveBytes;
    scope(gpu, () => {
      training.body(training.inputs);
    });
    const inputs = training.inputs.x.buffer.capacity + training.inputs.weight.buffer.capacity;
    const step = recordStep(gpu, training.inputs, training.body);
    assert.is(step.unplannedBytes, gpu.pool.peakBytes - before + inputs);
    step.dispose();
    training.dispose();
    await gpu.sync();
    assert.is(gpu.pool.liveBytes, 0);
  });
}

test.run();
