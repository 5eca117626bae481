import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { Dropout } from '../../src/nn/index.js';
import { dropout, dropoutOp } from '../../src/ops/dropout.js';
import { mean } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { square } from '../../src/ops/unary.js';
import { ones } from '../../src/tensor/create.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('dropout');

for (const [name, implementation] of [
  ['chosen', dropoutOp()],
  ['one element an invocation', dropoutOp(() => 1)],
] as const) {
  test(`agrees with float64, ${name}`, async () => {
    for (const shape of [[1], [7], [3, 5], [64], [2, 3, 33], [1, 4099]]) {
      for (const rate of [0, 0.25, 0.3, 0.9999]) {
        await checkOp({ op: 'dropout', attrs: { rate, seed: 5, stream: 9 }, inputs: [shape], implementation });
      }
    }
  });
}

/** Which of ones are not dropped, as a string of bits. */
async function kept(tensor: Tensor): Promise<string> {
  const values = await tensor.read();
  tensor.dispose();
  return Array.from(values, (value) => (value === 0 ? '0' : '1')).join('');
}

test('the share that is dropped is the rate, and streams and seeds differ', async () => {
  const gpu = await testGpu();
  const x = ones(gpu, [10000]);
  const bits = await kept(dropout(x, { rate: 0.3, seed: 1, stream: 2 }));
  const share = [...bits].filter((bit) => bit === '0').length / 10000;
  // Four standard errors.
  assert.ok(Math.abs(share - 0.3) < 0.019, `${share}`);
  assert.is(await kept(dropout(x, { rate: 0.3, seed: 1, stream: 2 })), bits);
  assert.is.not(await kept(dropout(x, { rate: 0.3, seed: 1, stream: 3 })), bits);
  assert.is.not(await kept(dropout(x, { rate: 0.3, seed: 2, stream: 2 })), bits);
  x.dispose();
});

test('the layer drops others in each pass of training, and none in evaluation', async () => {
  const gpu = await testGpu();
  const x = ones(gpu, [64]);
  const layer = new Dropout(0.5, { seed: 3 });
  const first = await kept(layer.forward(x));
  assert.is.not(await kept(layer.forward(x)), first);
  assert.is(await kept(new Dropout(0.5, { seed: 3 }).forward(x)), first, 'the same from the start');
  layer.eval();
  assert.is(layer.forward(x), x);
  x.dispose();
});

test('in a recorded step the layer needs the number of the step, and drops others in each run', async () => {
  const gpu = await testGpu();
  const x = ones(gpu, [64]);
  const uncounted = () => recordStep(gpu, {}, () => ({ y: new Dropout().forward(x) }));
  const refused = await rejection(uncounted, ArgumentError);
  assert.match(refused.message, /Dropout counts its steps/);
  let now = 0;
  const layer = new Dropout(0.5, { step: () => now });
  const step = recordStep(gpu, {}, () => {
    const tape = new Tape();
    const y = tape.record(() => layer.forward(x));
    const loss = tape.record(() => mean(square(y)));
    return { y, dx: tape.gradients(loss, [x]).get(x)! };
  });
  const seen = new Set<string>();
  for (; now < 3; now++) {
    step.run();
    const [y, dx] = await Promise.all([step.outputs.y.read(), step.outputs.dx.read()]);
    seen.add(y.join());
    // The backward pass drops what the forward pass dropped.
    y.forEach((value, i) => {
      assert.ok(Math.abs(dx[i] - (value * 2 * 2) / 64) < 1e-6, `${dx[i]} of ${value}`);
    });
  }
  assert.is(seen.size, 3);
  step.dispose();
  x.dispose();
});

test('NaN and infinity come through, and bad options are refused', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [Number.NaN, Number.NaN, Number.NaN, Number.NaN, Infinity, Infinity, Infinity, Infinity]);
  const y = dropout(x, { rate: 0.5, seed: 1 });
  assert.ok((await y.read()).every((value) => !Number.isFinite(value)));
  y.dispose();
  for (const [options, message] of [
    [{ rate: 1 }, /dropout: rate is the number 1; expected a number from 0 to below 1/],
    [{ rate: 1 - 1e-12 }, /rate/],
    [{ rate: -0.1 }, /rate/],
    [{ rate: 0.5, seed: -1 }, /seed is the number -1/],
    [{ rate: 0.5, stream: 0.5 }, /stream is the number 0.5/],
    [{ rate: 0.5, p: 1 }, /no option "p"/],
    [{}, /rate is undefined/],
  ] as const) {
    assert.match((await rejection(() => dropout(x, options as never), ArgumentError)).message, message);
  }
  assert.match((await rejection(() => new Dropout(1), ArgumentError)).message, /Dropout: rate is the number 1/);
  x.dispose();
});

test.run();
