import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { elu, gelu, hardSigmoid, hardSwish, leakyRelu, silu } from '../../src/ops/activations.js';
import type { OpAttrs } from '../../src/ops/registry.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('activations');
const SHAPES = [[], [1], [7], [3, 5, 7], [2, 3, 33, 5], [4099]];

type ActivationName = 'leakyRelu' | 'elu' | 'selu' | 'gelu' | 'silu' | 'softplus' | 'hardSigmoid' | 'hardSwish';

const CASES: { [K in ActivationName]: OpAttrs[K][] } = {
  leakyRelu: [{ slope: 0.01 }, { slope: 0 }, { slope: -0.5 }],
  elu: [{ alpha: 1 }, { alpha: 0 }, { alpha: 2.5 }],
  selu: [{}],
  gelu: [{ approximate: 'none' }, { approximate: 'tanh' }],
  silu: [{}],
  softplus: [{}],
  hardSigmoid: [
    { alpha: 1 / 6, beta: 0.5 },
    { alpha: 0.2, beta: -0.1 },
  ],
  hardSwish: [{}],
};

for (const [op, all] of Object.entries(CASES) as [ActivationName, OpAttrs[ActivationName][]][]) {
  for (const attrs of all) {
    const name = `${op} ${JSON.stringify(attrs)}`;
    test(`${name} agrees with float64`, async () => {
      for (const shape of SHAPES) await checkOp({ op, attrs, inputs: [shape] });
      // Up to where each of them has become straight.
      const values = (_: number, size: number) => randomValues(size, 7, [-12, 12]);
      await checkOp({ op, attrs, inputs: [[4099]], values });
    });

    test(`${name} agrees with float64 for small and large numbers of either sign`, async () => {
      // The derivative of elu is computed from y, with the error of y.
      const scale = op === 'elu' || op === 'selu' ? 1 : 1e-3;
      for (const size of [1e-30, 1e-6, 1e-3, 0.1, 2, 9, 19, 21, 90, 210, 1e10, 3e38]) {
        await checkOp({ op, attrs, inputs: [[1]], values: () => Float32Array.of(size) });
        await checkOp({ op, attrs, inputs: [[1]], values: () => Float32Array.of(-size), scale });
      }
    });
  }
}

test('the gradients at the kinks are those that the docs tell', async () => {
  const values = () => Float32Array.of(-3, -0, 0, 3);
  await checkOp({ op: 'leakyRelu', attrs: { slope: 0.25 }, inputs: [[4]], values });
  await checkOp({ op: 'leakyRelu', attrs: { slope: -0.25 }, inputs: [[4]], values });
  await checkOp({ op: 'elu', attrs: { alpha: 0.5 }, inputs: [[4]], values });
  await checkOp({ op: 'hardSigmoid', attrs: { alpha: 0.25, beta: 0.25 }, inputs: [[4]], values });
  await checkOp({ op: 'hardSwish', attrs: {}, inputs: [[4]], values });
});

test('parameters that are left out have their defaults', async () => {
  const gpu = await testGpu();
  for (const [apply, expected] of [
    [leakyRelu, -0.02],
    [elu, Math.expm1(-2)],
    [gelu, -0.04550026],
    [(x: Tensor) => gelu(x, { approximate: 'tanh' }), -0.04540231],
    [silu, -0.23840584],
    [hardSigmoid, 1 / 6],
    [hardSwish, -1 / 3],
  ] as const) {
    const y = scope(gpu, () => apply(Tensor.from(gpu, [-2], [1])));
    const value = await y.item();
    assert.ok(Math.abs(value - expected) < 1e-6, `${value}, expected ${expected}`);
    y.dispose();
  }
});

test('an unknown option of gelu is refused', async () => {
  const gpu = await testGpu();
  const x = Tensor.zeros(gpu, [2]);
  assert.throws(
    () => gelu(x, { approx: 'tanh' } as object),
    (error: Error) =>
      error instanceof ArgumentError && error.message === 'gelu: there is no option "approx"; expected approximate',
  );
  x.dispose();
});

test.run();
