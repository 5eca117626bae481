// adapters: all
import * as assert from 'uvu/assert';
import { GpuTrellis } from '../../src/codec/gpu-trellis.js';
import { IntegerTrellis } from '../../src/codec/integer-trellis.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { trellisFaces } from './trellis-faces.js';

const test = gpuSuite('trellis on the GPU');
const gpu = await testGpu();

test('it finds the symbols of the integer trellis on the CPU, which are those of float64 or cost as little', async () => {
  for (const count of [501, 63, 1]) {
    const faces = trellisFaces(9, count);
    const { rows, order } = faces[0];
    const trellis = new GpuTrellis(gpu, rows, order);
    try {
      const loaded = trellis.load(faces.map(({ values }) => values));
      // More searches than faces, in another order; every other one with a λ that changes on the way.
      const jobs = Array.from({ length: 37 }, (_, k) => {
        const face = (k * 7) % faces.length;
        const { job, split } = faces[face];
        return { ...job, face, ...(k % 2 === 1 ? { split: (count * k) >> 6, lambdaThen: split.lambda } : {}) };
      });
      const found = await trellis.choose(loaded, jobs);
      loaded.dispose();
      const onCpu = new IntegerTrellis(rows, order);
      jobs.forEach((job, k) => {
        const { values, cost, expected } = faces[job.face];
        assert.equal(found[k], onCpu.choose(values, job), `search ${k} of ${count} values`);
        if (k % 2 === 0) assert.ok(cost(found[k]) <= cost(expected) * (1 + 1e-6));
      });
    } finally {
      trellis.dispose();
    }
  }
});

test('values of any size have the same symbols', async () => {
  const values = Float32Array.of(0, 1e6, -1e6, 40.3, -0.2, 500.6, -31.9, 32.1, 1e-40, 29999.7, -0.5, 1.5);
  const order = Int32Array.from(values, (_, k) => values.length - 1 - k);
  const rows = Int32Array.from(values, (_, k) => 90 * k - 100);
  const trellis = new GpuTrellis(gpu, rows, order);
  try {
    const loaded = trellis.load([values]);
    const jobs = [0, 1, 300, 4095].flatMap((lambda) => [1, 0.3].map((gain) => ({ face: 0, gain, shift: 3, lambda })));
    const found = await trellis.choose(loaded, jobs);
    loaded.dispose();
    jobs.forEach((job, k) => {
      assert.equal(found[k], new IntegerTrellis(rows, order).choose(values, job), JSON.stringify(job));
    });
  } finally {
    trellis.dispose();
  }
});

test.run();
