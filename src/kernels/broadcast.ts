import { broadcastShader } from '../../shaders/binary.wgsl.js';
import { type DType, WGSL_TYPES } from '../common/dtype.js';
import { broadcastStrides, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { chooseVectors, elementGrid } from './elementwise.js';

import { mergeAxes } from './merge-axes.js';

/**
 * Elementwise f of operands that broadcast to `shape`. Bindings: the operands, the output, and `broadcastPlan` where the
 * expression (WGSL in x0, x1, …, of type V, or I and U for int32 and bool) uses `plan.scale`.
 * @param operands their shapes; null for a number that the uniform holds
 * @param options.types of the operands' elements; default: float32
 * @param options.result type of the output's elements
 */
export function broadcastKernel(
  label: string,
  expression: string,
  operands: readonly (readonly number[] | null)[],
  shape: readonly number[],
  { scaled = false, choose = chooseVectors, types = [] as readonly DType[], result = 'float32' as DType } = {},
): Kernel {
  const strides = operands.map((operand) => operand && broadcastStrides(operand, shape));
  const axes = mergeAxes(
    shape,
    (axis) => strides.map((own) => !own || own[axis] > 0),
    operands.map(() => true),
  );
  const width = choose(axes[axes.length - 1].size);
  const sizes = axes.map(({ size }, axis) => (axis === axes.length - 1 ? size / width : size));
  const varies = operands.map((operand, k) => operand && axes.map(({ flags }) => flags[k]));
  const wgslTypes = operands.map((_, k) => WGSL_TYPES[types[k] ?? 'float32']);
  return {
    label,
    ...broadcastShader({ sizes, varies, types: wgslTypes, result: WGSL_TYPES[result], width, expression, scaled }),
    workgroups: elementGrid(sizeOf(shape) / width),
    pointwise: true,
  };
}
