// adapters: all
import * as assert from 'uvu/assert';
import type { ConvShape } from '../../../shaders/common/conv-geometry.js';
import { type WinogradOutputs, winogradTransforms } from '../../../shaders/common/winograd.js';
import { CounterRandom } from '../../../src/common/random.js';
import { type Padding2d, sizeOf } from '../../../src/common/shapes.js';
import type { KernelLimits } from '../../../src/gpu/kernel.js';
import {
  chooseGather,
  chooseWeightGradient,
  type GatherConfig,
  gatherCandidates,
  weightGradientCandidates,
} from '../../../src/ops/conv/choose.js';
import { conv2dOp, convRequest, convTranspose2dOp } from '../../../src/ops/conv/conv.js';
import { gatherOf } from '../../../src/ops/conv/gather-plan.js';
import { planGather } from '../../../src/ops/conv/plan.js';
import { type Conv2dAttrs, conv2dShape, convShape, convTranspose2dShape } from '../../../src/ops/conv/shape.js';
import { tuneConv } from '../../../src/ops/conv/tune.js';
import { planWeightGradient } from '../../../src/ops/conv/weight-gradient.js';
import { winogradCandidates, winogradGradientCandidates } from '../../../src/ops/conv/winograd-choose.js';
import type { BatchedConfig } from '../../../src/ops/matmul/batched.js';
import { dispatch } from '../../../src/tensor/dispatch.js';
import { scope, Tensor } from '../../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../../helpers/harness.js';

const test = gpuSuite('winograd');

const OUTPUTS: readonly WinogradOutputs[] = [2, 4];
const DIRECTIONS = ['forward', 'inputGradient'] as const;

const attrsOf = (padding: Padding2d): Conv2dAttrs => ({ stride: [1, 1], padding, dilation: [1, 1], groups: 1 });

/** Runs all three passes of a convolution by Winograd's algorithm, with the sums of the weight gradient in `splitK` parts. */
function configsOf(shape: ConvShape, outputs: WinogradOutputs, limits: KernelLimits, splitK = 1) {
  const [forward, inputGradient] = DIRECTIONS.map((direction): GatherConfig => {
    const config = winogradCandidates(gatherOf(shape, direction), limits).find(
      (candidate) => candidate.outputs === outputs,
    );
    assert.ok(config, 'has a form of Winograd');
    return { variant: 'winograd', ...config };
  });
  const gradient = winogradGradientCandidates(shape, limits).find((candidate) => candidate.outputs === outputs);
  assert.ok(gradient, 'has a form of Winograd');
  return { forward, inputGradient, weightGradient: { variant: 'winograd', ...gradient, splitK } as const };
}

type Case = [x: number[], w: number[], bias: boolean, padding: Padding2d];

const CASES: Case[] = [
  [[1, 3, 3, 1], [3, 3, 1, 1], true, [0, 0, 0, 0]],
  [[2, 5, 7, 3], [3, 3, 3, 5], true, [1, 1, 1, 1]],
  [[1, 8, 8, 4], [3, 3, 4, 8], false, [1, 1, 1, 1]],
  [[3, 7, 6, 20], [3, 3, 20, 36], true, [1, 1, 1, 1]],
  [[2, 9, 4, 8], [3, 3, 8, 6], true, [2, 2, 2, 2]],
  [[1, 11, 14, 7], [3, 3, 7, 16], false, [0, 0, 0, 0]],
  [[1, 1, 2, 5], [3, 3, 5, 3], true, [3, 0, 1, 2]],
];

const TRANSPOSED: Case[] = [
  [[2, 4, 5, 6], [3, 3, 9, 6], true, [1, 1, 1, 1]],
  [[1, 6, 3, 8], [3, 3, 12, 8], true, [0, 1, 2, 0]],
];

/** The longest sum of the three passes, as for every other conv kernel. */
const longest = (x: number[], w: number[]) => w[0] * w[1] * Math.max(w[2], w[3]) + 4 * x[0] * x[1] * x[2];

async function checkConv(
  [x, w, bias, padding]: Case,
  outputs: WinogradOutputs,
  limits: KernelLimits,
  splitK = 1,
): Promise<void> {
  const attrs = attrsOf(padding);
  const shape = convShape(x, conv2dShape([x, w], attrs), w, attrs);
  const implementation = conv2dOp({ configs: configsOf(shape, outputs, limits, splitK) });
  const inputs = bias ? [x, w, [w[3]]] : [x, w];
  await checkOp({ op: 'conv2d', attrs, inputs, sumLength: longest(x, w), implementation });
}

for (const outputs of OUTPUTS) {
  test(`conv2d and its gradients agree with float64, tiles of ${outputs} × ${outputs}`, async () => {
    const { limits } = await testGpu();
    for (const given of CASES) await checkConv(given, outputs, limits);
    // There are more parts than tiles, and parts that tiles do not fill.
    for (const splitK of [3, 20]) await checkConv(CASES[1], outputs, limits, splitK);
  });

  test(`convTranspose2d and its gradients agree with float64, tiles of ${outputs} × ${outputs}`, async () => {
    const { limits } = await testGpu();
    for (const [x, w, bias, padding] of TRANSPOSED) {
      const attrs = { ...attrsOf(padding), outputPadding: [0, 0] as const };
      const shape = convShape(convTranspose2dShape([x, w], attrs), x, w, attrs);
      const implementation = convTranspose2dOp({ configs: configsOf(shape, outputs, limits) });
      const inputs = bias ? [x, w, [w[2]]] : [x, w];
      await checkOp({ op: 'convTranspose2d', attrs, inputs, sumLength: longest(x, w), implementation });
    }
  });
}

test('the wider tiles of products, which large shapes choose, agree with float64', async () => {
  const gpu = await testGpu();
  const tileOf = (channels: number, limits = CPU): number => {
    const config = chooseWeightGradient(same(64, 28, 24, channels, channels), limits);
    assert.ok(config.variant === 'winograd' && config.product.variant === 'register');
    return config.product.sharedTile;
  };
  assert.equal(
    [24, 48, 64, 96, 40].map((channels) => tileOf(channels)),
    [24, 24, 32, 32, 24],
  );
  assert.is(tileOf(64, { ...CPU, subgroupSize: 4 }), 16, 'narrow registers');
  if (gpu.description.kind !== 'lavapipe') return; // the only adapter for which these tiles are chosen
  for (const sharedTile of [24, 32]) {
    const [x, w, , padding] = CASES[3];
    const attrs = attrsOf(padding);
    const shape = convShape(x, conv2dShape([x, w], attrs), w, attrs);
    const wide = <Config extends { product: BatchedConfig }>(config: Config): Config => ({
      ...config,
      product: { ...config.product, sharedTile },
    });
    const { forward, inputGradient, weightGradient } = configsOf(shape, 4, gpu.limits);
    assert.ok(forward.variant === 'winograd' && inputGradient.variant === 'winograd');
    const configs = {
      forward: wide(forward),
      inputGradient: wide(inputGradient),
      weightGradient: wide(weightGradient),
    };
    const implementation = conv2dOp({ configs });
    await checkOp({ op: 'conv2d', attrs, inputs: [x, w], sumLength: longest(x, w), implementation });
  }
});

test('random shapes agree with float64', async () => {
  const { limits } = await testGpu();
  for (let k = 0; k < 12; k++) {
    const random = new CounterRandom(20261129, k);
    const integer = (low: number, high: number) => low + Math.floor(random.uniform() * (high - low + 1));
    const padding: Padding2d = [integer(0, 2), integer(0, 2), integer(0, 2), integer(0, 2)];
    const x = [integer(1, 4), integer(3, 14), integer(3, 14), integer(1, 24)];
    const given: Case = [x, [3, 3, x[3], integer(1, 24)], integer(0, 1) === 1, padding];
    const [outputs, splitK] = [OUTPUTS[k % 2], integer(1, 3)];
    try {
      await checkConv(given, outputs, limits, splitK);
    } catch (error) {
      throw new Error(`case ${k}, ${JSON.stringify({ given, outputs, splitK })}: ${(error as Error).message}`);
    }
  }
});

test('tiled products and vectors of channels, as GPUs use them, agree with float64', async () => {
  const gpu = await testGpu();
  const limits = { ...gpu.limits, software: false, subgroupSize: 0 };
  // LLVM takes seconds for each of these kernels, and lavapipe never chooses them. So it tests only the smaller tiles.
  const testedOutputs = gpu.description.kind === 'lavapipe' ? OUTPUTS.slice(0, 1) : OUTPUTS;
  for (const outputs of testedOutputs) {
    await checkConv([[2, 6, 9, 20], [3, 3, 20, 36], true, [1, 1, 1, 1]], outputs, limits);
    await checkConv([[1, 5, 4, 3], [3, 3, 3, 8], true, [1, 1, 1, 1]], outputs, limits);
  }
});

test('equal inputs give the same bits on each run', async () => {
  const gpu = await testGpu();
  const attrs = attrsOf([1, 1, 1, 1]);
  const [xShape, wShape, outShape] = [
    [2, 7, 6, 20],
    [3, 3, 20, 36],
    [2, 7, 6, 36],
  ];
  const shape = convShape(xShape, outShape, wShape, attrs);
  for (const outputs of OUTPUTS) {
    const op = conv2dOp({ configs: configsOf(shape, outputs, gpu.limits) });
    const run = async (): Promise<Float32Array> => {
      const y = scope(gpu, () => {
        const x = Tensor.from(gpu, randomValues(sizeOf(xShape), 1), xShape);
        const w = Tensor.from(gpu, randomValues(sizeOf(wShape), 2), wShape);
        return op.forward([x, w], attrs, outShape).output;
      });
      const values = await y.read();
      y.dispose();
      return values;
    };
    const [first, second] = [await run(), await run()];
    assert.ok(first.every((value, k) => Object.is(value, second[k])));
  }
});

/**
 * Runs the transforms along an axis on every pair of a source and an `operand` (a weight or an output's gradient), each alone, so
 * that a wrong factor shows in full: a result is 1 if it belongs to the pair, and 0 otherwise.
 *
 * @param results names of the results after the inverse transform
 */
async function checkTransforms(
  outputs: WinogradOutputs,
  [operand, transform, operands]: [name: string, transform: string, count: number],
  [back, results]: [transform: string, results: string[]],
): Promise<void> {
  const gpu = await testGpu();
  const points = Array.from({ length: outputs + 2 }, (_, k) => k);
  const list = (text: (k: number) => string, count: number) => points.slice(0, count).map(text).join(', ');
  const wgsl = `alias V = f32;
${winogradTransforms(outputs)}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn main() {
  let v = transformSource(${list((k) => `x[${k}]`, outputs + 2)});
  let u = ${transform}(${list((k) => `x[${outputs + 2 + k}]`, operands)});
  let out = ${back}(${list((k) => `v.p${k} * u.p${k}`, outputs + 2)});
  ${results.map((name, k) => `y[${k}] = out.${name};`).join(' ')}
}`;
  const kernel = { label: 'transforms', wgsl, bindings: 'rw', workgroups: [1, 1, 1] as const };
  for (const d of points) {
    for (const g of points.slice(0, operands)) {
      const length = outputs + 2 + operands;
      const values = Float32Array.from({ length }, (_, k) => (k === d || k === outputs + 2 + g ? 1 : 0));
      const y = scope(gpu, () => dispatch(kernel, [Tensor.from(gpu, values, [length])], [results.length]));
      for (const [i, value] of (await y.read()).entries()) {
        const expected = i + g === d ? 1 : 0;
        assert.ok(
          Math.abs(value - expected) < 1e-6,
          `source ${d}, ${operand} ${g}, result ${i}: ${value} is ${expected}`,
        );
      }
      y.dispose();
    }
  }
}

test('the transforms compute a correlation', async () => {
  for (const outputs of OUTPUTS) {
    const names = ['y0', 'y1', 'y2', 'y3'].slice(0, outputs);
    await checkTransforms(outputs, ['weight', 'transformWeights', 3], ['transformProducts', names]);
  }
});

test('the transforms of the weight gradient compute a correlation, too', async () => {
  for (const outputs of OUTPUTS) {
    const back: [string, string[]] = ['transformWeightGradient', ['g0', 'g1', 'g2']];
    await checkTransforms(outputs, ['gradient', 'transformGradient', outputs], back);
  }
});

const CPU: KernelLimits = {
  software: true,
  maxWorkgroupInvocations: 256,
  maxWorkgroupStorageBytes: 16384,
  subgroupSize: 8,
};

/** A convolution whose output has the size of its input. */
const same = (batch: number, h: number, w: number, cin: number, cout: number): ConvShape =>
  convShape([batch, h, w, cin], [batch, h, w, cout], [3, 3, cin, cout], attrsOf([1, 1, 1, 1]));

const variantOf = (shape: ConvShape, limits = CPU): string => chooseGather(gatherOf(shape, 'forward'), limits).variant;

test('CPU adapters choose Winograd kernels if the products cost more than the transforms', () => {
  for (const direction of DIRECTIONS) {
    const config = chooseGather(gatherOf(same(4, 28, 24, 128, 128), direction), CPU);
    assert.ok(config.variant === 'winograd' && config.outputs === 4 && config.width === 1);
  }
  assert.is(variantOf(same(4, 28, 24, 16, 16)), 'register', 'few channels');
  assert.is(variantOf(same(4, 28, 24, 64, 3)), 'register', 'few channels of the result');
  assert.is(variantOf(same(1, 7, 6, 128, 128)), 'register', 'few tiles for so many weights');
  assert.is(variantOf(same(16, 7, 6, 128, 128)), 'winograd');
  assert.is(variantOf(same(4, 28, 24, 128, 128), { ...CPU, software: false }), 'tiled');
  const strided = { ...same(4, 28, 24, 128, 128), stride: [2, 2] as const, output: [14, 12] as const };
  const dilated = { ...same(4, 28, 24, 128, 128), dilation: [1, 2] as const, padding: [1, 2] as const };
  for (const shape of [strided, dilated]) {
    assert.is(variantOf(shape), 'register');
    assert.equal(winogradCandidates(gatherOf(shape, 'forward'), CPU), []);
    assert.is.not(chooseGather(gatherOf(shape, 'forward'), CPU, 'winograd').variant, 'winograd');
  }
  assert.is(chooseGather(gatherOf(same(1, 3, 3, 1, 1), 'forward'), CPU, 'winograd').variant, 'winograd', 'if it must');
});

test('CPU adapters choose Winograd kernels for weight gradients, too', () => {
  const chosen = (shape: ConvShape, force?: 'winograd') => chooseWeightGradient(shape, CPU, force);
  for (const shape of [same(32, 28, 24, 48, 48), same(32, 7, 6, 192, 192), same(4, 28, 24, 24, 24)]) {
    const config = chosen(shape);
    assert.ok(config.variant === 'winograd' && config.outputs === 4 && config.width === 1 && config.splitK === 1);
  }
  assert.is(chosen(same(4, 28, 24, 16, 16)).variant, 'register', 'few channels');
  assert.is(chosen(same(1, 14, 12, 128, 128)).variant, 'register', 'few tiles for so many weights');
  const onGpu = { ...CPU, software: false };
  assert.is(chooseWeightGradient(same(32, 28, 24, 48, 48), onGpu).variant, 'tiled');
  const candidates = winogradGradientCandidates(same(256, 28, 24, 48, 48), onGpu);
  assert.ok(candidates.length === 2 && candidates.every(({ splitK }) => splitK > 1), 'parts fill a GPU');
  const strided = { ...same(32, 28, 24, 48, 48), stride: [2, 2] as const, output: [14, 12] as const };
  assert.is(chosen(strided, 'winograd').variant, 'register');
  const half = chooseWeightGradient(same(32, 28, 24, 48, 48), { ...CPU, precision: 'f16' }, 'winograd');
  assert.is(half.variant, 'register', 'it would round sums of the operands');
  assert.is(chosen(same(1, 3, 3, 1, 1), 'winograd').variant, 'winograd', 'if it must');
});

test('Winograd kernels are chosen only if their arrays fit into a binding of 128 MiB', () => {
  for (const limits of [CPU, { ...CPU, software: false }]) {
    for (const batch of [32, 40, 64, 100, 150, 400]) {
      const shape = same(batch, 56, 48, 64, 64);
      const configs = gatherCandidates(gatherOf(shape, 'forward'), limits);
      for (const config of configs.filter(({ variant }) => variant === 'winograd')) {
        const { steps } = planGather(gatherOf(shape, 'forward'), 'bias', config);
        for (const step of steps.slice(0, -1)) assert.ok(4 * sizeOf(step.shape) <= 2 ** 27, `${step.shape}`);
        for (const { kernel } of steps) assert.ok(kernel.workgroups.every((count) => count <= 65535));
      }
      const gradients = weightGradientCandidates(shape, limits).filter(({ variant }) => variant === 'winograd');
      for (const config of gradients) {
        const { steps } = planWeightGradient(shape, config, { variant: 'naive' });
        for (const step of steps) {
          assert.ok(4 * sizeOf(step.shape) <= 2 ** 27, `${step.shape}`);
          assert.ok(step.kernel.workgroups.every((count) => count <= 65535));
        }
      }
      for (const list of [configs, gradients]) {
        const outputs = list.map((config) => (config.variant === 'winograd' ? config.outputs : 0));
        assert.is(outputs.includes(2), batch <= 40, `${batch}`);
        assert.is(outputs.includes(4), batch <= 75, `${batch}`);
      }
    }
  }
});

for (const [pass, last, product, each] of [
  ['inputGradient', 'winograd dest', 'products[i32(i) + (1 *', 1],
  ['weightGradient', 'winograd weight gradient', 'products[at + (1 *', 2], // with sums in one part and in two
] as const) {
  test(`tuning tries Winograd kernels for the ${pass}, and refuses one with wrong results`, async () => {
    const gpu = await testGpu();
    const shape = same(1, 6, 5, 8, 8);
    const request = convRequest(pass, shape);
    const { run } = gpu;
    // With tiles of 4 × 4, one product is made wrong by 1 %.
    gpu.run = (kernel, ...rest) => {
      const wrong = kernel.label === last && kernel.wgsl.includes('const POINTS = 6;');
      if (wrong) assert.ok(kernel.wgsl.includes(product));
      const wgsl = wrong ? kernel.wgsl.replace(product, `1.01 * ${product}`) : kernel.wgsl;
      return run.call(gpu, { ...kernel, wgsl }, ...rest);
    };
    try {
      const tuning = await tuneConv(gpu, request);
      assert.ok(tuning);
      const outputsOf = (config: object): unknown => ('outputs' in config ? config.outputs : null);
      assert.equal(
        tuning.refused.map(({ config }) => outputsOf(config)),
        Array(each).fill(4),
      );
      assert.match(tuning.refused[0].reason, /^element \d+ is .*, the naive kernel's is /);
      assert.is(tuning.timed.filter(({ config }) => outputsOf(config) === 2).length, each);
    } finally {
      delete (gpu as Partial<typeof gpu>).run; // the method of the class shows again
    }
  });
}

test.run();
