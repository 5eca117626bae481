// adapters: all
import * as assert from 'uvu/assert';
import { forwardAxis, inputGradientAxis } from '../../../shaders/common/conv-geometry.js';
import { tileBytes } from '../../../shaders/common/tile.js';
import type { KernelLimits } from '../../../src/gpu/kernel.js';
import {
  chooseGather,
  chooseWeightGradient,
  gatherCandidates,
  weightGradientCandidates,
} from '../../../src/ops/conv/choose.js';
import { type ConvOptions, conv2dOp, convTranspose2dOp } from '../../../src/ops/conv/conv.js';
import { blocksOf, gatherOf } from '../../../src/ops/conv/gather-plan.js';
import {
  type Conv2dAttrs,
  type ConvTranspose2dAttrs,
  convShape,
  convTranspose2dShape,
} from '../../../src/ops/conv/shape.js';
import { checkOp, FEW_SHAPES, gpuSuite, testGpu } from '../../helpers/harness.js';

const test = gpuSuite('conv');

const VARIANTS: Record<string, ConvOptions> = {
  naive: { variant: 'naive' },
  // The shapes are so small that a CPU adapter would choose the naive kernels.
  usual: { variant: 'register' },
  'register without subgroups': { variant: 'register', limits: { subgroupSize: 0 } },
  'register as on hardware': { variant: 'register', limits: { software: false, subgroupSize: 0 } },
  tiled: { variant: 'tiled' },
};

type Case = [x: number[], w: number[], bias: boolean, attrs: Partial<ConvTranspose2dAttrs>];

const conv = (attrs: Partial<Conv2dAttrs>): Conv2dAttrs => ({
  stride: attrs.stride ?? [1, 1],
  padding: attrs.padding ?? [0, 0, 0, 0],
  dilation: attrs.dilation ?? [1, 1],
  groups: attrs.groups ?? 1,
});

const CONV: Case[] = [
  [[1, 1, 1, 1], [1, 1, 1, 1], true, {}],
  [[2, 5, 7, 3], [3, 3, 3, 5], true, { padding: [1, 1, 1, 1] }],
  [[2, 9, 11, 4], [3, 3, 4, 8], false, { stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[3, 8, 6, 16], [4, 4, 16, 20], true, { stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[1, 13, 10, 3], [5, 5, 3, 16], true, { stride: [2, 2], padding: [1, 2, 2, 1] }],
  [[2, 7, 6, 33], [3, 3, 33, 18], true, { padding: [1, 1, 1, 1] }],
  [[2, 11, 9, 6], [3, 2, 6, 7], true, { stride: [3, 1], padding: [0, 2, 1, 0], dilation: [2, 3] }],
  [[2, 6, 5, 40], [1, 1, 40, 48], true, {}],
  [[1, 12, 9, 8], [1, 1, 8, 12], false, { stride: [2, 2] }],
  [[1, 2, 3, 5], [2, 2, 5, 3], true, { padding: [3, 0, 0, 4] }],
  [[1, 10, 9, 4], [2, 2, 4, 4], true, { stride: [4, 5] }],
];

const GROUPED: Case[] = [
  [[2, 5, 6, 4], [3, 3, 2, 6], true, { groups: 2, padding: [1, 1, 1, 1] }],
  [[2, 7, 5, 6], [3, 3, 1, 6], true, { groups: 6, stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[1, 5, 5, 3], [3, 3, 1, 6], false, { groups: 3, dilation: [2, 2], padding: [2, 2, 2, 2] }],
];

const DECONV: Case[] = [
  [[1, 1, 1, 1], [2, 2, 1, 1], true, { stride: [2, 2] }],
  [[2, 3, 4, 6], [3, 3, 5, 6], true, { stride: [2, 2], padding: [1, 1, 1, 1], outputPadding: [1, 0] }],
  [[3, 5, 3, 20], [4, 4, 16, 20], true, { stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[2, 7, 6, 16], [4, 4, 3, 16], true, { stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[1, 4, 5, 7], [5, 3, 9, 7], false, { stride: [3, 2], padding: [1, 0, 0, 1], outputPadding: [2, 1] }],
  [[1, 4, 3, 4], [2, 3, 8, 4], true, { stride: [3, 1], dilation: [2, 3], padding: [0, 1, 1, 0] }],
  [[2, 3, 3, 5], [1, 1, 6, 5], true, { stride: [2, 2], outputPadding: [1, 1] }],
  [[1, 4, 4, 12], [3, 3, 12, 12], false, { padding: [1, 1, 1, 1] }],
];

const GROUPED_DECONV: Case[] = [
  [[2, 3, 4, 4], [3, 3, 3, 4], true, { groups: 2, stride: [2, 2] }],
  [[1, 3, 4, 3], [4, 4, 1, 3], true, { groups: 3, stride: [2, 2], padding: [1, 1, 1, 1] }],
];

/** The longest sum of the three passes: taps × channels, or pixels for the weight gradient. */
const longest = (x: number[], w: number[]) => w[0] * w[1] * Math.max(w[2], w[3]) + 4 * x[0] * x[1] * x[2];

/**
 * Compiling takes most of the time here. So variants that this adapter would not choose run on every third case; if shapes are to be
 * few, all do but the naive one.
 */
const sample = (cases: Case[], variant: string): Case[] =>
  (FEW_SHAPES && variant !== 'naive') || variant.startsWith('register') ? cases.filter((_, k) => k % 3 === 1) : cases;

// LLVM takes seconds for each kernel without shared loads, and lavapipe never chooses them. SwiftShader tests them.
const lavapipe = (await testGpu()).description.kind === 'lavapipe';

for (const [variant, options] of Object.entries(VARIANTS)) {
  if (lavapipe && variant.startsWith('register')) continue;
  test(`conv2d and its gradients agree with float64, ${variant}`, async () => {
    for (const [x, w, bias, attrs] of [...sample(CONV, variant), ...GROUPED]) {
      const inputs = bias ? [x, w, [w[3]]] : [x, w];
      const implementation = conv2dOp(options);
      await checkOp({ op: 'conv2d', attrs: conv(attrs), inputs, sumLength: longest(x, w), implementation });
    }
  });

  test(`convTranspose2d and its gradients agree with float64, ${variant}`, async () => {
    for (const [x, w, bias, attrs] of [...sample(DECONV, variant), ...GROUPED_DECONV]) {
      const full = { ...conv(attrs), outputPadding: attrs.outputPadding ?? ([0, 0] as const) };
      const inputs = bias ? [x, w, [w[2] * full.groups]] : [x, w];
      const implementation = convTranspose2dOp(options);
      await checkOp({ op: 'convTranspose2d', attrs: full, inputs, sumLength: longest(x, w), implementation });
    }
  });
}

/** Kernels that are multiples of the stride: blocks of one pixel, of rows, of 3 × 2, half outside, of 27 numbers. */
const BLOCKS: Case[] = [
  [[1, 1, 1, 1], [2, 2, 1, 1], true, { stride: [2, 2] }],
  [[2, 5, 4, 8], [8, 8, 3, 8], true, { stride: [4, 4], padding: [2, 2, 2, 2] }],
  [[2, 4, 5, 6], [3, 3, 3, 6], true, { stride: [3, 1], padding: [1, 0, 2, 1], outputPadding: [2, 0] }],
  [[1, 3, 4, 5], [6, 4, 2, 5], false, { stride: [3, 2], padding: [4, 3, 3, 2] }],
  [[2, 3, 2, 4], [3, 3, 3, 4], true, { stride: [3, 3] }],
  [[1, 4, 3, 9], [4, 2, 12, 9], true, { stride: [2, 2], outputPadding: [1, 1] }],
];

test('convTranspose2d in blocks agrees with float64, and the input gradient of conv2d does', async () => {
  // Tiles, as on a GPU, take LLVM seconds.
  for (const limits of lavapipe ? [{ software: true }] : [{ software: true }, { software: false }]) {
    for (const [k, [x, w, bias, attrs]] of (lavapipe || !limits.software ? BLOCKS.slice(1, 3) : BLOCKS).entries()) {
      const full = { ...conv(attrs), outputPadding: attrs.outputPadding ?? ([0, 0] as const) };
      const options = { variant: 'blocks', limits } as const;
      const output = convTranspose2dShape([x, w], full);
      const gather = gatherOf(convShape(output, x, w, full), 'inputGradient');
      assert.is(chooseGather(gather, { ...(await testGpu()).limits, ...limits }, 'blocks').variant, 'blocks');
      const inputs = bias ? [x, w, [w[2]]] : [x, w];
      const implementation = convTranspose2dOp(options);
      await checkOp({ op: 'convTranspose2d', attrs: full, inputs, sumLength: longest(x, w), implementation });
      if (k > 0) continue;
      const sumLength = longest(output, w);
      await checkOp({
        op: 'conv2d',
        attrs: conv(attrs),
        inputs: [output, w],
        sumLength,
        implementation: conv2dOp(options),
      });
    }
  }
});

test('blocks need a stride that divides the kernel, without dilation and groups', () => {
  const fits = (kernel: number, stride: number, dilation = 1, groups = 1): boolean => {
    const attrs = { ...conv({}), stride: [stride, stride], dilation: [dilation, dilation], groups } as const;
    const shape = convShape([1, 12, 12, 2], [1, 3, 3, 4], [kernel, kernel, 2 / groups, 4], attrs);
    return blocksOf(gatherOf(shape, 'inputGradient')) !== null;
  };
  assert.equal([fits(4, 4), fits(4, 2), fits(2, 2)], [true, true, true]);
  assert.equal(
    [fits(3, 2), fits(3, 1), fits(2, 4), fits(4, 2, 2), fits(2, 2, 1, 2)],
    [false, false, false, false, false],
  );
});

test('the phases of an input gradient cover every pair of pixel and tap exactly once', () => {
  for (const [size, kernel, stride, pad, dilation] of [
    [9, 3, 2, 1, 1],
    [10, 4, 2, 1, 1],
    [7, 5, 3, 2, 2],
    [11, 2, 4, 0, 1],
    [8, 3, 2, 0, 2],
  ]) {
    const out = Math.floor((size + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1;
    const shape = convShape([1, size, 1, 1], [1, out, 1, 1], [kernel, 1, 1, 1], {
      stride: [stride, 1],
      padding: [pad, pad, 0, 0],
      dilation: [dilation, 1],
      groups: 1,
    });
    const pairs = (plan: ReturnType<typeof forwardAxis>): string[] =>
      plan.phases.flatMap(({ start, count, firstTap, taps, firstOffset }) =>
        Array.from({ length: count }, (_, q) =>
          Array.from({ length: taps }, (_, i) => [
            plan.destStride * q + start,
            plan.sourceStride * q + firstOffset + i * plan.offsetStride,
            firstTap + i * plan.tapStride,
          ]),
        ).flat(),
      ) as unknown as string[];
    const inside = (big: number, small: number) => big >= 0 && big < size && small >= 0 && small < out;
    const forward = (pairs(forwardAxis(shape, 0)) as unknown as number[][])
      .filter(([small, big]) => inside(big, small))
      .map(([small, big, tap]) => `${big},${small},${tap}`);
    const backward = (pairs(inputGradientAxis(shape, 0)) as unknown as number[][])
      .filter(([big, small]) => inside(big, small))
      .map(([big, small, tap]) => `${big},${small},${tap}`);
    assert.equal(backward.sort(), forward.sort());
  }
});

test('the choice of kernels depends only on the shape and the limits', () => {
  const shape = convShape([16, 56, 48, 16], [16, 28, 24, 32], [3, 3, 16, 32], {
    stride: [2, 2],
    padding: [1, 1, 1, 1],
    dilation: [1, 1],
    groups: 1,
  });
  const limits: KernelLimits = {
    software: true,
    maxWorkgroupInvocations: 256,
    maxWorkgroupStorageBytes: 16384,
    subgroupSize: 8,
  };
  const size = gatherOf(shape, 'forward');
  const chosen = chooseGather(size, limits);
  assert.equal(chosen, chooseGather({ ...size }, { ...limits }));
  assert.is(chosen.variant === 'register' && chosen.subgroup, 8);
  const onGpu = { ...limits, software: false, subgroupSize: 32 };
  assert.is(chooseGather(size, onGpu).variant, 'tiled');
  // If compiling takes longer than running, the naive kernels are chosen, but never on a GPU.
  const tiny = { ...shape, batch: 1, cin: 2, cout: 2, input: [6, 6], output: [6, 6] } as const;
  assert.is(chooseGather(gatherOf(tiny, 'forward'), limits).variant, 'naive');
  assert.is(chooseWeightGradient(tiny, limits).variant, 'naive');
  assert.is.not(chooseGather(gatherOf(tiny, 'forward'), onGpu).variant, 'naive');
  assert.is.not(chooseWeightGradient(tiny, onGpu).variant, 'naive');
  assert.is(chooseGather({ ...size, dest: [...size.dest.slice(0, 3), 3] }, onGpu).variant, 'register');
  assert.is(chooseGather(gatherOf({ ...shape, groups: 4 }, 'forward'), limits).variant, 'naive');
  const gradient = chooseWeightGradient(shape, limits);
  assert.ok(gradient.variant === 'register' && gradient.splitK >= 1 && gradient.splitK <= 16 * 28);
  // A device with little workgroup memory gets a tile that fits: 64 × 64 takes 8 KiB and 256 bytes.
  const tight = chooseGather(size, { ...onGpu, maxWorkgroupStorageBytes: 8192 });
  assert.ok(tight.variant === 'tiled' && tileBytes(tight.tile) <= 8192);
  assert.is(chooseGather(size, { ...onGpu, maxWorkgroupStorageBytes: 0 }).variant, 'register');
});

test('kernels that pad are not chosen where the padded copy is too large for one buffer', () => {
  const attrs = { stride: [4, 4], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
  const shape = convShape([1, 4000, 4000, 1], [1, 1000, 1000, 8], [3, 3, 1, 8], attrs);
  for (const software of [true, false]) {
    const limits: KernelLimits = {
      software,
      maxWorkgroupInvocations: 256,
      maxWorkgroupStorageBytes: 16384,
      subgroupSize: 8,
    };
    const gather = gatherOf(shape, 'forward');
    assert.is(chooseGather(gather, limits).variant, 'naive');
    assert.is(chooseGather(gather, limits, 'register').variant, 'naive');
    assert.is(chooseWeightGradient(shape, limits).variant, 'naive');
    assert.equal(gatherCandidates(gather, limits), [{ variant: 'naive' }]);
    assert.equal(weightGradientCandidates(shape, limits), [{ variant: 'naive' }]);
    const roomy = { ...limits, maxBindingBytes: 2 ** 28 };
    assert.is.not(chooseGather(gather, roomy).variant, 'naive');
    assert.is.not(chooseWeightGradient(shape, roomy).variant, 'naive');
  }
});

test.run();
