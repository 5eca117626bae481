import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type OpName, outputShape, referenceOps } from '../../src/ops/registry.js';
import { map, type NdArray } from '../../src/reference/ndarray.js';
import type { ReferenceOp } from '../../src/reference/reference-op.js';
import { close, type GradientCase, gradientCases, opOf, uniform, WITHOUT_GRADIENT } from './reference-cases.js';

const TOLERANCE = 1e-6;
const STEP = 1e-5;

function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((max, v) => Math.max(max, Math.abs(v)), 0);
}

/** Gradient of Σ dy·forward with respect to each element of one input, by central differences. */
function numericGradient(op: ReferenceOp<unknown>, c: GradientCase, input: number, dy: NdArray): Float64Array {
  const x = c.inputs[input];
  return x.data.map((value, i) => {
    const at = (moved: number): Float64Array => {
      const inputs = c.inputs.map((a, j) => (j === input ? map(a, (v, k) => (k === i ? moved : v)) : a));
      return op.forward(inputs, c.attrs).data;
    };
    const [high, low] = [value + STEP, value - STEP];
    const [above, below] = [at(high), at(low)];
    // The differences are summed, so that outputs that do not depend on the element add no rounding error.
    return above.reduce((sum, v, k) => sum + dy.data[k] * (v - below[k]), 0) / (high - low);
  });
}

/** The largest difference between backward and finite differences, relative to the largest gradient of each input. */
function gradientError(op: ReferenceOp<unknown>, c: GradientCase): number {
  const output = op.forward(c.inputs, c.attrs);
  const dy = uniform(output.shape, 0.5, 1.5);
  const gradients = op.backward(c.inputs, output, dy, c.attrs);
  assert.is(gradients.length, c.inputs.length);
  let worst = 0;
  gradients.forEach((gradient, input) => {
    assert.is(gradient === null, WITHOUT_GRADIENT[c.op]?.includes(input) ?? false, `input ${input}: null or not`);
    if (!gradient) return;
    assert.equal(gradient.shape, c.inputs[input].shape);
    const numeric = numericGradient(op, c, input, dy);
    const scale = largest(numeric);
    assert.ok(scale > 1e-6, `input ${input}: the gradient of this case is zero everywhere`);
    worst = Math.max(worst, largest(gradient.data.map((v, i) => v - numeric[i])) / scale);
  });
  return worst;
}

for (const c of gradientCases) {
  test(`gradient of ${c.op} agrees with finite differences: ${c.name}`, () => {
    const op = opOf(c.op);
    const shapes = c.inputs.map((x) => x.shape);
    assert.equal(op.forward(c.inputs, c.attrs).shape, outputShape(c.op, shapes, c.attrs));
    const error = gradientError(op, c);
    assert.ok(error <= TOLERANCE, `relative error ${error}`);
  });
}

test('every operation has a gradient case', () => {
  const covered = new Set(gradientCases.map((c) => c.op));
  assert.equal(
    (Object.keys(referenceOps) as OpName[]).filter((op) => !covered.has(op)),
    [],
  );
});

test('the gradient check notices an error of 1e-5', () => {
  for (const name of ['conv2d', 'batchNormTraining', 'batchNormPreluTraining', 'ssim', 'cosFace'] as const) {
    const right = opOf(name);
    const wrong: ReferenceOp<unknown> = {
      forward: right.forward,
      backward: (...args) => right.backward(...args).map((g) => g && map(g, (v) => v * (1 + 1e-5))),
    };
    const c = gradientCases.find(({ op }) => op === name)!;
    assert.ok(gradientError(wrong, c) > TOLERANCE, name);
  }
});

test('gradients are linear in dy', () => {
  for (const c of gradientCases) {
    const op = opOf(c.op);
    const output = op.forward(c.inputs, c.attrs);
    const dy = uniform(output.shape);
    const once = op.backward(c.inputs, output, dy, c.attrs);
    const thrice = op.backward(
      c.inputs,
      output,
      map(dy, (v) => -3 * v),
      c.attrs,
    );
    once.forEach((gradient, i) => {
      if (gradient) {
        close(
          thrice[i]!.data,
          gradient.data.map((v) => -3 * v),
        );
      }
    });
  }
});

test.run();
