import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import {
  AvgPool2d,
  Conv2d,
  Flatten,
  type Layer,
  Linear,
  MaxPool2d,
  ReLU,
  Reshape,
  Sequential,
  Sigmoid,
  Upsample,
  valueAndGradients,
} from '../../src/nn/index.js';
import { reshape } from '../../src/ops/layout.js';
import { mse } from '../../src/ops/mse.js';
import { avgPool2d, maxPool2d } from '../../src/ops/pool/pool.js';
import { mean } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { relu, sigmoid, square } from '../../src/ops/unary.js';
import { upsampleBilinear, upsampleNearest } from '../../src/ops/upsample.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('layers without parameters');

test('each layer does what its operation does, alone and in a Sequential', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, randomValues(2 * 6 * 4 * 3, 1), [2, 6, 4, 3]);
  const pairs: [Layer, (x: Tensor) => Tensor][] = [
    [new ReLU(), relu],
    [new Sigmoid(), sigmoid],
    [new MaxPool2d({ kernel: 2 }), (t) => maxPool2d(t, { kernel: 2 })],
    [
      new AvgPool2d({ kernel: [3, 2], stride: 1, padding: 1 }),
      (t) => avgPool2d(t, { kernel: [3, 2], stride: 1, padding: 1 }),
    ],
    [new Flatten(), (t) => reshape(t, [2, 72])],
    [new Reshape([8, -1]), (t) => reshape(t, [2, 8, 9])],
    [new Upsample(2), (t) => upsampleNearest(t, [2, 2])],
    [new Upsample([1, 3]), (t) => upsampleNearest(t, [1, 3])],
    [new Upsample([2, 3], 'bilinear'), (t) => upsampleBilinear(t, [12, 12])],
  ];
  for (const [layer, operation] of pairs) {
    const name = layer.constructor.name;
    assert.is(layer.parameterCount, 0, name);
    const [alone, within, expected] = scope(gpu, () => [
      layer.forward(x),
      new Sequential([layer]).forward(x),
      operation(x),
    ]);
    assert.equal([...alone.shape], [...expected.shape], name);
    assert.equal([...(await alone.read())], [...(await expected.read())], name);
    assert.equal([...(await within.read())], [...(await expected.read())], name);
    for (const tensor of [alone, within, expected]) tensor.dispose();
  }
  x.dispose();
});

test('bad arguments are refused when the layer is made, by the name of the layer', async () => {
  for (const [make, message] of [
    [() => new Reshape([2, 0]), /Reshape: shape is the array \[2,0\]/],
    [() => new Reshape([-1, -1]), /of which one may be -1/],
    [() => new Reshape('3' as never), /Reshape: shape is "3"/],
    [() => new Upsample(0), /Upsample: scale is the number 0/],
    [() => new Upsample(2, 'cubic' as never), /mode is "cubic"; expected "nearest" or "bilinear"/],
    [() => new MaxPool2d(undefined as never), /MaxPool2d/],
    [() => new AvgPool2d({ kernel: 2, size: 3 } as never), /AvgPool2d: there is no option "size"/],
  ] as const) {
    assert.match((await rejection(make, ArgumentError)).message, message);
  }
  const x = Tensor.zeros(await testGpu(), [2, 5]);
  await rejection(() => new Reshape([2, 3]).forward(x), ShapeError);
  x.dispose();
});

/** [N, 8, 8, 1] → [N, 3] */
const classifier = () =>
  new Sequential([
    new Conv2d(1, 4, 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Linear(64, 3),
  ]);

test('valueAndGradients gives what a tape gives, and frees everything else', async () => {
  const gpu = await testGpu();
  const net = classifier().initialize(gpu, 5);
  const x = Tensor.from(gpu, randomValues(2 * 64, 2), [2, 8, 8, 1]);
  const target = Tensor.from(gpu, randomValues(6, 3), [2, 3]);
  const loss = () => mse(net.forward(x), target);
  const [expectedValue, expected] = scope(gpu, () => {
    const tape = new Tape();
    const output = tape.record(loss);
    return [output, tape.gradients(output, [...net.parameters().values()])] as const;
  });
  for (const parameters of [net.parameters(), [...net.parameters().values()]]) {
    const { value, gradients } = valueAndGradients(loss, parameters);
    assert.is(gradients.size, 4);
    assert.is(await value.item(), await expectedValue.item());
    for (const [name, parameter] of net.parameters()) {
      assert.equal([...(await gradients.get(parameter)!.read())], [...(await expected.get(parameter)!.read())], name);
    }
    for (const tensor of [value, ...gradients.values()]) tensor.dispose();
  }
  for (const tensor of [expectedValue, ...expected.values(), x, target]) tensor.dispose();
  net.dispose();
});

test('valueAndGradients says what is wrong with its arguments', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2], [2]);
  const other = Tensor.from(gpu, [1, 2], [2]);
  const named = new Map([['x', x]]);
  for (const [attempt, message] of [
    [() => valueAndGradients(undefined as never, named), /loss is undefined; expected a function/],
    [() => valueAndGradients(() => mean(x), x as never), /parameters is a Tensor; expected a map or an array/],
    [() => valueAndGradients(() => mean(x), undefined as never), /parameters is undefined/],
    [() => valueAndGradients(() => mean(x), [3] as never), /parameters is the number 3/],
    [() => valueAndGradients(() => mean(x), new Map()), /expected at least one tensor/],
    [() => valueAndGradients(() => 3 as never, named), /what the loss gives is the number 3/],
    [() => valueAndGradients(() => square(x), named), /needs a seed/],
    [() => valueAndGradients(() => mean(square(other)), named), /no way from the output/],
  ] as const) {
    assert.match((await rejection(attempt, ArgumentError)).message, message);
  }
  const { value, gradients } = valueAndGradients(() => mean(square(x)), new Map([...named, ['other', other]]));
  assert.ok(gradients.has(x) && !gradients.has(other), 'a parameter that the loss does not depend on has no gradient');
  for (const tensor of [x, other, value, ...gradients.values()]) tensor.dispose();
});

test.run();
