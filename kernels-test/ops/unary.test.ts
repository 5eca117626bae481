import { checkOp, gpuSuite, randomValues } from '../helpers/harness.js';

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
