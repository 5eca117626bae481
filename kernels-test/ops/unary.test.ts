import * as assert from 'uvu/assert';
import { cos, sin } from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('unary');
const SHAPES = [[], [1], [7], [3, 5, 7], [2, 3, 33, 5], [4099]];
const positive = (_: number, size: number) => randomValues(size, 5, [0.1, 4]);

test('exp, log, sqrt, sigmoid, abs, square and relu agree with float64', async () => {
  for (const shape of SHAPES) {
    await checkOp({ op: 'exp', attrs: {}, inputs: [shape], factor: 4 });
    await checkOp({ op: 'log', attrs: {}, inputs: [shape], values: positive, factor: 4 });
    await checkOp({ op: 'sqrt', attrs: {}, inputs: [shape], values: positive, factor: 4 });
    await checkOp({ op: 'sigmoid', attrs: {}, inputs: [shape], factor: 4 });
    await checkOp({ op: 'abs', attrs: {}, inputs: [shape] });
    await checkOp({ op: 'square', attrs: {}, inputs: [shape] });
    await checkOp({ op: 'relu', attrs: {}, inputs: [shape] });
  }
});

test('neg, reciprocal, sin, cos, tanh, erf, floor, ceil, round and sign agree with float64', async () => {
  for (const shape of SHAPES) {
    await checkOp({ op: 'neg', attrs: {}, inputs: [shape] });
    await checkOp({ op: 'reciprocal', attrs: {}, inputs: [shape], values: positive });
    for (const op of ['sin', 'cos', 'tanh', 'erf', 'floor', 'ceil', 'round', 'sign'] as const) {
      await checkOp({ op, attrs: {}, inputs: [shape] });
    }
  }
});

test('inverse and hyperbolic functions agree with float64', async () => {
  const ranges = {
    tan: [-1.4, 1.4],
    asin: [-0.99, 0.99],
    acos: [-0.99, 0.99],
    atan: [-9, 9],
    sinh: [-9, 9],
    cosh: [-9, 9],
    asinh: [-9, 9],
    acosh: [1.01, 9],
    atanh: [-0.99, 0.99],
  } as const;
  for (const [op, range] of Object.entries(ranges)) {
    for (const shape of SHAPES) {
      const values = (_: number, size: number) => randomValues(size, 8, range);
      await checkOp({ op: op as keyof typeof ranges, attrs: {}, inputs: [shape], values, factor: 4 });
    }
  }
});

test('atan, sinh, asinh and atanh agree with float64 relative to each value near 0 and for large values', async () => {
  for (const op of ['atan', 'sinh', 'asinh', 'atanh', 'asin'] as const) {
    for (const size of [1e-30, 1e-6, 1e-3, 0.1]) {
      const values = () => Float32Array.from([-size, 0, size]);
      await checkOp({ op, attrs: {}, inputs: [[3]], values, dyValues: () => new Float32Array(3).fill(size) });
    }
  }
  for (const size of [1e4, 1e8, 1e10, 1e20, 3e38]) {
    const values = () => Float32Array.from([size]);
    for (const op of ['atan', 'asinh', 'acosh'] as const) await checkOp({ op, attrs: {}, inputs: [[1]], values });
  }
  // The argument of a power is rounded.
  for (const op of ['sinh', 'cosh'] as const) {
    await checkOp({ op, attrs: {}, inputs: [[2]], values: () => Float32Array.from([-88.9, 88.9]), factor: 8 });
  }
});

test('sin and cos agree with float64 up to 8192', async () => {
  for (const op of ['sin', 'cos'] as const) {
    for (const largest of [10, 8192]) {
      const values = (_: number, size: number) => randomValues(size, 6, [-largest, largest]);
      await checkOp({ op, attrs: {}, inputs: [[4099]], values });
    }
  }
});

test('sin and cos of larger numbers stay within [-1, 1]', async () => {
  const gpu = await testGpu();
  for (const apply of [sin, cos]) {
    const y = scope(gpu, () => apply(Tensor.from(gpu, [1e5, -1e7, 3e9, -1e20, 3e38], [5])));
    assert.ok((await y.read()).every((value) => Math.abs(value) <= 1));
    y.dispose();
  }
});

test('tanh and erf agree with float64 relative to each value near 0, and do not overflow for large values', async () => {
  for (const op of ['tanh', 'erf'] as const) {
    for (const size of [1e-30, 1e-6, 1e-3, 0.1, 0.3]) {
      const values = () => Float32Array.from([-size, 0, size]);
      await checkOp({ op, attrs: {}, inputs: [[3]], values, dyValues: () => new Float32Array(3).fill(size) });
    }
    const values = () => Float32Array.from([-3e38, -200, -50, -9, -4, -0.5, 0.5, 4, 9, 50, 200, 3e38]);
    await checkOp({ op, attrs: {}, inputs: [[12]], values });
  }
});

test('floor, ceil, round and sign agree with float64 at integers and at halves, which round to even', async () => {
  const values = () => Float32Array.from([-2.5, -1.5, -1, -0.5, -0, 0, 0.5, 1, 1.5, 2.5, 8388607.5, -3e38, 3e38]);
  for (const op of ['floor', 'ceil', 'round', 'sign'] as const) {
    // Compared in small sets, because the tolerance is relative to the largest.
    await checkOp({ op, attrs: {}, inputs: [[10]], values: () => values().subarray(0, 10) });
    await checkOp({ op, attrs: {}, inputs: [[1]], values: () => values().subarray(10, 11) });
    await checkOp({ op, attrs: {}, inputs: [[2]], values: () => values().subarray(11) });
  }
});

test('sigmoid does not overflow for large values', async () => {
  const extremes = () => Float32Array.from([-200, -90, -20, 0, 20, 90, 200]);
  await checkOp({ op: 'sigmoid', attrs: {}, inputs: [[7]], values: extremes, factor: 4 });
});

test('relu and its gradient agree with float64 at 0, and next to it on either side', async () => {
  const values = () => Float32Array.from([-0, 0, -1e-37, 1e-37, -3, 3]);
  await checkOp({ op: 'relu', attrs: {}, inputs: [[6]], values });
});

test('clamp and affine agree with float64', async () => {
  for (const shape of SHAPES) {
    await checkOp({ op: 'clamp', attrs: { min: -0.5, max: 0.75 }, inputs: [shape] });
    await checkOp({ op: 'affine', attrs: { scale: -1.5, offset: 3 }, inputs: [shape] });
  }
});

test('more elements than one row of workgroups holds are all computed', async () => {
  await checkOp({ op: 'square', attrs: {}, inputs: [[65535 * 64 + 17]] });
});

test.run();
