import { add, div, mul, sub } from '../../ops/binary.js';
import { equal, where } from '../../ops/compare.js';
import { mean } from '../../ops/reduce.js';
import { norm } from '../../ops/reductions.js';
import {
  groupNorm,
  instanceNorm,
  layerNorm as layerNormOf,
  localResponseNorm,
  rmsNorm as rmsNormOf,
} from '../../ops/standardize.js';
import { affine, reciprocal, sqrt, square } from '../../ops/unary.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Context, Operator, OperatorTable } from '../operator.js';
import { GpuValue, type Value } from '../values.js';
import { alongAxis } from './reduce.js';

/** x with mean 0 and variance 1 over axes that stay, the mean, and 1 / √(variance + eps). */
function standardized(x: Tensor, axes: readonly number[], eps: number): [Tensor, Tensor, Tensor] {
  const average = mean(x, axes, true);
  const centered = sub(x, average);
  const inverse = reciprocal(sqrt(affine(mean(square(centered), axes, true), 1, eps)));
  return [mul(centered, inverse), average, inverse];
}

/** Axes from `axis` on. */
const axesFrom = (c: Context): number[] => {
  const first = c.axis(c.int('axis', -1));
  return Array.from({ length: c.rank - first }, (_, k) => first + k);
};

function layerNorm(c: Context): Value | Value[] {
  if (c.proto.outputs.length === 1) {
    const options = { axes: axesFrom(c), epsilon: c.float('epsilon', 1e-5) };
    return GpuValue.file(layerNormOf(c.x(0), c.x(1), c.has(2) ? c.x(2) : null, options));
  }
  const [y, average, inverse] = standardized(c.x(0), axesFrom(c), c.float('epsilon', 1e-5));
  const scaled = mul(y, c.x(1));
  return [c.has(2) ? add(scaled, c.x(2)) : scaled, average, inverse].map((x) => GpuValue.file(x));
}

function rmsNorm(c: Context): Value {
  return GpuValue.file(rmsNormOf(c.x(0), c.x(1), { axes: axesFrom(c), epsilon: c.float('epsilon', 1e-5) }));
}

function lpNorm(c: Context): Value {
  const p = c.int('p', 2);
  return alongAxis(c.gpuValue(0), c.axis(c.int('axis', -1)), (x) => {
    const size = norm(x, { p: p as 1 | 2, axes: [-1], keepDims: true });
    return div(x, where(equal(size, 0), 1, size));
  });
}

const stash: Pick<Operator, 'refuse'> = {
  refuse: (node) => node.int('stash_type', 1) !== 1 && `stash_type ${node.int('stash_type', 1)}`,
};

export const normalOperators = /* @__PURE__ */ ((): OperatorTable => ({
  LayerNormalization: { inputs: [2, 3], outputs: 3, attributes: 'axis epsilon stash_type', ...stash, run: layerNorm },
  RMSNormalization: { inputs: [2, 2], attributes: 'axis epsilon stash_type', ...stash, run: rmsNorm },
  InstanceNormalization: {
    inputs: [3, 3],
    attributes: 'epsilon',
    run: (c) => GpuValue.last(instanceNorm(c.last(0), c.x(1), c.x(2), { epsilon: c.float('epsilon', 1e-5) })),
  },
  LRN: {
    inputs: [1, 1],
    attributes: 'alpha beta bias size',
    run(c) {
      const options = { alpha: c.float('alpha', 1e-4), beta: c.float('beta', 0.75), bias: c.float('bias', 1) };
      return GpuValue.last(localResponseNorm(c.last(0), { size: c.int('size', 0), ...options }));
    },
  },
  GroupNormalization: {
    inputs: [3, 3],
    attributes: 'epsilon num_groups stash_type',
    refuse: (node) => (node.opset < 21 ? 'a scale for each group, as before version 21' : stash.refuse!(node)),
    run: (c) =>
      GpuValue.last(
        groupNorm(c.last(0), c.int('num_groups', 0), c.x(1), c.x(2), { epsilon: c.float('epsilon', 1e-5) }),
      ),
  },
  LpNormalization: {
    inputs: [1, 1],
    attributes: 'axis p',
    refuse: (node) => ![1, 2].includes(node.int('p', 2)) && `p ${node.int('p', 2)}`,
    run: lpNorm,
  },
  MeanVarianceNormalization: {
    inputs: [1, 1],
    attributes: 'axes',
    run(c) {
      const axes = c.ints('axes') ?? [0, 2, 3];
      const x = c.x(0);
      const centered = sub(x, mean(x, axes, true));
      const length = norm(centered, { axes, keepDims: true }); // unlike the square root, it has a gradient at 0
      return GpuValue.file(div(centered, affine(length, Math.sqrt(length.size / x.size), 1e-9)));
    },
  },
}))();
