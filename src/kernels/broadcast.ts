import { broadcastShader } from '../../shaders/binary.wgsl.js';
import { broadcastStrides, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { chooseVectors, elementGrid } from './elementwise.js';
import { mergeAxes } from './merge-axes.js';

/**
 * Elementwise f of operands that broadcast to `shape`. Bindings: the operands, the output, and `broadcastPlan` where the
 * expression (WGSL in x0, x1, …, of type V) uses `plan.scale`.
 */
export function broadcastKernel(
  label: string,
  expression: string,
  operands: readonly (readonly number[])[],
  shape: readonly number[],
  { scaled = false, choose = chooseVectors } = {},
): Kernel {
  const strides = operands.map((operand) => broadcastStrides(operand, shape));
  const axes = mergeAxes(
    shape,
    (axis) => strides.map((own) => own[axis] > 0),
    operands.map(() => true),
  );
  const width = choose(axes[axes.length - 1].size);
  const sizes = axes.map(({ size }, axis) => (axis === axes.length - 1 ? size / width : size));
  const varies = operands.map((_, k) => axes.map(({ flags }) => flags[k]));
  return {
    label,
    ...broadcastShader({ sizes, varies, width, expression, scaled }),
    workgroups: elementGrid(sizeOf(shape) / width),
    pointwise: true,
  };
}
