// adapters: all
import * as assert from 'uvu/assert';
import type { ConvShape } from '../../../shaders/common/conv-geometry.js';
import type { KernelLimits } from '../../../src/gpu/kernel.js';
import {
  chooseGather,
  chooseWeightGradient,
  gatherCandidates,
  weightGradientCandidates,
} from '../../../src/ops/conv/choose.js';
import { type ConvOptions, conv2dOp, convTranspose2dOp } from '../../../src/ops/conv/conv.js';
import { chooseDepthwise, chooseDepthwiseWeightGradient } from '../../../src/ops/conv/depthwise-choose.js';
import { gatherOf } from '../../../src/ops/conv/gather-plan.js';
import { planGather } from '../../../src/ops/conv/plan.js';
import {
  type Conv2dAttrs,
  type ConvTranspose2dAttrs,
  convOutputSize,
  convShape,
  convTransposeOutputSize,
} from '../../../src/ops/conv/shape.js';
import { planWeightGradient } from '../../../src/ops/conv/weight-gradient.js';
import { Tape } from '../../../src/ops/tape.js';
import { apply } from '../../../src/tensor/tape.js';
import { scope, Tensor } from '../../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../../helpers/harness.js';

const test = gpuSuite('depthwise conv');

const VARIANTS: Record<string, ConvOptions> = {
  naive: { variant: 'naive' },
  chosen: {},
  'as on hardware': { limits: { software: false } },
};

type Case = [input: number[], kernel: [number, number], bias: boolean, attrs: Partial<ConvTranspose2dAttrs>];

/** 3 and 5 channels are loaded one by one. Even numbers are loaded in twos on CPU adapters; on hardware 4, 8 and 12 in fours. */
const CASES: Case[] = [
  [[2, 7, 9, 8], [3, 3], true, { padding: [1, 1, 1, 1] }],
  [[2, 9, 11, 12], [3, 3], false, { stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[3, 8, 6, 4], [3, 3], true, { stride: [2, 2], padding: [0, 1, 1, 0] }],
  [[1, 7, 6, 8], [7, 6], true, {}],
  [[2, 11, 9, 3], [3, 2], true, { stride: [3, 1], padding: [0, 2, 1, 0], dilation: [2, 3] }],
  [[2, 13, 10, 5], [5, 5], true, { stride: [2, 3], padding: [1, 2, 2, 1] }],
  [[1, 2, 3, 6], [2, 2], true, { padding: [3, 0, 0, 4] }],
  [[1, 10, 9, 4], [2, 2], false, { stride: [4, 5] }],
  [[3, 5, 4, 12], [1, 1], true, {}],
  [[1, 1, 1, 2], [1, 1], true, { stride: [3, 3] }],
  [[2, 9, 40, 4], [1, 17], true, { padding: [0, 0, 8, 7] }],
  [[1, 5, 21, 2], [1, 16], true, { padding: [0, 0, 7, 8] }],
  [[1, 6, 5, 8], [3, 3], true, { dilation: [2, 2], padding: [2, 2, 2, 2], stride: [2, 1] }],
  // With one channel this is a dense conv.
  [[2, 5, 6, 1], [3, 3], true, { padding: [1, 1, 1, 1] }],
];

const conv = (attrs: Partial<Conv2dAttrs>, channels: number): Conv2dAttrs => ({
  stride: attrs.stride ?? [1, 1],
  padding: attrs.padding ?? [0, 0, 0, 0],
  dilation: attrs.dilation ?? [1, 1],
  groups: channels,
});

/** The longest sum: every pixel of the larger array and every tap is at most once in a sum. */
const longest = ([n, h, w]: number[], [kh, kw]: number[]) => Math.max(kh * kw, n * h * w);

// LLVM takes seconds for each kernel of wide loads, and lavapipe never chooses them. So it tests every third case.
const lavapipe = (await testGpu()).description.kind === 'lavapipe';

for (const [variant, options] of Object.entries(VARIANTS)) {
  const cases = CASES.filter((_, k) => !(lavapipe && variant === 'as on hardware') || k % 3 === 0);
  test(`depthwise conv2d and its gradients agree with float64, ${variant}`, async () => {
    for (const [input, kernel, bias, attrs] of cases) {
      const channels = input[3];
      await checkOp({
        op: 'conv2d',
        attrs: conv(attrs, channels),
        inputs: [input, [...kernel, 1, channels], ...(bias ? [[channels]] : [])],
        sumLength: longest(input, kernel),
        implementation: conv2dOp(options),
      });
    }
  });

  test(`depthwise convTranspose2d and its gradients agree with float64, ${variant}`, async () => {
    for (const [k, [input, kernel, bias, attrs]] of cases.entries()) {
      const channels = input[3];
      const full = { ...conv(attrs, channels), outputPadding: [0, 0] as [number, number] };
      // No tap reaches some rows, which have only the bias.
      if (k % 2 === 1) full.outputPadding = [full.stride[0] - 1, full.stride[1] > 2 ? 1 : 0];
      const [h, w] = convTransposeOutputSize([input[1], input[2]], kernel, full);
      if (h < 1 || w < 1) continue;
      await checkOp({
        op: 'convTranspose2d',
        attrs: full,
        inputs: [input, [...kernel, 1, channels], ...(bias ? [[channels]] : [])],
        sumLength: longest([input[0], h, w], kernel),
        implementation: convTranspose2dOp(options),
      });
    }
  });
}

test('a sum that is long enough for two passes over its parts agrees with float64', async () => {
  const input = [4, 23, 37, 2];
  await checkOp({
    op: 'conv2d',
    attrs: conv({ padding: [1, 1, 1, 1] }, 2),
    inputs: [input, [3, 3, 1, 2]],
    sumLength: longest(input, [3, 3]),
    implementation: conv2dOp({ limits: { software: false } }),
  });
  const shape = depthwiseShape([4, 23, 37, 2], [3, 3], { padding: [1, 1, 1, 1] });
  const config = chooseWeightGradient(shape, { ...LIMITS, software: false });
  assert.is(planWeightGradient(shape, config, { variant: 'naive' }).steps.length, 3);
});

test('values outside of the picture are not part of the sums, even if the picture has infinities', async () => {
  const gpu = await testGpu();
  // Infinity times a zero of the padding would be NaN.
  const x = new Float32Array(4 * 5 * 4).fill(Infinity);
  const y = await scope(gpu, () => {
    const tensors = [Tensor.from(gpu, x, [1, 4, 5, 4]), Tensor.from(gpu, new Float32Array(36).fill(1), [3, 3, 1, 4])];
    return apply('conv2d', conv2dOp(), tensors, conv({ padding: [2, 2, 2, 2] }, 4));
  });
  assert.ok((await y.read()).every((value) => value === Infinity));
  y.dispose();
});

test('equal inputs give the same bits on each run', async () => {
  const gpu = await testGpu();
  const run = async (): Promise<Float32Array[]> => {
    const results = scope(gpu, () => {
      const x = Tensor.from(gpu, randomValues(3 * 28 * 24 * 8, 1), [3, 28, 24, 8]);
      const w = Tensor.from(gpu, randomValues(72, 2), [3, 3, 1, 8]);
      const bias = Tensor.from(gpu, randomValues(8, 3), [8]);
      const tape = new Tape();
      const attrs = conv({ stride: [2, 2], padding: [1, 1, 1, 1] }, 8);
      const y = tape.record(() => apply('conv2d', conv2dOp(), [x, w, bias], attrs));
      const gradients = tape.gradients(y, [x, w, bias], Tensor.from(gpu, randomValues(y.size, 4), y.shape));
      return [y, ...[x, w, bias].map((tensor) => gradients.get(tensor) as Tensor)];
    });
    const values = await Promise.all(results.map((tensor) => tensor.read()));
    for (const tensor of results) tensor.dispose();
    return values;
  };
  const [first, second] = [await run(), await run()];
  first.forEach((values, k) => {
    assert.equal(new Uint8Array(second[k].buffer), new Uint8Array(values.buffer), `result ${k}`);
  });
});

const LIMITS: KernelLimits = {
  software: true,
  maxWorkgroupInvocations: 256,
  maxWorkgroupStorageBytes: 16384,
  subgroupSize: 8,
};

function depthwiseShape(big: number[], kernel: [number, number], attrs: Partial<Conv2dAttrs>): ConvShape {
  const full = conv(attrs, big[3]);
  const small = convOutputSize([big[1], big[2]], kernel, full);
  return convShape(big, [big[0], ...small, big[3]], [...kernel, 1, big[3]], full);
}

const gathers = (shape: ConvShape) => [gatherOf(shape, 'forward'), gatherOf(shape, 'inputGradient')];

test('only convs with a separate filter for each channel use the depthwise kernels', () => {
  const shape = depthwiseShape([2, 8, 8, 6], [3, 3], {});
  const forward = (changes: Partial<ConvShape>) => gatherOf({ ...shape, ...changes }, 'forward');
  const variants = (changes: Partial<ConvShape>, force?: 'naive') => [
    chooseGather(forward(changes), LIMITS, force).variant,
    chooseWeightGradient({ ...shape, ...changes }, LIMITS, force).variant,
  ];
  assert.equal(variants({}), ['depthwise', 'depthwise']);
  assert.equal(variants({}, 'naive'), ['naive', 'naive']);
  const variantsOf = (configs: { variant: string }[]) => configs.map(({ variant }) => variant);
  for (const limits of [LIMITS, { ...LIMITS, software: false }]) {
    assert.equal(variantsOf(gatherCandidates(forward({}), limits)), ['depthwise', 'naive'], 'what tuning may measure');
    assert.equal(variantsOf(weightGradientCandidates(shape, limits)), ['depthwise', 'naive']);
  }
  assert.equal(variants({ groups: 3 }), ['naive', 'naive']);
  assert.equal(variants({ cout: 12 }), ['naive', 'naive']);
  assert.equal(variants({ groups: 1, cin: 1, cout: 1 }), ['naive', 'naive'], 'there is little to compute');
  assert.equal(variants({ groups: 1, cin: 1, cout: 1, batch: 200 }), ['register', 'register']);
  const { steps, padded } = planGather(gatherOf(shape, 'forward'), 'bias', chooseGather(forward({}), LIMITS));
  assert.is(steps.length, 1, 'the picture is not copied');
  assert.is(padded, null);
});

test('the choice of kernels depends only on the shape and the limits', () => {
  const onGpu = { ...LIMITS, software: false };
  for (const [big, kernel, attrs] of [
    [[16, 56, 48, 64], [3, 3], { padding: [1, 1, 1, 1] }],
    [[16, 56, 48, 128], [3, 3], { stride: [2, 2], padding: [1, 1, 1, 1] }],
    [[1, 7, 6, 512], [3, 3], { padding: [1, 1, 1, 1] }],
    [[3, 7, 9, 10], [5, 5], { stride: [3, 2], dilation: [2, 2], padding: [4, 4, 4, 4] }],
  ] as [number[], [number, number], Partial<Conv2dAttrs>][]) {
    const shape = depthwiseShape(big, kernel, attrs);
    for (const limits of [LIMITS, onGpu]) {
      for (const gather of gathers(shape)) {
        const config = chooseDepthwise(gather, limits);
        assert.equal(chooseDepthwise({ ...gather }, { ...limits }), config);
        assert.is(big[3] % config.width, 0);
      }
      const gradient = chooseDepthwiseWeightGradient(shape, limits);
      assert.equal(chooseDepthwiseWeightGradient({ ...shape }, { ...limits }), gradient);
      assert.ok(gradient.splitK <= 32 && gradient.splitK >= 1);
      assert.ok(
        gradient.firstSplitK * gradient.splitK < big[0] * shape.output[0] * shape.output[1] + gradient.firstSplitK,
      );
    }
  }
});

test('CPU adapters take two channels at a time and GPUs four, in shorter strips if there is little to compute', () => {
  const layers = [
    depthwiseShape([16, 56, 48, 64], [3, 3], { padding: [1, 1, 1, 1] }),
    depthwiseShape([1, 14, 12, 64], [3, 3], { padding: [1, 1, 1, 1] }),
  ];
  const [many, few] = layers.map((shape) => chooseDepthwise(gathers(shape)[0], LIMITS));
  assert.ok(many.kind === 'sliding' && many.width === 2 && many.steps === 56);
  assert.ok(few.kind === 'sliding' && few.width === 2);
  const onGpu = layers.map((shape) => chooseDepthwise(gathers(shape)[0], { ...LIMITS, software: false }));
  assert.ok(onGpu[0].kind === 'sliding' && onGpu[0].width === 4);
  assert.ok(onGpu[1].kind === 'sliding' && onGpu[1].steps * onGpu[1].pixels < few.steps * few.pixels);
});

test('filters too large for registers, dilations that need too many sums, and single rows use the loop', () => {
  for (const shape of [
    depthwiseShape([2, 40, 40, 8], [13, 13], {}),
    depthwiseShape([2, 90, 9, 8], [3, 1], { dilation: [40, 1] }),
    depthwiseShape([2, 7, 6, 8], [7, 6], {}),
  ]) {
    assert.is(chooseDepthwise(gathers(shape)[0], LIMITS).kind, 'loop');
    assert.is(chooseDepthwiseWeightGradient(shape, LIMITS).block[0], 1, 'taps of one row keep no rows of the output');
  }
});

test.run();
