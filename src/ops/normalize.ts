import type { OpAttrs } from '../common/op-attrs.js';
import { l2NormalizeShape } from '../common/op-shapes.js';
import {
  chooseRows,
  l2NormalizeGradientKernel,
  l2NormalizeKernel,
  type RowConfig,
  rowScalars,
} from '../kernels/normalize.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

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
export function l2NormalizeOp(choose: RowChoice = chooseRows): Op<OpAttrs['l2Normalize']> {
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
 * @param eps least divisor, so that a row of zeros stays zero
 * @throws ShapeError, ArgumentError
 */
export const l2Normalize = (x: Tensor, eps = 1e-12): Tensor =>
  apply('l2Normalize', normalizeOps.l2Normalize, [x], { eps });
