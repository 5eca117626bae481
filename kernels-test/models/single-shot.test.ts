import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { sizeOf } from '../../src/common/shapes.js';
import {
  CELL_VALUES,
  isSingleShot,
  loadSingleShot,
  SingleShotDetector,
  writeSingleShot,
} from '../../src/models/single-shot.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { referenceOps } from '../../src/ops/registry.js';
import type { NdArray } from '../../src/reference/ndarray.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';
import { blockReference } from './conv-block-reference.js';
import { inventedDetector, SMALL_DETECTOR } from './single-shot-fixture.js';

const test = gpuSuite('single-shot');

/** The detector in float64, layer by layer. */
function detectorReference(weights: HostTensors, x: NdArray): NdArray {
  const { tensor, conv, unit, add, residual } = blockReference(weights);
  const twice = (a: NdArray): NdArray => referenceOps.upsampleNearest.forward([a], { scale: [2, 2] });
  const quarter = unit(unit(x, 'stage0', 0, 2), 'stage0', 3, 2);
  const fine = residual(unit(quarter, 'stage0', 6, 2), 'stage0.9', 1);
  const middle = residual(unit(fine, 'stage1', 0, 2), 'stage1.3', 2);
  const coarse = residual(unit(middle, 'stage2', 0, 2), 'stage2.3', 2);
  const mergedMiddle = unit(add(middle, twice(coarse)), 'merge1', 0);
  const mergedFine = unit(add(fine, twice(mergedMiddle)), 'merge0', 0);
  const heads = [mergedFine, mergedMiddle, coarse].map((features, k) => {
    const values = conv(features, `head${k}.weight`, 1, tensor(`head${k}.bias`));
    const [batch, rows, columns, size] = values.shape;
    return { shape: [batch, rows * columns, size], data: values.data };
  });
  return referenceOps.concat.forward(heads, { axis: 1 });
}

test('the network agrees with its layers in float64', async () => {
  const gpu = await testGpu();
  const weights = inventedDetector(1);
  const network = loadSingleShot(gpu, writeSingleShot(SMALL_DETECTOR, weights));
  for (const shape of [
    [1, 32, 32, 3],
    [2, 64, 96, 3],
  ]) {
    const values = randomValues(sizeOf(shape), 7, [-1, 1]);
    const expected = detectorReference(weights, toNdArray(values, shape));
    const output = scope(gpu, () => network.forward(Tensor.from(gpu, values, shape)));
    const [batch, height, width] = shape;
    assert.equal([...output.shape], [batch, (height * width * 21) / 1024, CELL_VALUES]);
    // There are fifteen convs one after the other, with sums of up to 45 terms.
    assertClose(`[${shape}]`, await output.read(), expected.data, { sumLength: 15 * 45, linear: true });
    output.dispose();
  }
  network.dispose();
});

test('a new network reports a face in one of a hundred cells, and is read back from its file', async () => {
  const gpu = await testGpu();
  const network = new SingleShotDetector(SMALL_DETECTOR).initialize(gpu, 3);
  network.eval();
  const output = scope(gpu, () => network.forward(Tensor.zeros(gpu, [1, 32, 32, 3])));
  const values = await output.read();
  for (let at = 0; at < values.length; at += CELL_VALUES) assert.ok(Math.abs(values[at] + 4.6) < 0.01, `${values[at]}`);
  output.dispose();
  network.dispose();
});

test('files that are not detectors are refused, and the error says why', async () => {
  const gpu = await testGpu();
  const refused = (bytes: Uint8Array, pattern: RegExp): void =>
    assert.throws(
      () => loadSingleShot(gpu, bytes),
      (error: Error) => error instanceof CheckpointError && pattern.test(error.message),
    );
  const weights = inventedDetector(2);
  assert.not(isSingleShot(writeSafetensors(weights)));
  assert.ok(isSingleShot(writeSingleShot(SMALL_DETECTOR, weights)));
  refused(writeSafetensors(weights), /not a detector: metadata "cameo\.detector" is missing/);
  refused(writeSingleShot({ stem: [3, 4], width: 0 }, weights), /describes no detector: detector: width is 0/);
  refused(writeSingleShot({ stem: [3] as never, width: 5 }, weights), /stem is \[3\]; expected two numbers/);
  refused(writeSingleShot({ ...SMALL_DETECTOR, width: 6 }, weights), /stage0\.6\.weight/);
  weights.get('head1.bias')!.data[4] = Number.NaN;
  refused(writeSingleShot(SMALL_DETECTOR, weights), /head1\.bias/);
  assert.throws(
    () => new SingleShotDetector({ stem: [1, 2.5] }),
    (error: Error) => error instanceof ArgumentError && /stem\[1\] is 2\.5/.test(error.message),
  );
});

test.run();
