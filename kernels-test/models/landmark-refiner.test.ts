import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { LandmarkRefiner, loadRefiner, withRefiner } from '../../src/models/landmark-refiner.js';
import { loadSingleShot, writeSingleShot } from '../../src/models/single-shot.js';
import { readSafetensors } from '../../src/nn/safetensors.js';
import { referenceOps } from '../../src/ops/registry.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';
import { blockReference, inventedWeights } from './conv-block-reference.js';
import { inventedDetector, SMALL_DETECTOR } from './single-shot-fixture.js';

const test = gpuSuite('landmark refiner');

const SMALL = { widths: [3, 4, 5, 6] } as const;
const weights = inventedWeights(new LandmarkRefiner(SMALL), 3);
const detector = writeSingleShot(SMALL_DETECTOR, inventedDetector(1), { licence: 'none' });

test('the network agrees with its layers in float64', async () => {
  const gpu = await testGpu();
  const network = loadRefiner(gpu, withRefiner(detector, SMALL, weights))!;
  const shape = [2, 64, 64, 3];
  const values = randomValues(2 * 64 * 64 * 3, 7, [-1, 1]);
  const { tensor, unit, residual } = blockReference(weights);
  let x = unit(unit(toNdArray(values, shape), 'features', 0, 2), 'features', 3, 2);
  x = unit(residual(x, 'features.6', 2), 'features', 7, 2);
  x = unit(residual(x, 'features.10', 2), 'features', 11, 2);
  const flat = { shape: [2, 16 * 6], data: x.data };
  const product = referenceOps.matmul.forward([flat, tensor('points.weight')], {
    transposeA: false,
    transposeB: false,
  });
  const expected = referenceOps.add.forward([product, tensor('points.bias')], {});
  const output = scope(gpu, () => network.forward(Tensor.from(gpu, values, shape)));
  assert.equal([...output.shape], [2, 10]);
  assertClose('landmarks', await output.read(), expected.data, { sumLength: 9 * 96, linear: true });
  output.dispose();
  network.dispose();
});

test('a refiner is added to the file of its detector, and the detector does not change', async () => {
  const gpu = await testGpu();
  assert.is(loadRefiner(gpu, detector), null);
  const file = withRefiner(detector, SMALL, weights, { more: 'text' });
  const again = withRefiner(file, SMALL, weights, { more: 'text' });
  assert.equal(again, file, 'a second refiner takes the place of the first');
  loadSingleShot(gpu, file).dispose();
  const { tensors, metadata } = readSafetensors(file);
  for (const [name, tensor] of readSafetensors(detector).tensors) assert.equal(tensors.get(name), tensor);
  assert.is(metadata.get('licence'), 'none');
  assert.is(metadata.get('more'), 'text');
});

test('files that are damaged and sizes out of range are refused by name', async () => {
  const gpu = await testGpu();
  const refused = (bytes: Uint8Array, pattern: RegExp): void =>
    assert.throws(
      () => loadRefiner(gpu, bytes),
      (error: Error) => error instanceof CheckpointError && pattern.test(error.message),
    );
  refused(
    withRefiner(detector, { widths: [3, 4, 5] as never }, weights),
    /widths is \[3,4,5\]; expected four integers/,
  );
  refused(withRefiner(detector, { widths: [3, 4, 5, 7] }, weights), /features\.11\.weight/);
  const broken = new Map(weights);
  broken.set('points.bias', { shape: [10], data: new Float32Array(10).fill(Number.NaN) });
  refused(withRefiner(detector, SMALL, broken), /points\.bias: value 0 is NaN/);
  assert.throws(
    () => new LandmarkRefiner({ widths: [1, 2, 3, 0] }),
    (error: Error) => error instanceof ArgumentError && /widths is \[1,2,3,0\]/.test(error.message),
  );
});

test.run();
