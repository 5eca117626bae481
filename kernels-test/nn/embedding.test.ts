import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { Adam, Embedding, Linear, Sequential, valueAndGradients } from '../../src/nn/index.js';
import { mse } from '../../src/ops/mse.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('embedding layer');

test('an embedding gives the rows of its weight, and learns the used ones', async () => {
  const gpu = await testGpu();
  const layer = new Embedding(5, 3).initialize(gpu, 1);
  const indices = Tensor.from(gpu, [4, 0, 4, 2], [2, 2], 'int32');
  const rows = layer.forward(indices);
  assert.equal([...rows.shape], [2, 2, 3]);
  const weight = await layer.weight.tensor.read();
  assert.equal(
    [...(await rows.read())],
    [4, 0, 4, 2].flatMap((row) => [...weight.subarray(3 * row, 3 * row + 3)]),
  );
  const net = new Sequential([layer, new Linear(3, 1)]).initialize(gpu, 2);
  const before = await layer.weight.tensor.read();
  const adam = new Adam(net.parameters());
  const flat = indices.view([4]);
  const target = Tensor.from(gpu, [1, -1, 1, 2], [4, 1]);
  const losses: number[] = [];
  for (let step = 0; step < 20; step++) {
    const loss = scope(gpu, () => {
      const { value, gradients } = valueAndGradients(
        () => mse(net.forward(flat as unknown as Tensor), target),
        net.parameters(),
      );
      adam.step(gradients, 0.1);
      return value;
    });
    losses.push(await loss.item());
    loss.dispose();
  }
  assert.ok(losses[19] < 0.1 * losses[0], `${losses[0]} to ${losses[19]}`);
  const after = await layer.weight.tensor.read();
  for (const row of [1, 3]) assert.equal(after.subarray(3 * row, 3 * row + 3), before.subarray(3 * row, 3 * row + 3));
  adam.dispose();
  net.dispose();
  for (const tensor of [indices, flat, rows, target]) tensor.dispose();
});

test('bad arguments are refused', async () => {
  assert.match((await rejection(() => new Embedding(0, 3), ArgumentError)).message, /Embedding: count is the number 0/);
  const unknown = () => new Embedding(2, 3, { rate: 1 } as never);
  assert.match((await rejection(unknown, ArgumentError)).message, /Embedding: there is no option "rate"/);
});

test.run();
