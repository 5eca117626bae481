import { rowSoftmaxGradientShader, rowSoftmaxPlan, rowSoftmaxShader } from '../../shaders/row-softmax.wgsl.js';
import type { Shape } from '../common/shapes.js';
import { type Kernel, type KernelLimits, linearGrid } from '../gpu/kernel.js';
import { elementGrid } from '../kernels/elementwise.js';
import { map, type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkMinRank } from './shape-checks.js';

type Name = 'softmax' | 'logSoftmax';

const rowSoftmaxShape =
  (op: Name) =>
  (inputs: readonly Shape[]): number[] => {
    checkInputs(op, inputs, ['input']);
    checkMinRank(op, 'input', inputs[0], 1, '[...,C]');
    return [...inputs[0]];
  };

/** How the rows of [rows, size] are visited: by an invocation each, or by a workgroup of 64. */
export interface RowSoftmaxConfig {
  readonly rows: number;
  readonly size: number;
  readonly lanes: 1 | 64;
}

/** A workgroup for each long row on a GPU, where a single invocation would wait for its loads. Pure. */
export function chooseRowSoftmax(rows: number, size: number, limits: KernelLimits): RowSoftmaxConfig {
  return { rows, size, lanes: limits.software || size < 128 ? 1 : 64 };
}

/** The naive way: one invocation for each row. */
export const naiveRowSoftmax = (rows: number, size: number): RowSoftmaxConfig => ({ rows, size, lanes: 1 });

const gridOf = ({ rows, lanes }: RowSoftmaxConfig) => (lanes === 1 ? elementGrid(rows) : linearGrid(rows));

/** Bindings x, y, and a uniform. */
export function rowSoftmaxKernel(op: Name, config: RowSoftmaxConfig): Kernel {
  return { label: op, ...rowSoftmaxShader(op === 'logSoftmax', config.lanes), workgroups: gridOf(config) };
}

/** Bindings y, dy, dx, and a uniform. */
export function rowSoftmaxGradientKernel(op: Name, config: RowSoftmaxConfig): Kernel {
  return {
    label: `${op} gradient`,
    ...rowSoftmaxGradientShader(op === 'logSoftmax', config.lanes),
    workgroups: gridOf(config),
  };
}

/** How rows are visited; tests replace the default by the naive way. */
export type RowSoftmaxChoice = (...args: Parameters<typeof chooseRowSoftmax>) => RowSoftmaxConfig;

/** The operation, visiting rows as `choose` says. */
export function rowSoftmaxOp(op: Name, choose: RowSoftmaxChoice = chooseRowSoftmax): Op<NoAttrs> {
  const planFor = (x: Tensor): [RowSoftmaxConfig, ArrayBuffer] => {
    const size = x.shape[x.shape.length - 1];
    const config = choose(x.size / size, size, x.gpu.limits);
    return [config, rowSoftmaxPlan.pack({ rows: config.rows, size })];
  };
  return {
    inputs: ['x'],
    shape: rowSoftmaxShape(op),
    forward([x]) {
      const [config, scalars] = planFor(x);
      return { output: dispatch(rowSoftmaxKernel(op, config), [x], x.shape, scalars) };
    },
    backward({ output, dy }) {
      const [config, scalars] = planFor(output);
      return [dispatch(rowSoftmaxGradientKernel(op, config), [output, dy], output.shape, scalars)];
    },
  };
}

const softmaxOp = /* @__PURE__ */ rowSoftmaxOp('softmax');
const logSoftmaxOp = /* @__PURE__ */ rowSoftmaxOp('logSoftmax');

export const rowSoftmaxOps = { softmax: softmaxOp, logSoftmax: logSoftmaxOp };

/**
 * e^x / Σ e^x over the last axis, computed relative to each row's largest number. A number −∞ gets the probability 0; a row with NaN or +∞, or
 * of nothing but −∞, becomes NaN.
 *
 * @param x [..., C]
 * @throws ShapeError
 */
export const softmax = (x: Tensor): Tensor => apply('softmax', softmaxOp, [x], {});

/**
 * The natural logarithm of `softmax`, which stays exact where the softmax rounds to 0.
 *
 * @param x [..., C]
 * @throws ShapeError
 */
export const logSoftmax = (x: Tensor): Tensor => apply('logSoftmax', logSoftmaxOp, [x], {});

/** For each row of x: its largest number, and the logarithm of the sum of e^(x − largest). */
function rowTotals(x: NdArray): { size: number; totals: [largest: number, logSum: number][] } {
  const size = x.shape[x.shape.length - 1];
  const totals = Array.from({ length: x.data.length / size }, (_, row): [number, number] => {
    const values = x.data.subarray(row * size, (row + 1) * size);
    const largest = values.reduce((a, b) => Math.max(a, b));
    return [largest, Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0))];
  });
  return { size, totals };
}

function logSoftmaxOf(x: NdArray): NdArray {
  const { size, totals } = rowTotals(x);
  return map(x, (value, i) => {
    const [largest, logSum] = totals[Math.floor(i / size)];
    return value - largest - logSum;
  });
}

/** dx of each row, from the sum of `term` over the row. */
function rowGradient(y: NdArray, term: (i: number) => number, dx: (i: number, sum: number) => number): NdArray {
  const size = y.shape[y.shape.length - 1];
  const result = zeros(y.shape);
  for (let first = 0; first < y.data.length; first += size) {
    let sum = 0;
    for (let i = first; i < first + size; i++) sum += term(i);
    for (let i = first; i < first + size; i++) result.data[i] = dx(i, sum);
  }
  return result;
}

export const softmaxReference: ReferenceRule<unknown> = {
  forward: ([x]) => map(logSoftmaxOf(x), Math.exp),
  backward: (_, y, dy) => [
    rowGradient(
      y,
      (i) => y.data[i] * dy.data[i],
      (i, sum) => y.data[i] * (dy.data[i] - sum),
    ),
  ],
};

export const logSoftmaxReference: ReferenceRule<unknown> = {
  forward: ([x]) => logSoftmaxOf(x),
  backward: (_, y, dy) => [
    rowGradient(
      y,
      (i) => dy.data[i],
      (i, sum) => dy.data[i] - Math.exp(y.data[i]) * sum,
    ),
  ],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const rowSoftmaxReferences = { softmax: softmaxReference, logSoftmax: logSoftmaxReference };
