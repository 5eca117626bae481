import type { ChannelWidth } from '../../shaders/common/channel-walk.js';
import { l2NormalizeGradientShader, l2NormalizeShader, rowPlan } from '../../shaders/normalize.wgsl.js';
import type { Shape } from '../common/shapes.js';
import { type Kernel, type KernelLimits, linearGrid } from '../gpu/kernel.js';
import { chooseChannels } from '../kernels/channel-walk.js';
import { elementGrid } from '../kernels/elementwise.js';
import { map, type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkMinRank, checkPositive } from './shape-checks.js';

/** Over the last axis: x / max(‖x‖₂, eps) */
export interface L2NormalizeAttrs {
  eps: number;
}

export function l2NormalizeShape(inputs: readonly Shape[], attrs: L2NormalizeAttrs): number[] {
  checkInputs('l2Normalize', inputs, ['input']);
  checkMinRank('l2Normalize', 'input', inputs[0], 1, '[...,D]');
  checkPositive('l2Normalize', 'eps', attrs.eps);
  return [...inputs[0]];
}

/** How the rows of [rows, size] are added up. */
export interface RowConfig {
  readonly rows: number;
  readonly size: number;
  /** Elements of a load, a divisor of `size`. */
  readonly width: ChannelWidth;
  /** Invocations that share a row: 1, or a workgroup of 64. */
  readonly lanes: 1 | 64;
}

/** Vectors where the rows allow; a workgroup for each long row on a GPU, where a single thread would wait for its loads. */
export function chooseRows(rows: number, size: number, limits: KernelLimits): RowConfig {
  const width = chooseChannels(size);
  return { rows, size, width, lanes: limits.software || size / width < 32 ? 1 : 64 };
}

/** The naive way: one invocation for each row, one element in a load. */
export function naiveRows(rows: number, size: number): RowConfig {
  return { rows, size, width: 1, lanes: 1 };
}

const rowGrid = ({ rows, lanes }: RowConfig) => (lanes === 1 ? elementGrid(rows) : linearGrid(rows));

/** The uniform of both kernels; `eps` is kept above the smallest normal float32, so that 1 / eps is finite. */
export function rowScalars({ rows, size, width }: RowConfig, eps: number): ArrayBuffer {
  return rowPlan.pack({ rows, groups: size / width, eps: Math.max(eps, 2 ** -126) });
}

/** Bindings x, y. */
export function l2NormalizeKernel(config: RowConfig): Kernel {
  return {
    label: 'l2 normalize',
    ...l2NormalizeShader(config.width, config.lanes),
    workgroups: rowGrid(config),
  };
}

/** Bindings x, dy, dx. */
export function l2NormalizeGradientKernel(config: RowConfig): Kernel {
  return {
    label: 'l2 normalize gradient',
    ...l2NormalizeGradientShader(config.width, config.lanes),
    workgroups: rowGrid(config),
  };
}

/** How rows are added up; tests replace the default by the naive way. */
export type RowChoice = (...args: Parameters<typeof chooseRows>) => RowConfig;

const configFor = (x: Tensor, choose: RowChoice) => {
  const size = x.shape[x.shape.length - 1];
  return choose(x.size / size, size, x.gpu.limits);
};

/** x / max(‖x‖₂, eps) along the last axis. Not recorded: a building block. */
export function normalizeRows(x: Tensor, eps: number, choose: RowChoice = chooseRows): Tensor {
  const config = configFor(x, choose);
  return dispatch(l2NormalizeKernel(config), [x], x.shape, rowScalars(config, eps));
}

/** The gradient of normalizeRows by x. */
export function normalizeRowsGradient(x: Tensor, dy: Tensor, eps: number, choose: RowChoice = chooseRows): Tensor {
  const config = configFor(x, choose);
  return dispatch(l2NormalizeGradientKernel(config), [x, dy], x.shape, rowScalars(config, eps));
}

/** The operation, adding up rows as `choose` says. */
export function l2NormalizeOp(choose: RowChoice = chooseRows): Op<L2NormalizeAttrs> {
  return {
    inputs: ['x'],
    shape: l2NormalizeShape,
    forward: ([x], { eps }) => ({ output: normalizeRows(x, eps, choose) }),
    backward: ({ inputs: [x], attrs: { eps }, dy }) => [normalizeRowsGradient(x, dy, eps, choose)],
  };
}

export const normalizeOps = { l2Normalize: /* @__PURE__ */ l2NormalizeOp() };

/**
 * Scales each row to unit length: x / max(‖x‖₂, eps) over the last axis.
 *
 * @param x [..., D]
 * @param eps smallest divisor, so that a row of zeros stays zero
 * @throws ShapeError, ArgumentError
 */
export const l2Normalize = (x: Tensor, eps = 1e-12): Tensor =>
  apply('l2Normalize', normalizeOps.l2Normalize, [x], { eps });

/** ‖row‖₂ of each row of the last axis. */
function rowNorms(x: NdArray): Float64Array {
  const size = x.shape[x.shape.length - 1];
  const norms = new Float64Array(x.data.length / size);
  for (let i = 0; i < norms.length; i++) {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += x.data[i * size + j] ** 2;
    norms[i] = Math.sqrt(sum);
  }
  return norms;
}

export const l2NormalizeReference: ReferenceRule<L2NormalizeAttrs> = {
  forward([x], { eps }) {
    const size = x.shape[x.shape.length - 1];
    const norms = rowNorms(x);
    return map(x, (v, i) => v / Math.max(norms[Math.floor(i / size)], eps));
  },
  backward([x], y, dy, { eps }) {
    const size = x.shape[x.shape.length - 1];
    const dx = zeros(x.shape);
    rowNorms(x).forEach((norm, row) => {
      const first = row * size;
      // Below eps the divisor is a constant.
      let along = 0;
      if (norm > eps) for (let j = 0; j < size; j++) along += y.data[first + j] * dy.data[first + j];
      for (let j = 0; j < size; j++) {
        dx.data[first + j] = (dy.data[first + j] - y.data[first + j] * along) / Math.max(norm, eps);
      }
    });
    return [dx];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const normalizeReferences = { l2Normalize: l2NormalizeReference };
