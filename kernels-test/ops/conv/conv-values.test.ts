import * as assert from 'uvu/assert';
import {
  chooseGather,
  chooseWeightGradient,
  type GatherConfig,
  gatherCandidates,
  type WeightGradientConfig,
  weightGradientCandidates,
} from '../../../src/ops/conv/choose.js';
import { conv2dOp } from '../../../src/ops/conv/conv.js';
import { gatherOf } from '../../../src/ops/conv/gather-plan.js';
import { type Conv2dAttrs, conv2dShape, convShape } from '../../../src/ops/conv/shape.js';
import { referenceOps } from '../../../src/ops/registry.js';
import { Tape } from '../../../src/ops/tape.js';
import { apply } from '../../../src/tensor/tape.js';
import { scope, Tensor } from '../../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu, toNdArray } from '../../helpers/harness.js';

/*
 * Tests values that are not finite, and long sums. A NaN or an infinity of the input, or of the output's gradient, affects exactly the
 * results whose windows contain it, whichever kernel runs. Neighbours and padding do not spread it.
 */

const test = gpuSuite('conv of values');

const attrsOf = (attrs: Partial<Conv2dAttrs>): Conv2dAttrs => ({
  stride: [1, 1],
  padding: [0, 0, 0, 0],
  dilation: [1, 1],
  groups: 1,
  ...attrs,
});

interface Configs {
  forward: GatherConfig;
  inputGradient: GatherConfig;
  weightGradient: WeightGradientConfig;
}

/** Computes the output and both gradients on the GPU and by the float64 reference. */
async function bothSides(
  values: { x: Float32Array; w: Float32Array; dy: Float32Array },
  [x, w]: readonly [number[], number[]],
  attrs: Conv2dAttrs,
  configs?: Configs,
): Promise<[actual: Float32Array, expected: Float64Array][]> {
  const gpu = await testGpu();
  const outShape = conv2dShape([x, w], attrs);
  const arrays = [toNdArray(values.x, x), toNdArray(values.w, w)];
  const output = referenceOps.conv2d.forward(arrays, attrs);
  const gradients = referenceOps.conv2d.backward(arrays, output, toNdArray(values.dy, outShape), attrs);
  const kept = scope(gpu, () => {
    const [a, b] = [Tensor.from(gpu, values.x, x), Tensor.from(gpu, values.w, w)];
    const tape = new Tape();
    const y = tape.record(() => apply('conv2d', conv2dOp(configs ? { configs } : {}), [a, b], attrs));
    const found = tape.gradients(y, [a, b], Tensor.from(gpu, values.dy, outShape));
    return [y, found.get(a)!, found.get(b)!];
  });
  const expected = [output, ...gradients].map((array) => Float64Array.from(array!.data));
  const sides: [Float32Array, Float64Array][] = [];
  for (const [k, tensor] of kept.entries()) {
    sides.push([await tensor.read(), expected[k]]);
    tensor.dispose();
  }
  return sides;
}

/** Asserts that the same elements are finite, and the others are the same infinities, or NaN. */
function assertSameKinds(what: string, actual: Float32Array, expected: Float64Array): void {
  for (const [k, value] of expected.entries()) {
    const same = Number.isFinite(value) ? Math.abs(actual[k] - value) < 1e-3 : Object.is(actual[k], Math.fround(value));
    assert.ok(same, `${what}: element ${k} is ${actual[k]}, expected ${value}`);
  }
}

const SHAPES: [name: string, x: number[], w: number[], attrs: Partial<Conv2dAttrs>][] = [
  ['3 × 3', [1, 9, 7, 8], [3, 3, 8, 8], { padding: [1, 1, 1, 1] }],
  ['strided, with columns that no window holds', [2, 8, 8, 4], [3, 3, 4, 8], { stride: [2, 2] }],
  ['depthwise', [1, 11, 10, 4], [3, 3, 1, 4], { padding: [1, 1, 1, 1], groups: 4 }],
  ['depthwise, strided', [1, 11, 10, 4], [3, 3, 1, 4], { stride: [2, 2], padding: [1, 1, 1, 1], groups: 4 }],
  ['grouped', [1, 6, 5, 4], [3, 3, 2, 4], { padding: [1, 1, 1, 1], groups: 2 }],
];

for (const [name, x, w, given] of SHAPES) {
  test(`NaN and infinity affect only the windows that contain them: ${name}`, async () => {
    const { limits } = await testGpu();
    const attrs = attrsOf(given);
    const shape = convShape(x, conv2dShape([x, w], attrs), w, attrs);
    const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
    const choices: (Configs | undefined)[] = [undefined];
    if (attrs.groups === 1) {
      const forward = gatherCandidates(gatherOf(shape, 'forward'), limits);
      for (const variant of ['naive', 'register', 'tiled', 'winograd'] as const) {
        const [own, back] = (['forward', 'inputGradient'] as const).map((direction) =>
          chooseGather(gatherOf(shape, direction), limits, variant),
        );
        const weightGradient = chooseWeightGradient(shape, limits, variant);
        choices.push({ forward: own, inputGradient: back, weightGradient });
      }
      const gradients = weightGradientCandidates(shape, limits);
      for (const config of forward.filter(({ variant }) => variant === 'winograd')) {
        const weightGradient = gradients.find(
          (one) => 'outputs' in one && 'outputs' in config && one.outputs === config.outputs,
        );
        assert.ok(weightGradient, 'the weight gradient has a kernel of that form, too');
        choices.push({ forward: config, inputGradient: config, weightGradient });
      }
    }
    for (const special of [Number.NaN, Number.POSITIVE_INFINITY, 1e38]) {
      for (const where of ['x', 'dy'] as const) {
        for (const at of [0, 37]) {
          const values = {
            x: randomValues(size(x), 1),
            w: randomValues(size(w), 2),
            dy: randomValues(size(shape.output) * x[0] * w[3], 3),
          };
          values[where][at] = special;
          // The last column is in no window of this stride.
          if (name.startsWith('strided') && where === 'x') values.x[7 * 4] = special;
          for (const configs of choices) {
            const sides = await bothSides(values, [x, w], attrs, configs);
            for (const [k, [actual, expected]] of sides.entries()) {
              if (special === 1e38) continue; // below it is only checked that the result is not NaN
              // The zeros of the padding are multiplied, and with a gradient that is not finite they may give NaN.
              if (where === 'dy' && k === 2) continue;
              const what = `${where}[${at}] = ${special}, ${configs?.forward.variant ?? 'chosen'}, result ${k}`;
              assertSameKinds(what, actual, expected);
            }
            if (special === 1e38) assert.ok(!sides[0][0].some(Number.isNaN), `${configs?.forward.variant}: overflow`);
          }
        }
      }
    }
  });
}

test('the error does not grow with the length of a sum', async () => {
  const cases: [x: number[], w: number[], groups: number][] = [
    [[1, 1, 1, 2 ** 17], [1, 1, 2 ** 17, 4], 1], // forward: over channels
    [[1, 300, 301, 4], [300, 301, 4, 4], 1], // forward: over taps
    [[3, 200, 203, 4], [1, 1, 4, 4], 1], // gradient of the weights: over pixels
    [[1, 2, 70_000, 4], [1, 1, 4, 4], 1], // over the pixels of long rows
    [[3, 200, 203, 4], [1, 1, 1, 4], 4], // depthwise
    [[3, 100, 103, 4], [1, 1, 2, 4], 2], // naive
  ];
  for (const [x, w, groups] of cases) {
    const attrs = attrsOf({ groups });
    const out = conv2dShape([x, w], attrs);
    const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
    const gpu = await testGpu();
    const [y, dw] = scope(gpu, () => {
      const [a, b] = [
        Tensor.from(gpu, new Float32Array(size(x)).fill(0.1), x),
        Tensor.from(gpu, new Float32Array(size(w)).fill(0.7), w),
      ];
      const tape = new Tape();
      const output = tape.record(() => apply('conv2d', conv2dOp(), [a, b], attrs));
      const dy = Tensor.from(gpu, new Float32Array(size(out)).fill(0.3), out);
      return [output, tape.gradients(output, [b], dy).get(b)!];
    });
    const terms: [Tensor, number, number][] = [
      [y, w[0] * w[1] * w[2], Math.fround(0.1) * Math.fround(0.7)],
      [dw, x[0] * out[1] * out[2], Math.fround(0.1) * Math.fround(0.3)],
    ];
    for (const [tensor, count, term] of terms) {
      for (const value of (await tensor.read()).slice(0, 4)) {
        const error = Math.abs(value / (count * term) - 1);
        assert.ok(error < 6e-6, `[${x}] * [${w}]: relative error ${error} of a sum of ${count}`);
      }
      tensor.dispose();
    }
  }
});

test.run();
