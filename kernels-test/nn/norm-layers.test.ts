import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { GroupNorm, InstanceNorm, LayerNorm } from '../../src/nn/layers/norms.js';
import { groupNorm, instanceNorm, layerNorm } from '../../src/ops/standardize.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('layers that normalise');

test('layers give what their operations give', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, randomValues(48, 1), [2, 2, 3, 4]);
  const eps = 0.01;
  for (const [layer, run] of [
    [new LayerNorm(4, { eps }), (w, b) => layerNorm(x, w, b, { epsilon: eps })],
    [new LayerNorm([3, 4]), (w, b) => layerNorm(x, w, b, { normalizedAxes: 2 })],
    [new LayerNorm(4, { affine: false }), () => layerNorm(x)],
    [new GroupNorm(2, 4), (w, b) => groupNorm(x, 2, w, b)],
    [new InstanceNorm(4), (w, b) => instanceNorm(x, w, b)],
  ] as [LayerNorm | GroupNorm | InstanceNorm, (w: Tensor, b: Tensor) => Tensor][]) {
    layer.initialize(gpu, 1);
    let seed = 2;
    for (const tensor of layer.parameters().values()) {
      tensor.write(randomValues(tensor.size, seed++));
    }
    const [y, expected] = scope(gpu, () => [
      layer.forward(x),
      run(layer.weight?.tensor as Tensor, layer.bias?.tensor as Tensor),
    ]);
    assert.equal(await y.read(), await expected.read());
    for (const tensor of [y, expected]) tensor.dispose();
    layer.dispose();
  }
  x.dispose();
});

test('what does not fit is refused', () => {
  const refuses = (body: () => unknown, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof ArgumentError && message.test(error.message));
  refuses(() => new LayerNorm([]), /LayerNorm: shape is/);
  refuses(() => new LayerNorm(0.5), /LayerNorm: a size of the shape is the number 0.5/);
  refuses(() => new GroupNorm(3, 4), /GroupNorm: groups is the number 3; expected a divisor of the 4 channels/);
  refuses(() => new InstanceNorm(0), /InstanceNorm: channels/);
  refuses(() => new InstanceNorm(1, { momentum: 1 } as never), /no option "momentum"/);
});

test.run();
