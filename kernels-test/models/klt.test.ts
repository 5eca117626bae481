import * as assert from 'uvu/assert';
import { cosineBasis } from '../../src/models/cosine-basis.js';
import { KltAutoencoder, type KltConfig, quantizationInputs } from '../../src/models/klt-autoencoder.js';
import { add } from '../../src/ops/binary.js';
import { mse } from '../../src/ops/mse.js';
import { Tape } from '../../src/ops/tape.js';
import { affine } from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { principalComponents } from '../../src/training/components/principal-components.js';
import { SimulatedEncoder } from '../../src/training/simulated-encoder.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';
import { gradientsInFloat64 } from '../helpers/replay.js';

const test = gpuSuite('klt');

const SMALL: KltConfig = {
  height: 16,
  width: 12,
  band: { luma: [16, 12], chroma: [16, 12] },
  components: [288, 288],
  analysis: { channels: 6, blocks: 1 },
  synthesis: { channels: 5, blocks: 2 },
  steps: 40,
};

const { height: H, width: W } = SMALL;

function stepInputs(gpu: Parameters<typeof Tensor.zeros>[0], step: number) {
  const { logGain, fineness } = quantizationInputs(step, SMALL.steps);
  return {
    logGain: Tensor.from(gpu, Float32Array.of(logGain), [1]),
    fineness: Tensor.from(gpu, Float32Array.of(fineness), [1]),
  };
}

test('all cosines of all planes together restore any picture, and keep its energy', async () => {
  const gpu = await testGpu();
  const model = new KltAutoencoder(SMALL).initialize(gpu, 3);
  const values = randomValues(2 * H * W * 3, 5);
  const { symmetric, antisymmetric, restored } = scope(gpu, () => {
    const [symmetric, antisymmetric] = model.cosines(Tensor.from(gpu, values, [2, H, W, 3]));
    return { symmetric, antisymmetric, restored: model.fromCosines([symmetric, antisymmetric]) };
  });
  assertClose('restored', await restored.read(), values, { sumLength: 2 * (H + 3 * W), linear: true });
  let energy = 0;
  for (const half of [symmetric, antisymmetric]) for (const value of await half.read()) energy += value ** 2;
  const expected = values.reduce((sum, value) => sum + value ** 2, 0);
  assert.ok(Math.abs(energy / expected - 1) < 1e-5, `energy ${energy}, expected ${expected}`);
  for (const tensor of [symmetric, antisymmetric, restored]) tensor.dispose();
  model.dispose();
});

test("values that the encoder chooses lie near the network's values, and cost what they say", async () => {
  const gpu = await testGpu();
  const model = new KltAutoencoder(SMALL).initialize(gpu, 3);
  const encoder = new SimulatedEncoder(gpu, model, 4);
  const pixels = randomValues(3 * H * W * 3, 9).map((value) => 0.5 + value / 4);
  let last = 0;
  for (const t of [6, 20, 34]) {
    const values = scope(gpu, () => model.analyse(Tensor.from(gpu, pixels, [3, H, W, 3]), stepInputs(gpu, t)));
    const expected = await values.read();
    const { values: found, bits } = await encoder.encode(pixels, t);
    assert.equal([found.length, bits.length], [expected.length, 3]);
    // Plain rounding has a mean squared error of 1/12. This one also weighs bits, by scales that are not those of the values.
    const error = found.reduce((sum, value, k) => sum + (value - expected[k]) ** 2, 0) / found.length;
    assert.ok(error < 0.15, `${error} at index ${t}`);
    const all = bits.reduce((sum, own) => sum + own, 0);
    assert.ok(all > last, `${all} bits at index ${t}, ${last} before`);
    last = all;
    values.dispose();
  }
  encoder.dispose();
  model.dispose();
});

test('a mirrored picture has the same symmetric cosines and opposite antisymmetric ones', async () => {
  const gpu = await testGpu();
  const model = new KltAutoencoder(SMALL).initialize(gpu, 3);
  const picture = randomValues(H * W * 3, 6);
  const mirrored = picture.map((_, i) => {
    const [c, column, row] = [i % 3, Math.floor(i / 3) % W, Math.floor(i / (3 * W))];
    return picture[(row * W + W - 1 - column) * 3 + c];
  });
  const [symmetric, antisymmetric] = scope(gpu, () =>
    model.cosines(Tensor.from(gpu, Float32Array.of(...picture, ...mirrored), [2, H, W, 3])),
  );
  const [even, odd] = [await symmetric.read(), await antisymmetric.read()];
  const half = even.length / 2;
  const options = { sumLength: H + 3 * W, linear: true };
  assertClose('symmetric', even.subarray(half), even.subarray(0, half), options);
  assertClose(
    'antisymmetric',
    odd.subarray(half),
    odd.subarray(0, half).map((value) => -value),
    options,
  );
  symmetric.dispose();
  antisymmetric.dispose();
  model.dispose();
});

test('an untrained model restores a picture up to quantization, and better with a finer step', async () => {
  const gpu = await testGpu();
  const model = new KltAutoencoder(SMALL).initialize(gpu, 3);
  const picture = randomValues(H * W * 3, 7, [0.2, 0.8]);
  const errors: number[] = [];
  for (const step of [0, 16, 32]) {
    const error = scope(gpu, () => {
      const x = Tensor.from(gpu, picture, [1, H, W, 3]);
      const inputs = stepInputs(gpu, step);
      return mse(model.reconstruct(model.quantize(model.analyse(x, inputs), { mode: 'hard' }), inputs), x);
    });
    errors.push(await error.item());
    error.dispose();
  }
  const step32 = 4 * 2 ** (-32 / 8);
  assert.ok(errors[0] > errors[1] && errors[1] > errors[2], errors.join(' '));
  assert.ok(errors[2] < 1.2 * (step32 ** 2 / 12), `${errors[2]} against ${step32 ** 2 / 12}`); // the error of uniform rounding
  model.dispose();
});

test('loss and every gradient agree with float64', async () => {
  const gpu = await testGpu();
  const model = new KltAutoencoder(SMALL).initialize(gpu, 9);
  for (const [name, tensor] of model.stateTensors()) {
    const values = await tensor.read(); // all values are different, also in the layers that start at 0
    tensor.write(values.map((value, i) => value + 0.05 * Math.sin(i + name.length)));
  }
  const x = Tensor.from(gpu, randomValues(2 * H * W * 3, 8, [0, 1]), [2, H, W, 3]);
  const inputs = stepInputs(gpu, 24);
  const tensors = [...model.stateTensors().values(), ...model.constantTensors(), x, inputs.logGain, inputs.fineness];
  const leaves = new Map<Tensor, ReturnType<typeof toNdArray>>();
  for (const tensor of tensors) leaves.set(tensor, toNdArray(await tensor.read(), tensor.shape));
  const tape = new Tape();
  const result = scope(gpu, () => {
    const loss = tape.record(() => {
      const symbols = model.quantize(model.analyse(x, inputs), { mode: 'noise', seed: 5, stream: () => 3 });
      return add(affine(mse(model.reconstruct(symbols, inputs), x), 100), affine(model.bits(symbols, inputs), 1e-3));
    });
    return { loss, gradients: tape.gradients(loss, [...model.parameters().values()]) };
  });
  const expected = gradientsInFloat64(tape, leaves, result.loss, [...model.parameters().values()]);
  const loss = expected.values.get(result.loss)!.data[0];
  assert.ok(
    Math.abs((await result.loss.item()) / loss - 1) < 1e-4,
    `loss ${await result.loss.item()}, expected ${loss}`,
  );
  for (const [name, tensor] of model.parameters()) {
    const actual = await result.gradients.get(tensor)!.read();
    const wanted = expected.gradients.get(tensor)!.data;
    let [difference, norm] = [0, 0];
    wanted.forEach((value, i) => {
      difference += (actual[i] - value) ** 2;
      norm += value ** 2;
    });
    assert.ok(norm > 0, `${name}: the gradient is 0, which tests nothing`);
    assert.ok(Math.sqrt(difference / norm) < 2e-3, `${name}: relative error ${Math.sqrt(difference / norm)}`);
  }
  result.loss.dispose();
  for (const gradient of result.gradients.values()) gradient.dispose();
  for (const tensor of [x, inputs.logGain, inputs.fineness]) tensor.dispose();
  model.dispose();
});

test('principal components are those that the data was made from', async () => {
  const gpu = await testGpu();
  const [n, dimension, count] = [3000, 40, 6];
  const axes = cosineBasis(dimension, count);
  const noise = randomValues(n * (count + dimension), 11);
  const rows = new Float32Array(n * dimension);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < dimension; i++) {
      let value = 0.01 * noise[n * count + k * dimension + i];
      for (let a = 0; a < count; a++) value += 2 ** -a * noise[k * count + a] * axes[a][i];
      rows[k * dimension + i] = value;
    }
  }
  const { basis, variances } = await principalComponents(gpu, rows, dimension, count);
  for (let a = 0; a < count; a++) {
    assert.ok(Math.abs(variances[a] / 4 ** -a - 1) < 0.15, `variance ${a} is ${variances[a]}`);
    let along = 0;
    for (let i = 0; i < dimension; i++) along += basis[i * count + a] * axes[a][i];
    assert.ok(Math.abs(along) > 0.98, `component ${a} lies along its axis by ${along}`);
    for (let b = 0; b <= a; b++) {
      let product = 0;
      for (let i = 0; i < dimension; i++) product += basis[i * count + a] * basis[i * count + b];
      assert.ok(Math.abs(product - (a === b ? 1 : 0)) < 1e-5, `components ${a} and ${b} have the product ${product}`);
    }
  }
});

test('impossible configurations are refused by name', () => {
  assert.throws(
    () => new KltAutoencoder({ ...SMALL, components: [289, 1] }),
    /components\[0\] is 289; expected an integer from 1 to 288/,
  );
  assert.throws(
    () => new KltAutoencoder({ ...SMALL, band: { luma: [16, 11], chroma: [2, 2] } }),
    /band.luma\[1\] is 11/,
  );
  assert.throws(() => new KltAutoencoder({ ...SMALL, width: 13 }), /width is 13/);
  assert.throws(() => quantizationInputs(40, 40), /quantization index is 40; this model has 0 to 39/);
});

test.run();
