import * as assert from 'uvu/assert';
import { type RandomWidth, threefryFunctions } from '../../shaders/random.wgsl.js';
import { ArgumentError } from '../../src/common/errors.js';
import { quantizationNoise, threefry2x32 } from '../../src/common/random.js';
import type { Kernel } from '../../src/gpu/kernel.js';
import { naiveVectors } from '../../src/kernels/elementwise.js';
import { quantize, quantizeOp } from '../../src/ops/quantize.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('quantize');

const SHAPES = [[], [1], [4], [2, 3, 5, 7], [3, 11, 8], [4099]];
const IMPLEMENTATIONS = { naive: quantizeOp(naiveVectors), chosen: quantizeOp() };

/** Multiples of 1/8, including ties. They are exact in float32, so that no rounding depends on the device. */
const eighths = (size: number, range: number) =>
  randomValues(size, 21, [-range, range]).map((value) => Math.round(8 * value) / 8);

/** A kernel with Threefry alone: both output words for the counters (i, 7·i + 1) under one key, as pairs [a, b]. */
function threefryKernel(width: RandomWidth, size: number): Kernel {
  const elements = width === 1 ? 'i' : '4u * i + vec4u(0u, 1u, 2u, 3u)';
  return {
    label: 'threefry',
    wgsl: `
@group(0) @binding(0) var<storage, read_write> words: array<vec2u>;
@group(0) @binding(1) var<uniform> key: vec2u;
${threefryFunctions(width)}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= arrayLength(&words) / ${width}u) { return; }
  let out = threefry2x32(key, ${elements}, 7u * (${elements}) + 1u);
  ${
    width === 1
      ? 'words[i] = vec2u(out.a, out.b);'
      : 'for (var k = 0u; k < 4u; k++) { words[4u * i + k] = vec2u(out.a[k], out.b[k]); }'
  }
}`,
    bindings: 'wu',
    workgroups: [Math.ceil(size / 64), 1, 1],
  };
}

test('Threefry gives the integers of src/common/random.ts', async () => {
  const gpu = await testGpu();
  const keys = [
    [0, 0],
    [1, 2],
    [0xffffffff, 0xffffffff],
    [0x13198a2e, 0x03707344],
  ];
  for (const width of [1, 4] as const) {
    for (const [seed, stream] of keys) {
      const size = 1000;
      const words = Tensor.empty(gpu, [size, 2]);
      gpu.run(threefryKernel(width, size), [words.buffer], Uint32Array.of(seed, stream, 0, 0).buffer);
      const actual = new Uint32Array(await gpu.read(words.buffer));
      for (let i = 0; i < size; i++) {
        assert.equal([...actual.subarray(2 * i, 2 * i + 2)], threefry2x32(seed, stream, i, 7 * i + 1), `counter ${i}`);
      }
      words.dispose();
    }
  }
});

test('the noise is that of src/common/random.ts to the bit', async () => {
  const gpu = await testGpu();
  for (const [name, implementation] of Object.entries(IMPLEMENTATIONS)) {
    for (const [seed, stream] of [
      [0, 0],
      [7, 3],
      [0xffffffff, 0xfffffffe],
    ]) {
      const attrs = { mode: 'noise', scale: 1, min: -1, max: 1, seed, stream } as const;
      const noise = scope(gpu, () => implementation.forward([Tensor.zeros(gpu, [4100])], attrs, [4100]).output);
      const values = await noise.read();
      noise.dispose();
      for (let i = 0; i < values.length; i++) {
        assert.is(
          values[i],
          quantizationNoise(seed, stream, i),
          `${name}: seed ${seed}, stream ${stream}, element ${i}`,
        );
      }
    }
  }
});

test('every mode agrees with float64, forward and gradient', async () => {
  for (const implementation of Object.values(IMPLEMENTATIONS)) {
    for (const shape of SHAPES) {
      for (const mode of ['noise', 'straightThrough', 'hard'] as const) {
        const attrs = { mode, scale: 4, min: -8, max: 7, seed: 11, stream: 5 };
        // The values are in ±20 units; some are clamped, and some round to the ends of the range.
        await checkOp({
          op: 'quantize',
          attrs,
          inputs: [shape],
          values: (_, size) => eighths(size, 5),
          implementation,
        });
      }
    }
  }
});

test('a scale that is not a power of two agrees with float64', async () => {
  const attrs = { mode: 'straightThrough', scale: 0.3, min: 0, max: 255, seed: 0, stream: 0 } as const;
  // The values are away from ties: v = k + f with |f| ≤ 0.4.
  const values = (_: number, size: number) =>
    randomValues(size, 4, [-0.4, 0.4]).map((fraction, i) => ((i % 300) - 20 + fraction) / 0.3);
  await checkOp({ op: 'quantize', attrs, inputs: [[7, 301]], values });
});

test('rounding gives integers, and rounds halves to the even one', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 300, -300], [9]);
  for (const mode of ['hard', 'straightThrough'] as const) {
    const y = quantize(x, { mode, min: -128, max: 127 });
    assert.equal(
      [...(await y.read())].map((v) => v + 0),
      [-2, -2, 0, 0, 2, 2, 4, 127, -128],
    );
    y.dispose();
  }
  x.dispose();
});

test('a new seed, stream or scale gives other noise without a new pipeline', async () => {
  const gpu = await testGpu();
  const x = Tensor.zeros(gpu, [64]);
  const run = async (options: { seed?: number; stream?: number; scale?: number }) => {
    const y = quantize(x, { mode: 'noise', min: -4, max: 4, ...options });
    const values = await y.read();
    y.dispose();
    return `${values}`;
  };
  const first = await run({});
  const pipelines = gpu.pipelineCount;
  assert.is(await run({}), first);
  assert.is.not(await run({ seed: 1 }), first);
  assert.is.not(await run({ stream: 1 }), first);
  assert.is(await run({ scale: 2 }), first);
  assert.is(gpu.pipelineCount, pipelines);
  x.dispose();
});

test("'hard' has no gradient, and says so where one is asked for", async () => {
  const gpu = await testGpu();
  scope(gpu, () => {
    const x = Tensor.from(gpu, [0.3, 1.2], [2]);
    const tape = new Tape();
    const y = tape.record(() => quantize(x, { mode: 'hard', min: 0, max: 9 }));
    assert.throws(() => tape.gradients(y, [x], x), /no gradient reaches what was asked for/);
  });
});

test('bad arguments are refused', async () => {
  const gpu = await testGpu();
  const x = Tensor.zeros(gpu, [2]);
  const refused = (options: object, message: RegExp) =>
    assert.throws(
      () => quantize(x, { mode: 'noise', min: 0, max: 255, ...options }),
      (error: Error) => error instanceof ArgumentError && message.test(error.message),
    );
  refused({ mode: 'soft' }, /mode is soft/);
  refused({ scale: 0 }, /scale is 0/);
  refused({ min: 0.5 }, /integer ends/);
  refused({ min: 256 }, /min 256 is above max 255/);
  refused({ seed: -1 }, /seed is \[-1\]/);
  refused({ stream: 2 ** 32 }, /stream is 4294967296/);
  x.dispose();
});

test.run();
