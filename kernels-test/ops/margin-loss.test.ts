import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { cosFace } from '../../src/ops/cosface.js';
import { type LossSpec, type MarginLossKernels, marginLoss, marginLossOp } from '../../src/ops/margin-loss.js';
import { naiveRows } from '../../src/ops/normalize.js';
import { labelsTensor, naiveSoftmax, softmaxCrossEntropy } from '../../src/ops/softmax.js';
import { Tape } from '../../src/ops/tape.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { THOROUGH } from '../helpers/thorough.js';

const test = gpuSuite('margin losses');

const SPECS: LossSpec[] = [
  { loss: 'cosface', scale: 64, margin: 0.35, lambda: 0 },
  { loss: 'arcface', scale: 64, margin: 0.5, lambda: 0 },
  { loss: 'arcface', scale: 16, margin: 1.5, lambda: 0 }, // the margin moves half of the angles beyond π
  { loss: 'sphereface', scale: 1, margin: 1, lambda: 0 },
  { loss: 'sphereface', scale: 1, margin: 2, lambda: 0 },
  { loss: 'sphereface', scale: 1, margin: 3, lambda: 0.5 },
  { loss: 'sphereface', scale: 1, margin: 4, lambda: 0 },
  { loss: 'sphereface', scale: 1, margin: 4, lambda: 5 },
  { loss: 'normface', scale: 30, margin: 0, lambda: 0 },
  { loss: 'softmax', scale: 1, margin: 0, lambda: 0 },
];

const KERNELS: Record<string, MarginLossKernels> = {
  naive: { rows: naiveRows, softmax: naiveSoftmax, matmul: { variant: 'naive' } },
  chosen: {},
};

const labelled = (classes: number) => (k: number, size: number) =>
  k === 2
    ? randomValues(size, 90, [0, classes]).map((value, row) => (row < 2 ? row * (classes - 1) : Math.floor(value)))
    : undefined;

for (const attrs of SPECS) {
  for (const [name, kernels] of Object.entries(KERNELS)) {
    test(`${attrs.loss}, margin ${attrs.margin}, λ ${attrs.lambda}: loss and gradients agree with float64, ${name} kernels`, async () => {
      for (const [batch, classes, size] of [
        [1, 1, 3],
        [3, 2, 5],
        [17, 33, 20],
        [9, 130, 64],
      ]) {
        await checkOp({
          op: 'marginLoss',
          attrs,
          inputs: [[batch, size], [classes, size], [batch]],
          values: labelled(classes),
          implementation: marginLossOp(kernels),
          // Logits as large as the scale (or ‖x‖) are rounded before their exponentials are taken.
          factor: Math.max(4, attrs.scale / 4),
          scale: 1 / batch,
        });
      }
    });
  }
}

test('losses agree with float64 for 10,000 classes of 512 dimensions', async () => {
  for (const attrs of THOROUGH ? [SPECS[1], SPECS[7]] : [SPECS[7]]) {
    await checkOp({
      op: 'marginLoss',
      attrs,
      inputs: [[3, 512], [10000, 512], [3]],
      values: labelled(10000),
      factor: 16,
      sumLength: 16,
    });
  }
});

/** Loss, and its gradient with respect to the embeddings, of rows at these angles to their class, in two dimensions. */
async function atAngles(angles: readonly number[], spec: LossSpec): Promise<{ loss: number; dx: Float32Array }[]> {
  const gpu = await testGpu();
  const results = [];
  for (const angle of angles) {
    const { loss, dx } = scope(gpu, () => {
      const x = Tensor.from(gpu, [2 * Math.cos(angle), 2 * Math.sin(angle)], [1, 2]);
      const w = Tensor.from(gpu, [1, 0, 0, -1], [2, 2]);
      const tape = new Tape();
      const loss = tape.record(() => marginLoss(x, w, labelsTensor(gpu, [0], 2), spec));
      return { loss, dx: tape.gradients(loss, [x]).get(x)! };
    });
    results.push({ loss: await loss.item(), dx: await dx.read() });
    loss.dispose();
    dx.dispose();
  }
  return results;
}

test('at the ends of the angles and where pieces meet, values and gradients are finite and the loss grows with the angle', async () => {
  const angles = [0, 1e-4, Math.PI / 4, Math.PI / 3, Math.PI / 2, 2, Math.PI - 0.5, Math.PI - 1e-3, Math.PI];
  for (const spec of SPECS.filter(({ scale }) => scale <= 16 || scale === 64).map((spec) => ({
    ...spec,
    scale: Math.min(spec.scale, 4),
  }))) {
    const results = await atAngles(angles, spec);
    for (const { loss, dx } of results) assert.ok([loss, ...dx].every(Number.isFinite), `${spec.loss}: ${loss}, ${dx}`);
    if (spec.loss === 'sphereface' || spec.loss === 'arcface') {
      // Up to here the logit of the other class, which is at right angles, falls, too.
      const losses = results.slice(2).map(({ loss }) => loss);
      for (let k = 1; k < losses.length; k++) {
        assert.ok(losses[k] > losses[k - 1], `${spec.loss} ${spec.margin}: ${losses}`);
      }
    }
  }
});

test('special cases agree: cosface with cosFace, no margin with normface, a large λ with margin 1, zero weights with equal logits', async () => {
  const gpu = await testGpu();
  const values = scope(gpu, () => {
    const x = Tensor.from(gpu, randomValues(5 * 16, 1), [5, 16]);
    const w = Tensor.from(gpu, randomValues(7 * 16, 2), [7, 16]);
    const labels = labelsTensor(gpu, [0, 6, 3, 3, 1], 7);
    return [
      marginLoss(x, w, labels, { loss: 'cosface', scale: 20, margin: 0.3 }),
      cosFace(x, w, labels, { scale: 20, margin: 0.3 }),
      marginLoss(x, w, labels, { loss: 'normface', scale: 20 }),
      marginLoss(x, w, labels, { loss: 'arcface', scale: 20, margin: 0 }),
      marginLoss(x, w, labels, { loss: 'sphereface', margin: 4, lambda: 1e9 }),
      marginLoss(x, w, labels, { loss: 'sphereface', margin: 1 }),
      softmaxCrossEntropy(Tensor.zeros(gpu, [5, 7]), labels),
      marginLoss(x, Tensor.zeros(gpu, [7, 16]), labels, { loss: 'softmax' }),
    ];
  });
  const [cosface, same, normface, arcface, soft, plain, uniform, zero] = await Promise.all(values.map((v) => v.item()));
  assert.is(cosface, same);
  assert.ok(Math.abs(normface - arcface) < 1e-5 * normface && cosface > normface);
  assert.ok(Math.abs(soft - plain) < 1e-5 * plain, `${soft} ${plain}`);
  assert.ok(Math.abs(uniform - zero) < 1e-6);
  for (const tensor of values) tensor.dispose();
});

test('a margin given as a function changes from run to run of a recorded step', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, randomValues(4 * 8, 1), [4, 8]);
  const w = Tensor.from(gpu, randomValues(3 * 8, 2), [3, 8]);
  const labels = labelsTensor(gpu, [0, 2, 1, 1], 3);
  let m = 0;
  const step = recordStep(gpu, {}, () => ({
    loss: marginLoss(x, w, labels, { loss: 'arcface', scale: 8, margin: () => m }),
  }));
  for (m of [0, 0.2, 0.5]) {
    step.run();
    const expected = scope(gpu, () => marginLoss(x, w, labels, { loss: 'arcface', scale: 8, margin: m }));
    assert.is(await step.outputs.loss.item(), await expected.item());
    expected.dispose();
  }
  for (const tensor of [step, x, w, labels]) tensor.dispose();
});

test('the old names s and m mean the same as scale and margin', async () => {
  const gpu = await testGpu();
  const values = scope(gpu, () => {
    const x = Tensor.from(gpu, randomValues(4 * 8, 1), [4, 8]);
    const w = Tensor.from(gpu, randomValues(3 * 8, 2), [3, 8]);
    const labels = labelsTensor(gpu, [0, 2, 1, 1], 3);
    return [
      cosFace(x, w, labels, { scale: 8, margin: 0.4 }),
      cosFace(x, w, labels, { s: 8, m: 0.4 }),
      cosFace(x, w, labels, { s: 3, m: 0.4, scale: 8 }),
      marginLoss(x, w, labels, { loss: 'arcface', scale: 8, margin: 0.4 }),
      marginLoss(x, w, labels, { loss: 'arcface', s: () => 8, m: 0.4 }),
      marginLoss(x, w, labels, { loss: 'arcface', scale: 8, m: 0.1, margin: 0.4 }),
    ];
  });
  const [cosface, old, mixed, arcface, oldArcface, mixedArcface] = await Promise.all(values.map((one) => one.item()));
  assert.equal([old, mixed], [cosface, cosface]);
  assert.equal([oldArcface, mixedArcface], [arcface, arcface]);
  assert.is.not(cosface, arcface);
  for (const tensor of values) tensor.dispose();
});

test('impossible numbers are refused by name', async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const [x, w] = [Tensor.zeros(gpu, [2, 4]), Tensor.zeros(gpu, [3, 4])];
    const labels = labelsTensor(gpu, [0, 1], 3);
    for (const [spec, message] of [
      [{ loss: 'sphereface', margin: 2.5 }, /margin is 2.5; expected 1, 2, 3 or 4/],
      [{ loss: 'arcface', margin: 2 }, /margin is 2; expected an angle/],
      [{ loss: 'triplet' as 'cosface' }, /loss is triplet/],
      [{ loss: 'cosface', scale: 0 }, /scale is 0/],
      [{ loss: 'sphereface', lambda: -1 }, /lambda is -1/],
    ] as const) {
      assert.throws(
        () => marginLoss(x, w, labels, spec),
        (error: Error) => error instanceof ArgumentError && message.test(error.message),
      );
    }
  });
});

test.run();
