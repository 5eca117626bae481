import * as assert from 'uvu/assert';
import * as engine from '../../src/engine.js';
import { enableMethods } from '../../src/methods.js';
import { gpuOps } from '../../src/ops/registry.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('methods');

/** Operations whose first argument is no tensor that one would call a method of. */
const FUNCTIONS_ONLY = [
  'concat',
  'where',
  'cosFace',
  'marginLoss',
  'quantize',
  'logisticBits',
  'ssim',
  'softmaxCrossEntropy',
];

test('a chain of methods gives what the functions give', async () => {
  enableMethods();
  const gpu = await testGpu();
  const [chained, nested] = scope(gpu, () => {
    const x = Tensor.from(gpu, [
      [-1, 2, 3],
      [4, -5, 6],
    ]);
    const { add, matmul, mean, relu, sub, transpose } = engine;
    return [
      x
        .add(1)
        .relu()
        .sub(x.mean([0]))
        .matmul(x.transpose()),
      matmul(sub(relu(add(x, 1)), mean(x, [0])), transpose(x)),
    ];
  });
  assert.equal(await chained.read(), await nested.read());
  for (const tensor of [chained, nested]) tensor.dispose();
});

test('methods record gradients, and take the type of elements', async () => {
  enableMethods();
  const gpu = await testGpu();
  const [count, gradient] = scope(gpu, () => {
    const x = Tensor.from(gpu, [-1, 2, 3]);
    const tape = new engine.Tape();
    const loss = tape.record(() => x.square().sum());
    return [x.greater(0).cast('float32').sum(), tape.gradients(loss, [x]).get(x)!];
  });
  assert.is(await count.item(), 2);
  assert.equal([...(await gradient.read())], [-2, 4, 6]);
  for (const tensor of [count, gradient]) tensor.dispose();
});

test('every operation that is exported and takes a tensor first is a method', () => {
  enableMethods();
  const exported = Object.keys(gpuOps).filter(
    (name) => typeof (engine as Record<string, unknown>)[name] === 'function',
  );
  const missing = exported.filter((name) => !(name in Tensor.prototype) && !FUNCTIONS_ONLY.includes(name));
  // Fused forms with many tensors stay functions.
  assert.equal(
    missing.filter((name) => !name.startsWith('batchNorm')),
    [],
  );
});

test.run();
