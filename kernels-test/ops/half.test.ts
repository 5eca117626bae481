// adapters: all
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { tileBytes, tileRows } from '../../shaders/common/tile.js';
import { AutoencoderCodec } from '../../src/codec/autoencoder-codec.js';
import { ArgumentError } from '../../src/common/errors.js';
import { roundToHalf } from '../../src/common/precision.js';
import { sizeOf } from '../../src/common/shapes.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { chooseGather } from '../../src/ops/conv/choose.js';
import { type ConvOptions, conv2d, conv2dOp, convRequest, convTranspose2dOp } from '../../src/ops/conv/conv.js';
import { type ConvPlan, gatherOf } from '../../src/ops/conv/gather-plan.js';
import { planGather } from '../../src/ops/conv/plan.js';
import { type Conv2dAttrs, type ConvTranspose2dAttrs, convShape } from '../../src/ops/conv/shape.js';
import { tuneConv } from '../../src/ops/conv/tune.js';
import { referenceOps } from '../../src/ops/registry.js';
import { Tape } from '../../src/ops/tape.js';
import type { NdArray } from '../../src/reference/ndarray.js';
import { recordStep } from '../../src/tensor/recorded-step.js';
import { apply } from '../../src/tensor/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('half precision');
const gpu = await testGpu();
const hasHalf = gpu.device.features.has('shader-f16');
const onHalf = hasHalf ? test : test.skip;

test('roundToHalf rounds to the nearest half, ties to even', () => {
  for (const [value, half] of [
    [0, 0],
    [1, 1],
    [1 + 2 ** -11, 1], // half way: to the even one below
    [1 + 3 * 2 ** -11, 1 + 2 ** -9], // half way: to the even one above
    [1 + 2 ** -11 + 2 ** -30, 1 + 2 ** -10],
    [-0.1, -0.0999755859375],
    [1 / 3, 0.333251953125],
    [2 - 2 ** -12, 2],
    [65504, 65504],
    [65519.99, 65504],
    [65520, Infinity],
    [-1e9, -Infinity],
    [2 ** -14, 2 ** -14],
    [2 ** -24, 2 ** -24], // the smallest
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2 ** -23],
    [5.5 * 2 ** -24, 6 * 2 ** -24],
  ]) {
    assert.is(roundToHalf(value), half, `${value}`);
    assert.is(Math.abs(roundToHalf(-value)), Math.abs(half), `${-value}`);
  }
  assert.ok(Number.isNaN(roundToHalf(NaN)));
});

type Case = [x: number[], w: number[], bias: boolean, attrs: Partial<ConvTranspose2dAttrs>];

const attrsOf = (attrs: Partial<Conv2dAttrs>): Conv2dAttrs => ({
  stride: [1, 1],
  padding: [0, 0, 0, 0],
  dilation: [1, 1],
  groups: 1,
  ...attrs,
});

const CONV: Case[] = [
  [[2, 5, 7, 3], [3, 3, 3, 5], true, { padding: [1, 1, 1, 1] }],
  [[3, 8, 6, 16], [4, 4, 16, 20], false, { stride: [2, 2], padding: [1, 1, 1, 1] }],
  [[2, 11, 9, 6], [3, 2, 6, 7], true, { stride: [3, 1], padding: [0, 2, 1, 0], dilation: [2, 3] }],
  [[2, 6, 5, 20], [1, 1, 20, 28], true, {}],
];

const DECONV: Case[] = [
  [[2, 3, 4, 6], [3, 3, 5, 6], true, { stride: [2, 2], padding: [1, 1, 1, 1], outputPadding: [1, 0] }],
  [[2, 5, 3, 12], [4, 4, 8, 12], false, { stride: [2, 2], padding: [1, 1, 1, 1] }],
];

const VARIANTS: Record<string, ConvOptions> = {
  register: { variant: 'register', limits: { precision: 'f16' } },
  tiled: { variant: 'tiled', limits: { precision: 'f16' } },
};

/** Compiling takes most of the time: LLVM takes seconds for each register kernel, so these run on every second case. */
const sample = (cases: Case[], variant: string): Case[] =>
  cases.filter((_, k) => variant !== 'register' || k % 2 === 0);

const rounded = (array: NdArray): NdArray => ({ shape: array.shape, data: array.data.map(roundToHalf) });

/**
 * Compares results for operands with all 24 bits with the float64 reference for operands rounded to halves, within the tolerance of
 * f32 sums: nothing but the operands may have been rounded. Bias and its gradient are not rounded at all.
 */
async function check(op: 'conv2d' | 'convTranspose2d', [x, w, bias, given]: Case, options: ConvOptions): Promise<void> {
  const attrs = { outputPadding: [0, 0] as const, ...attrsOf(given) };
  const shapes = bias ? [x, w, [op === 'conv2d' ? w[3] : w[2]]] : [x, w];
  const values = shapes.map((shape, k) => randomValues(sizeOf(shape), 200 + k));
  const operands = values.map((data, k) => (k < 2 ? rounded : (same: NdArray) => same)(toNdArray(data, shapes[k])));
  const reference = referenceOps[op];
  const expected = reference.forward(operands, attrs);
  const dyValues = randomValues(sizeOf(expected.shape), 299);
  const dy = toNdArray(dyValues, expected.shape);
  const expectedGradients = reference.backward(operands, expected, rounded(dy), attrs);
  if (bias) expectedGradients[2] = reference.backward(operands, expected, dy, attrs)[2];

  const kept = scope(gpu, () => {
    const tensors = values.map((data, k) => Tensor.from(gpu, data, shapes[k]));
    const tape = new Tape();
    const output = tape.record(() =>
      op === 'conv2d'
        ? apply(op, conv2dOp(options), tensors, attrs)
        : apply(op, convTranspose2dOp(options), tensors, attrs),
    );
    const gradients = tape.gradients(output, tensors, Tensor.from(gpu, dyValues, output.shape));
    return [output, ...tensors.map((tensor) => gradients.get(tensor) as Tensor)];
  });
  const label = `${op} [${x}] [${w}]`;
  // Gradients of weights and bias are sums over pixels; the others are sums over taps and channels (and the bias).
  const pixels = sizeOf((op === 'conv2d' ? expected.shape : x).slice(0, 3));
  const sums = [w[0] * w[1] * Math.max(w[2], w[3]) + 1, pixels];
  try {
    for (const [k, array] of [expected, ...expectedGradients].entries()) {
      const what = `${label}: ${k === 0 ? 'output' : `gradient ${k - 1}`}`;
      assert.equal([...kept[k].shape], [...(array as NdArray).shape], what);
      assertClose(what, await kept[k].read(), (array as NdArray).data, {
        sumLength: sums[k < 2 ? 0 : 1],
        linear: true,
      });
    }
  } finally {
    for (const tensor of kept) tensor.dispose();
  }
}

for (const [variant, options] of Object.entries(VARIANTS)) {
  onHalf(`conv2d and its gradients round nothing but their operands, ${variant}`, async () => {
    for (const each of sample(CONV, variant)) await check('conv2d', each, options);
  });

  onHalf(`convTranspose2d and its gradients round nothing but their operands, ${variant}`, async () => {
    for (const each of DECONV) await check('convTranspose2d', each, options);
  });
}

/** Computes products with the given kernel, as a 1×1 convolution with one weight in the first of the channels. */
async function products(x: number[], w: number, channels: number, options: ConvOptions): Promise<number[]> {
  const sparse = (values: number[], step: number, size: number): Float32Array => {
    const array = new Float32Array(size);
    for (const [k, value] of values.entries()) array[k * step] = value;
    return array;
  };
  const y = scope(gpu, () => {
    const operands = [
      Tensor.from(gpu, sparse(x, channels, x.length * channels), [1, 1, x.length, channels]),
      Tensor.from(gpu, sparse([w], 1, channels * channels), [1, 1, channels, channels]),
    ];
    return apply('conv2d', conv2dOp(options), operands, attrsOf({}));
  });
  const values = await y.read();
  y.dispose();
  return [...values].filter((_, k) => k % channels === 0);
}

onHalf('what halves cannot hold: more than 11 bits, and more than 65504', async () => {
  const x = [1 + 2 ** -12, 1 + 3 * 2 ** -11, 0.5, 65504, 70000, -70000];
  for (const options of Object.values(VARIANTS)) {
    // One channel is copied and padded to 4; 4 channels are read in place, and rounded then.
    for (const channels of [1, 4]) {
      const rounded = [3, 3 * (1 + 2 ** -9), 1.5, 3 * 65504, Infinity, -Infinity];
      assert.equal(await products(x, 3, channels, options), rounded);
    }
  }
  // The naive kernel, which others are compared with, reads f32; so do all kernels on a device without the option.
  const naive = await products(x, 3, 1, { variant: 'naive', limits: { precision: 'f16' } });
  assert.equal(naive, [3 * (1 + 2 ** -12), 3 * (1 + 3 * 2 ** -11), 1.5, 3 * 65504, 210000, -210000]);
  assert.equal(await products(x, 3, 1, {}), naive);
});

test('copies of operands take half the memory, and tiles half the workgroup memory', () => {
  const shape = convShape([2, 8, 6, 3], [2, 8, 6, 20], [3, 3, 3, 20], attrsOf({ padding: [1, 1, 1, 1] }));
  const tile = { threadsX: 8, threadsY: 8, rowVecs: 2, columnVecs: 2 } as const;
  const [full, half] = (['f32', 'f16'] as const).map((precision) =>
    planGather(gatherOf(shape, 'forward'), 'none', { variant: 'tiled', tile }, precision),
  );
  // These are the padded picture, the packed weights and the result.
  const shapes = (plan: ConvPlan) => plan.steps.map((step) => step.shape);
  assert.equal(shapes(full), [
    [2, 10, 8, 4],
    [9, 4, 20],
    [2, 8, 6, 20],
  ]);
  assert.equal(shapes(half), [
    [2, 10, 8, 2],
    [9, 4, 10],
    [2, 8, 6, 20],
  ]);
  // A 1×1 conv reads the picture once, so rounding while it reads saves the copy.
  const once = convShape([2, 8, 6, 8], [2, 8, 6, 20], [1, 1, 8, 20], attrsOf({}));
  const plan = planGather(gatherOf(once, 'forward'), 'none', { variant: 'tiled', tile }, 'f16');
  assert.is(plan.padded, null);
  assert.equal(shapes(plan)[0], [1, 8, 10]);
  const places = 4 * tileRows(tile); // the positions of the rows take the same memory in both
  assert.is(2 * (tileBytes(tile, 'f16') - places), tileBytes(tile) - places);
  // A GPU without room for an f32 tile of 64 × 64 has room for it in f16.
  const size = gatherOf({ ...shape, batch: 4096 }, 'forward');
  const limits = {
    software: false,
    maxWorkgroupInvocations: 64,
    maxWorkgroupStorageBytes: 4096 + 256,
    subgroupSize: 0,
  };
  const wide = { ...size, dest: [...size.dest.slice(0, 3), 64] };
  assert.equal(chooseGather(wide, { ...limits, precision: 'f16' }), { variant: 'tiled', tile });
  assert.not.equal(chooseGather(wide, limits), { variant: 'tiled', tile });
});

test('a device without shader-f16 refuses f16, and every device refuses unknown precisions', async () => {
  const { device, description } = gpu;
  const without = Object.create(device, { features: { value: new Set(['subgroups']) } }) as GPUDevice;
  const refuses = (body: () => unknown, message: RegExp) =>
    assert.throws(body, (error: Error) => error instanceof ArgumentError && message.test(error.message));
  refuses(() => new Gpu(without, description, { precision: 'f16' }), /has no shader-f16, which precision "f16" needs$/);
  refuses(() => new Gpu(device, description, { precision: 'bf16' as 'f16' }), /"bf16"; expected "f32" or "f16"/);
  if (!hasHalf) {
    const error = await rejection(() => openGpu({ precision: 'f16' }), ArgumentError);
    assert.match(error.message, /has no shader-f16/);
  }
});

onHalf('a recorded step gives the same bits, and the codec refuses to encode', async () => {
  const half = await openGpu({ precision: 'f16', tuning: false });
  try {
    const attrs = attrsOf({ stride: [2, 2], padding: [1, 1, 1, 1] });
    const x = Tensor.from(half, randomValues(2 * 9 * 6 * 5, 11), [2, 9, 6, 5]);
    const weights = [
      [3, 3, 5, 8],
      [3, 3, 8, 6],
    ].map((shape, k) => Tensor.from(half, randomValues(sizeOf(shape), 12 + k), shape));
    const body = ({ x }: { x: Tensor }) => {
      const tape = new Tape();
      const y = tape.record(() => conv2d(conv2d(x, weights[0], null, attrs), weights[1], null, attrs));
      const gradients = tape.gradients(y, weights, y);
      return { y, first: gradients.get(weights[0]) as Tensor, second: gradients.get(weights[1]) as Tensor };
    };
    const eager = scope(half, () => Object.values(body({ x })));
    const step = recordStep(half, { x }, body);
    step.run();
    for (const [k, output] of Object.values(step.outputs).entries()) {
      assert.equal(await output.read(), await eager[k].read());
    }
    step.dispose();
    for (const tensor of [x, ...weights, ...eager]) tensor.dispose();

    const file = readFileSync(new URL('../../models/codec.safetensors', import.meta.url));
    const codec = AutoencoderCodec.fromWeights(half, file);
    const error = await rejection(() => codec.encode([], 0), ArgumentError);
    assert.match(error.message, /precision "f32"/);
    codec.dispose();
  } finally {
    half.destroy();
  }
});

onHalf('the option holds for the whole device, and its choices are measured and filed by themselves', async () => {
  const half = await openGpu({ precision: 'f16', tuning: false });
  try {
    assert.is(half.limits.precision, 'f16');
    const attrs = attrsOf({ padding: [1, 1, 1, 1] });
    const run = (device: typeof gpu): Tensor => {
      const x = Tensor.from(device, randomValues(2 * 5 * 6 * 4, 1), [2, 5, 6, 4]);
      return conv2d(x, Tensor.from(device, randomValues(9 * 4 * 4, 2), [3, 3, 4, 4]), null, attrs);
    };
    const outputs = [scope(half, () => run(half)), scope(gpu, () => run(gpu))];
    const [actual, f32] = await Promise.all(outputs.map((tensor) => tensor.read()));
    const values = [randomValues(2 * 5 * 6 * 4, 1), randomValues(9 * 4 * 4, 2)];
    const [x, w] = [rounded(toNdArray(values[0], [2, 5, 6, 4])), rounded(toNdArray(values[1], [3, 3, 4, 4]))];
    const expected = referenceOps.conv2d.forward([x, w], attrs).data;
    assertClose('f16', actual, expected, { sumLength: 36, linear: true });
    // The check detects missing rounding: on the other device, which does not round operands, the same conv is off by far more.
    const off = Math.max(...f32.map((value, i) => Math.abs(value - expected[i])));
    assert.ok(off > 5e-4, `${off}`);

    const shape = convShape([2, 5, 6, 4], [2, 5, 6, 4], [3, 3, 4, 4], attrs);
    const requests = half.tuning.collect(() => scope(half, () => run(half)).dispose());
    assert.equal(requests, [convRequest('forward', shape, 'f16')]);
    assert.not.equal(requests, [convRequest('forward', shape)]);
    const tuning = await tuneConv(half, requests[0]);
    assert.equal(tuning?.refused, []);
    assert.ok(half.tuning.has(requests[0]));
    assert.is(await tuneConv(half, convRequest('forward', shape)), null);
    for (const tensor of outputs) tensor.dispose();
  } finally {
    half.destroy();
  }
});

test.run();
