import * as assert from 'uvu/assert';
import type { Epilogue } from '../../../shaders/common/epilogue.js';
import type { MatrixTile } from '../../../shaders/common/matrix-tile.js';
import { roundToHalf } from '../../../src/common/precision.js';
import { Gpu, matrixShapes, SUBGROUP_MATRIX } from '../../../src/gpu/gpu.js';
import {
  chooseGather,
  chooseWeightGradient,
  gatherCandidates,
  weightGradientCandidates,
} from '../../../src/ops/conv/choose.js';
import { conv2dOp } from '../../../src/ops/conv/conv.js';
import { gatherOf } from '../../../src/ops/conv/gather-plan.js';
import { planGather } from '../../../src/ops/conv/plan.js';
import { type Conv2dAttrs, convShape } from '../../../src/ops/conv/shape.js';
import { planWeightGradient } from '../../../src/ops/conv/weight-gradient.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../../helpers/harness.js';

/*
 * No adapter that the tests find has subgroup matrices. So these kernels are compiled for Dawn's null backend, which has
 * the feature and validates whole pipelines, but runs nothing. They also run with the matrices written out in plain WGSL, which
 * leaves untested only what the hardware does itself.
 */

const test = gpuSuite('conv by subgroup matrices');
const gpu = await testGpu();
const onHalf = gpu.device.features.has('shader-f16') ? test : test.skip;

const attrsOf = (attrs: Partial<Conv2dAttrs>): Conv2dAttrs => ({
  stride: [1, 1],
  padding: [0, 0, 0, 0],
  dilation: [1, 1],
  groups: 1,
  ...attrs,
});

/** The kernels of the three passes. */
function kernels(
  x: number[],
  w: number[],
  attrs: Conv2dAttrs,
  tile: MatrixTile,
  epilogue: Epilogue = 'none',
): string[] {
  const size = (axis: 0 | 1): number =>
    Math.floor((x[1 + axis] + 2 * attrs.padding[0] - attrs.dilation[axis] * (w[axis] - 1) - 1) / attrs.stride[axis]) +
    1;
  const shape = convShape(x, [x[0], size(0), size(1), w[3]], w, attrs);
  const config = { variant: 'matrix', tile } as const;
  return [
    planGather(gatherOf(shape, 'forward'), epilogue, config, 'f16').steps.at(-1)!.kernel.wgsl,
    planGather(gatherOf(shape, 'inputGradient'), epilogue, config, 'f16').steps.at(-1)!.kernel.wgsl,
    planWeightGradient(shape, { ...config, splitK: 2 }, config, 'f16').steps.at(-2)!.kernel.wgsl,
  ];
}

const TILES: MatrixTile[] = [
  { m: 16, n: 16, k: 16, subgroup: 32 },
  { m: 16, n: 8, k: 16, subgroup: 32 },
  { m: 8, n: 16, k: 4, subgroup: 64 }, // three sizes, so that none can stand in for another
];

/** Keeps Dawn's instance alive: Dawn crashes if the instance is collected before its devices. */
const held: unknown[] = [];

/** A device of Dawn's null backend. */
async function nullDevice(): Promise<{ adapter: GPUAdapter; device: GPUDevice }> {
  const { create } = (await import('webgpu')) as unknown as { create(flags: string[]): GPU };
  const instance = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = (await instance.requestAdapter()) as GPUAdapter;
  const device = await adapter.requestDevice({
    requiredFeatures: ['shader-f16', 'subgroups', SUBGROUP_MATRIX as GPUFeatureName],
  });
  held.push(instance, adapter, device);
  return { adapter, device };
}

/** The error of a device for a kernel; null if it compiles to a pipeline. */
async function complaint(device: GPUDevice, code: string): Promise<string | null> {
  device.pushErrorScope('validation');
  const compute = { module: device.createShaderModule({ code }) };
  device.createComputePipeline({ layout: 'auto', compute });
  return (await device.popErrorScope())?.message ?? null;
}

test('the kernels compile on a device with subgroup matrices', async () => {
  const { device, adapter } = await nullDevice();
  const attrs = attrsOf({ stride: [2, 2], padding: [1, 1, 1, 1] });
  for (const tile of TILES) {
    for (const [channels, epilogue] of [
      [16, 'none'],
      [18, 'bias'],
      [20, 'batchNormPrelu'],
      [12, 'batchNormRelu6'],
      [12, 'batchNormRelu'],
    ] as const) {
      for (const wgsl of kernels([2, 9, 12, 5], [3, 3, 5, channels], attrs, tile, epilogue)) {
        assert.is(await complaint(device, wgsl), null);
      }
    }
  }
  // The device detects errors: with the rows and columns of an operand swapped, the sizes do not fit.
  const [forward] = kernels([2, 9, 12, 5], [3, 3, 5, 16], attrs, TILES[2]);
  const swapped = forward.replace('subgroup_matrix_left<f16, K, M>', 'subgroup_matrix_left<f16, M, K>');
  assert.is.not(swapped, forward);
  assert.match((await complaint(device, swapped)) ?? '', /subgroupMatrixMultiplyAccumulate|is invalid/);
  assert.equal(new Gpu(device, gpu.description, { precision: 'f16' }).limits.matrices, matrixShapes(adapter.info));
  device.destroy();
});

/** The kernel with arrays in place of the matrices. Each invocation of a simulated subgroup has the whole array. */
function writtenOut(wgsl: string, { m, n, k, subgroup }: MatrixTile): string {
  const matrix = (name: string, type: string, rows: number, columns: number, from: string): string => `
struct ${name} { v: array<${type}, ${rows * columns}> }
fn load${name}(offset: u32, stride: u32) -> ${name} {
  var matrix: ${name};
  for (var i = 0u; i < ${rows * columns}u; i++) {
    matrix.v[i] = ${from}[offset + i / ${columns}u * stride + i % ${columns}u];
  }
  return matrix;
}`;
  const edits: [RegExp, string][] = [
    [/enable (subgroups|chromium_experimental_subgroup_matrix);/g, ''],
    [/alias (Left|Right|Result) = .*\n/g, ''],
    [/subgroupMatrixLoad<(Left|Right), row_major>\(&[ab]Tile, /g, 'load$1('],
    [/subgroupMatrixStore<row_major>\(&results, /g, 'storeResult('],
    [/subgroupMatrixMultiplyAccumulate\(/g, 'multiply('],
    [/, @builtin\(subgroup_id\) subgroupIndex: u32\) {/g, `) {\n  let subgroupIndex = lid / ${subgroup}u;`],
  ];
  let text = wgsl;
  for (const [from, to] of edits) {
    const edited = text.replace(from, to);
    assert.is.not(edited, text, `${from} is in the kernel`);
    text = edited;
  }
  return `${text}
${matrix('Left', 'f16', m, k, 'aTile')}
${matrix('Right', 'f16', k, n, 'bTile')}
${matrix('Result', 'f32', m, n, 'results')}
fn multiply(a: Left, b: Right, sums: Result) -> Result {
  var left = a;
  var right = b;
  var result = sums;
  for (var i = 0u; i < ${m * n}u; i++) {
    for (var inner = 0u; inner < ${k}u; inner++) {
      result.v[i] += f32(left.v[i / ${n}u * ${k}u + inner]) * f32(right.v[inner * ${n}u + i % ${n}u]);
    }
  }
  return result;
}
fn storeResult(offset: u32, matrix: Result, stride: u32) {
  var held = matrix;
  for (var i = 0u; i < ${m * n}u; i++) { results[offset + i / ${n}u * stride + i % ${n}u] = held.v[i]; }
}`;
}

onHalf('the kernels compute convolutions, with the matrices written out', async () => {
  const cases: [x: number[], w: number[], attrs: Partial<Conv2dAttrs>, tile: MatrixTile][] = [
    [[2, 9, 12, 5], [3, 3, 5, 18], { stride: [2, 2], padding: [1, 1, 1, 1] }, { m: 8, n: 4, k: 8, subgroup: 8 }],
    [[1, 7, 11, 20], [2, 3, 20, 40], { dilation: [2, 1] }, { m: 4, n: 8, k: 16, subgroup: 16 }],
  ];
  const { run } = gpu;
  let replaced = 0;
  for (const [x, w, given, tile] of cases) {
    gpu.run = (kernel, ...rest) => {
      if (!kernel.wgsl.includes('subgroup_matrix')) return run.call(gpu, kernel, ...rest);
      replaced++;
      run.call(gpu, { ...kernel, wgsl: writtenOut(kernel.wgsl, tile) }, ...rest);
    };
    try {
      const config = { variant: 'matrix', tile } as const;
      const configs = { forward: config, inputGradient: config, weightGradient: { ...config, splitK: 3 } };
      await checkOp({
        op: 'conv2d',
        attrs: attrsOf(given),
        inputs: [x, w, [w[3]]],
        // Half precision holds these values exactly, so checkOp's reference needs no change.
        values: (k, size) => randomValues(size, 300 + k).map(roundToHalf),
        sumLength: w[0] * w[1] * Math.max(w[2], w[3]) + x[0] * x[1] * x[2],
        implementation: conv2dOp({ configs, limits: { precision: 'f16' } }),
        dyValues: (size) => randomValues(size, 399).map(roundToHalf),
      });
    } finally {
      delete (gpu as Partial<typeof gpu>).run; // the method of the class shows again
    }
  }
  assert.is(replaced, 3 * cases.length);
});

test('only tuning can choose the kernels, and only if the adapter lists matrices and operands are f16', () => {
  const shape = convShape([2, 9, 12, 8], [2, 9, 12, 16], [3, 3, 8, 16], attrsOf({ padding: [1, 1, 1, 1] }));
  const size = gatherOf(shape, 'forward');
  const info = {
    subgroupMatrixConfigs: [
      { M: 16, N: 16, K: 16, componentType: 'f16', resultComponentType: 'f32' },
      { M: 8, N: 8, K: 8, componentType: 'f32', resultComponentType: 'f32' },
      { M: 16, N: 8, K: 16, componentType: 'f16', resultComponentType: 'f16' },
      { M: 16, N: 16, K: 32, componentType: 'f16', resultComponentType: 'f32' }, // longer than the tile
    ],
  } as unknown as GPUAdapterInfo;
  const matrices = matrixShapes(info);
  assert.equal(matrices, [
    { m: 16, n: 16, k: 16 },
    { m: 16, n: 16, k: 32 },
  ]);
  assert.equal(matrixShapes({} as GPUAdapterInfo), []);
  const limits = {
    software: false,
    maxWorkgroupInvocations: 256,
    maxWorkgroupStorageBytes: 16384,
    subgroupSize: 32,
    precision: 'f16',
    matrices,
  } as const;
  const found = (given: Parameters<typeof chooseGather>[1]): unknown[] =>
    [...gatherCandidates(size, given), ...weightGradientCandidates(shape, given)].flatMap((config) =>
      config.variant === 'matrix' ? [config.tile] : [],
    );
  const tiles = new Set(found(limits).map((tile) => JSON.stringify(tile)));
  assert.equal([...tiles], [JSON.stringify({ m: 16, n: 16, k: 16, subgroup: 32 })]);
  assert.not.equal(chooseGather(size, limits).variant, 'matrix');
  assert.not.equal(chooseWeightGradient(shape, limits).variant, 'matrix');
  for (const changed of [
    { precision: 'f32' as const },
    { matrices: [] },
    { subgroupSize: 0 },
    { maxWorkgroupStorageBytes: 8000 },
    { maxWorkgroupInvocations: 64 },
  ]) {
    assert.equal(found({ ...limits, ...changed }), [], JSON.stringify(changed));
  }
});

test.run();
