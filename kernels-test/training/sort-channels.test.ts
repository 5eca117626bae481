import * as assert from 'uvu/assert';
import { CheckpointError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { Autoencoder, type AutoencoderConfig } from '../../src/models/autoencoder.js';
import { loadState, saveState } from '../../src/nn/state.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { sortChannels } from '../../src/training/sort-channels.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('order of channels');

const CONFIG = { height: 16, width: 12, stages: [4, 4], latentChannels: 5, residualBlocks: 1, rates: 2 };

for (const [what, config] of [
  ['', CONFIG],
  [' of the autoencoder with linear layers', { ...CONFIG, global: { features: 7, blocks: 0, importance: true } }],
] as const) {
  test(`channels${what} in the order of their scales make the same pictures of the same symbols`, () => check(config));
}

async function check(config: AutoencoderConfig): Promise<void> {
  const gpu = await testGpu();
  const model = new Autoencoder(config).initialize(gpu, 7);
  model.eval();
  const scales = [0.5, 2, -1, 1, 0];
  const order = [1, 3, 0, 4, 2];
  const random = new CounterRandom(5);
  for (const parameter of [...model.logGain, ...model.logInverseGain, model.latentMean]) {
    parameter.tensor.write(Float32Array.from({ length: parameter.tensor.size }, () => random.uniform() - 0.5));
  }
  model.logScale.forEach(({ tensor }, rate) => {
    tensor.write(Float32Array.from(scales, (scale) => scale + rate));
  });
  const sorted = new Autoencoder(config);
  loadState(sorted, sortChannels(config, await saveState(model)), gpu);
  sorted.eval();
  const faces = Float32Array.from({ length: 2 * 16 * 12 * 3 }, () => random.uniform());
  const passOf = (network: Autoencoder, rate: number) =>
    scope(gpu, () => {
      const values = network.analyse(Tensor.from(gpu, faces, [2, 16, 12, 3]), rate);
      return { values, restored: network.restore(values, rate) };
    });
  for (const rate of [0, 1]) {
    const results = [];
    for (const network of [model, sorted]) {
      const { values, restored } = passOf(network, rate);
      results.push({ values: await values.read(), restored: await restored.read() });
      values.dispose();
      restored.dispose();
    }
    const [before, after] = results;
    after.values.forEach((value, i) => {
      const same = before.values[i - (i % 5) + order[i % 5]];
      assert.ok(Math.abs(value - same) < 1e-5, `value ${i}: ${value}, expected ${same}`);
    });
    assert.ok(
      after.restored.every((value, i) => Math.abs(value - before.restored[i]) < 1e-5),
      'pictures',
    );
  }
  assert.equal(Array.from(await sorted.logScale[0].tensor.read()), [2, 1, 0.5, 0, -1]);
  assert.throws(
    () => sortChannels(config, new Map()),
    (error: unknown) => error instanceof CheckpointError,
  );
  model.dispose();
  sorted.dispose();
}

test.run();
