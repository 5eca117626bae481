import * as assert from 'uvu/assert';
import { relu6 } from '../../src/models/relu6.js';
import { Adam } from '../../src/nn/adam.js';
import { clipGradients } from '../../src/nn/clip.js';
import { SGD } from '../../src/nn/sgd.js';
import { elu, gelu, hardSigmoid, hardSwish, leakyRelu, silu, softplus } from '../../src/ops/activations.js';
import { div } from '../../src/ops/binary.js';
import { conv2d } from '../../src/ops/conv/conv.js';
import { gpuOps, type OpName, referenceOps } from '../../src/ops/registry.js';
import { naiveSoftmax, softmaxCrossEntropyOp } from '../../src/ops/softmax.js';
import {
  acos,
  acosh,
  affine,
  asin,
  asinh,
  atan,
  atanh,
  clamp,
  cosh,
  erf,
  exp,
  log,
  reciprocal,
  relu,
  round,
  sigmoid,
  sign,
  sin,
  sinh,
  sqrt,
  square,
  tanh,
} from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, FEW_SHAPES, gpuSuite, type OpCase, randomValues, testGpu } from '../helpers/harness.js';
import { DTYPES, type GradientCase, gradientCases } from '../reference/reference-cases.js';

/*
 * NaN and infinity propagate in every operation, forward and backward, to the same places as in float64. WGSL lets
 * compilers assume that there are none, so each kernel is tested on each adapter.
 */

const test = gpuSuite('numbers that are not finite');

const SPECIALS = [Number.NaN, Infinity, -Infinity];

/** Operations whose last input has labels, which `labelsTensor` checks. */
const LABELLED: readonly OpName[] = ['softmaxCrossEntropy', 'cosFace', 'marginLoss'];

/** Operations that may multiply a NaN weight by the zeros of the padding. */
const PADDED: readonly OpName[] = ['conv2d', 'convTranspose2d'];

/** Index of the first, middle or last element. */
const placeOf = (size: number, special: number): number => [0, size >> 1, size - 1][SPECIALS.indexOf(special)];

/** Runs a case with `special` at `place` of input `which`, or of dy if `which` is null. */
function spoiled(
  { op, attrs, inputs, dtypes }: GradientCase,
  which: number | null,
  special: number,
  place: number,
): OpCase<OpName> {
  const put = (values: Float32Array): Float32Array => {
    values[place] = special;
    return values;
  };
  return {
    op,
    attrs,
    inputs: inputs.map(({ shape }) => shape),
    dtypes: dtypes ?? DTYPES[op],
    values: (k) => (k === which ? put(Float32Array.from(inputs[k].data)) : Float32Array.from(inputs[k].data)),
    ...(which === null
      ? { dyValues: (size: number) => put(Float32Array.from({ length: size }, (_, i) => 1 + (i % 3))) }
      : {}),
    // Only the places count here; other tests check the numbers.
    sumLength: Math.max(...inputs.map(({ data }) => data.length)),
    factor: 16,
    scale: 1,
    spreads: PADDED.includes(op),
  };
}

test('every operation has a case with values that are not finite', () => {
  const cases = new Set(gradientCases.map(({ op }) => op));
  assert.equal(
    Object.keys(gpuOps).filter((op) => !cases.has(op as OpName)),
    [],
  );
});

const byOp = new Map<OpName, GradientCase[]>();
for (const each of gradientCases) byOp.set(each.op, [...(byOp.get(each.op) ?? []), each]);

for (const [op, cases] of byOp) {
  // The cases of an operation differ in their kernels; after the third, they are only more shapes of convolutions.
  const tried = cases.slice(0, FEW_SHAPES ? 1 : 3);
  test(`${op}: NaN and infinity in an input reach the same results as in float64`, async () => {
    for (const each of tried) {
      const inputs = each.inputs.length - (LABELLED.includes(op) ? 1 : 0);
      for (let which = 0; which < inputs; which++) {
        if (((each.dtypes ?? DTYPES[op])?.[which] ?? 'float32') !== 'float32') continue;
        const { length } = each.inputs[which].data;
        for (const special of SPECIALS) await checkOp(spoiled(each, which, special, placeOf(length, special)));
      }
    }
  });

  test(`${op}: NaN and infinity in the gradient of the result reach the same gradients as in float64`, async () => {
    for (const each of tried) {
      const { data } = referenceOps[op].forward(each.inputs, each.attrs as never);
      for (const special of SPECIALS) await checkOp(spoiled(each, null, special, placeOf(data.length, special)));
    }
  });
}

test('a picture with a NaN does not affect the others of its batch', async () => {
  const gpu = await testGpu();
  for (const [inputs, outputs, kernel] of [
    [3, 5, 3],
    [16, 16, 3],
    [6, 10, 1],
  ]) {
    const values = randomValues(3 * 64 * inputs, 1);
    values[64 * inputs] = Number.NaN;
    const y = scope(gpu, () => {
      const x = Tensor.from(gpu, values, [3, 8, 8, inputs]);
      const w = Tensor.from(gpu, randomValues(kernel * kernel * inputs * outputs, 2), [
        kernel,
        kernel,
        inputs,
        outputs,
      ]);
      const edge = kernel >> 1;
      return conv2d(x, w, null, { padding: [edge, edge, edge, edge] });
    });
    const result = await y.read();
    const wrong = [0, 1, 2].map((n) => result.subarray(n * 64 * outputs, (n + 1) * 64 * outputs).some(Number.isNaN));
    assert.equal(wrong, [false, true, false], `${inputs} to ${outputs} channels, kernel ${kernel}`);
    y.dispose();
  }
});

const unaryValues: { name: string; apply: (x: Tensor) => Tensor; given: number[]; expected: number[] }[] = [
  { name: 'log', apply: log, given: [0, -0, -1, -1e-3, -3e38], expected: [-Infinity, -Infinity, NaN, NaN, NaN] },
  { name: 'exp', apply: exp, given: [1000, 89, -1000, -Infinity], expected: [Infinity, Infinity, 0, 0] },
  { name: 'sqrt', apply: sqrt, given: [-1, -1e-30, 0, Infinity], expected: [NaN, NaN, 0, Infinity] },
  { name: 'square', apply: square, given: [1e30, -1e30], expected: [Infinity, Infinity] },
  { name: 'sigmoid', apply: sigmoid, given: [200, -200, Infinity, -Infinity], expected: [1, 0, 1, 0] },
  { name: 'relu', apply: relu, given: [NaN, Infinity, -Infinity, 3e38, -1], expected: [NaN, Infinity, 0, 3e38, 0] },
  { name: 'relu6', apply: relu6, given: [NaN, Infinity, -Infinity, 7, 5], expected: [NaN, 6, 0, 6, 5] },
  { name: 'reciprocal', apply: reciprocal, given: [0, Infinity, NaN, -4], expected: [Infinity, 0, NaN, -0.25] },
  { name: 'sin', apply: sin, given: [NaN, Infinity, -Infinity, 0], expected: [NaN, NaN, NaN, 0] },
  { name: 'tanh', apply: tanh, given: [NaN, Infinity, -Infinity, 3e38, -3e38], expected: [NaN, 1, -1, 1, -1] },
  { name: 'erf', apply: erf, given: [NaN, Infinity, -Infinity, 3e38, -3e38], expected: [NaN, 1, -1, 1, -1] },
  { name: 'asin', apply: asin, given: [NaN, 2, -2, 1, -1, 0], expected: [NaN, NaN, NaN, Math.PI / 2, -Math.PI / 2, 0] },
  { name: 'acos', apply: acos, given: [NaN, 2, -2, 1, -1], expected: [NaN, NaN, NaN, 0, Math.PI] },
  { name: 'atan', apply: atan, given: [NaN, Infinity, -Infinity, 0], expected: [NaN, Math.PI / 2, -Math.PI / 2, 0] },
  { name: 'sinh', apply: sinh, given: [NaN, Infinity, -Infinity, 0], expected: [NaN, Infinity, -Infinity, 0] },
  { name: 'cosh', apply: cosh, given: [NaN, Infinity, -Infinity, 0], expected: [NaN, Infinity, Infinity, 1] },
  { name: 'asinh', apply: asinh, given: [NaN, Infinity, -Infinity, 0], expected: [NaN, Infinity, -Infinity, 0] },
  { name: 'acosh', apply: acosh, given: [NaN, Infinity, -Infinity, 0.5, 1], expected: [NaN, Infinity, NaN, NaN, 0] },
  { name: 'atanh', apply: atanh, given: [NaN, 1, -1, 2, -2, 0], expected: [NaN, Infinity, -Infinity, NaN, NaN, 0] },
  { name: 'round', apply: round, given: [NaN, Infinity, -Infinity, 2.5], expected: [NaN, Infinity, -Infinity, 2] },
  { name: 'leakyRelu', apply: leakyRelu, given: [NaN, Infinity, -Infinity], expected: [NaN, Infinity, -Infinity] },
  { name: '0·x below 0', apply: (x) => leakyRelu(x, 0), given: [NaN, -Infinity, 3], expected: [NaN, 0, 3] },
  { name: 'elu', apply: elu, given: [NaN, Infinity, -Infinity, -3e38], expected: [NaN, Infinity, -1, -1] },
  { name: 'gelu', apply: gelu, given: [NaN, Infinity, -Infinity, 3e38, -3e38], expected: [NaN, Infinity, 0, 3e38, 0] },
  {
    name: 'gelu by tanh',
    apply: (x) => gelu(x, { approximate: 'tanh' }),
    given: [NaN, Infinity, -Infinity, 3e38, -3e38],
    expected: [NaN, Infinity, 0, 3e38, 0],
  },
  { name: 'silu', apply: silu, given: [NaN, Infinity, -Infinity, 3e38, -3e38], expected: [NaN, Infinity, 0, 3e38, 0] },
  { name: 'softplus', apply: softplus, given: [NaN, Infinity, -Infinity, 3e38], expected: [NaN, Infinity, 0, 3e38] },
  { name: 'hardSigmoid', apply: hardSigmoid, given: [NaN, Infinity, -Infinity, 9], expected: [NaN, 1, 0, 1] },
  { name: 'hardSwish', apply: hardSwish, given: [NaN, Infinity, -Infinity, 9], expected: [NaN, Infinity, 0, 9] },
  { name: 'sign', apply: sign, given: [NaN, Infinity, -Infinity, 0], expected: [NaN, 1, -1, 0] },
  { name: '0·x + 1', apply: (x) => affine(x, 0, 1), given: [NaN, Infinity, 5], expected: [NaN, NaN, 1] },
  {
    name: 'x / 0',
    apply: (x) => div(x, Tensor.zeros(x.gpu, [4])),
    given: [1, -1, 0, NaN],
    expected: [Infinity, -Infinity, NaN, NaN],
  },
  {
    name: 'no bounds',
    apply: (x) => clamp(x, -Infinity, Infinity),
    given: [NaN, -Infinity, 9],
    expected: [NaN, -Infinity, 9],
  },
];

for (const { name, apply, given, expected } of unaryValues) {
  test(`${name} of ${given.join(', ')}`, async () => {
    const gpu = await testGpu();
    const y = scope(gpu, () => apply(Tensor.from(gpu, given, [given.length])));
    const result = [...(await y.read())].map((value) => value + 0);
    y.dispose();
    assert.equal(result, expected.map(Math.fround));
  });
}

const MASKED = -Infinity;

/** Rows of logits with masked classes: alternating, at the beginning, at the end, all but one, long. */
const maskedRows = (): number[][] => [
  [1, 2, MASKED, MASKED],
  [MASKED, 1, 2],
  [MASKED, MASKED, 1, 2],
  [1, MASKED, MASKED, 2],
  [MASKED, 2, MASKED],
  [...new Array(2000).fill(MASKED), 1, 2],
  [2, ...new Array(2000).fill(MASKED)],
  Array.from({ length: 3000 }, (_, c) => (c % 3 === 1 ? Math.sin(c) + (c === 1000 ? 2 : 0) : MASKED)),
];

for (const [name, implementation] of [
  ['as chosen', softmaxCrossEntropyOp()],
  ['one invocation a row', softmaxCrossEntropyOp(naiveSoftmax)],
] as const) {
  test(`masked classes have probability 0 and no gradient: ${name}`, async () => {
    for (const row of maskedRows()) {
      const label = row.indexOf(Math.max(...row));
      const masked = row.indexOf(MASKED);
      for (const chosen of [label, masked]) {
        await checkOp({
          op: 'softmaxCrossEntropy',
          attrs: {},
          inputs: [[1, row.length], [1]],
          values: (k) => (k === 0 ? Float32Array.from(row) : Float32Array.of(chosen)),
          sumLength: 64,
          implementation,
        });
      }
    }
  });

  test(`rows of only masked classes, NaN or infinity do not affect other rows: ${name}`, async () => {
    for (const wrong of [
      [MASKED, MASKED, MASKED],
      [1, NaN, 2],
      [1, Infinity, 2],
      [NaN, MASKED, MASKED],
    ]) {
      await checkOp({
        op: 'softmaxCrossEntropy',
        attrs: {},
        inputs: [[3, 3], [3]],
        values: (k) => (k === 0 ? Float32Array.of(1, 2, 3, ...wrong, 3, 1, 2) : Float32Array.of(0, 1, 2)),
        implementation,
      });
    }
  });
}

test('a NaN or infinity in a gradient makes the norm and the updated parameter not finite', async () => {
  const gpu = await testGpu();
  for (const special of SPECIALS) {
    for (const size of [1, 6, 1024]) {
      const values = randomValues(size, 3);
      values[size - 1] = special;
      const [param, grad] = [Tensor.from(gpu, new Float32Array(size), [size]), Tensor.from(gpu, values, [size])];
      const { norm, scale } = clipGradients([grad], 1);
      assert.ok(!Number.isFinite(await norm.item()), `norm of a gradient with ${special}`);
      assert.equal(await scale.item(), Number.isNaN(special) ? Number.NaN : 0);
      for (const optimizer of [
        new SGD(new Map([['p', param]]), { momentum: 0.9 }),
        new Adam(new Map([['p', param]])),
      ]) {
        param.write(new Float32Array(size));
        optimizer.step(new Map([[param, grad]]), 0.1, scale);
        const stepped = await param.read();
        assert.ok(!Number.isFinite(stepped[size - 1]), `${optimizer.constructor.name}, a gradient with ${special}`);
        optimizer.dispose();
      }
      for (const tensor of [param, grad, norm, scale]) tensor.dispose();
    }
  }
});

test.run();
