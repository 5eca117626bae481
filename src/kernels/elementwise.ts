import { LINEAR_WORKGROUP } from '../../shaders/common/linear-index.js';
import { binaryShader, unaryGradientShader, unaryShader } from '../../shaders/elementwise.wgsl.js';
import type { Shader } from '../common/shader.js';
import { type Kernel, linearGrid } from '../gpu/kernel.js';

/** Grid of a kernel with one invocation an element. */
export function elementGrid(count: number): [number, number, number] {
  return linearGrid(Math.ceil(count / LINEAR_WORKGROUP));
}

/** A kernel with one invocation an element. */
export function elementKernel(label: string, shader: Shader, count: number): Kernel {
  return { label, ...shader, workgroups: elementGrid(count) };
}

/** Bindings x, y; `expression` is WGSL in `x`. */
export function unaryKernel(label: string, expression: string, size: number): Kernel {
  return { label, ...unaryShader(expression), workgroups: elementGrid(size), pointwise: true };
}

/** Bindings x and y where the derivative (WGSL in `x` and `y`) names them, dy, dx. */
export function unaryGradientKernel(label: string, derivative: string, size: number): Kernel {
  return {
    label: `${label} gradient`,
    ...unaryGradientShader(derivative),
    workgroups: elementGrid(size),
    pointwise: true,
  };
}

/** Bindings x, y, z, all of one shape. */
export function binaryKernel(label: string, expression: string, size: number): Kernel {
  return { label, ...binaryShader(expression), workgroups: elementGrid(size), pointwise: true };
}

export function addKernel(size: number): Kernel {
  return binaryKernel('add', 'x + y', size);
}

export type VectorChoice = (lastAxis: number) => 1 | 4;

/** Four elements an invocation wherever rows are whole vectors. */
export const chooseVectors: VectorChoice = (lastAxis) => (lastAxis % 4 === 0 ? 4 : 1);
/** One element an invocation. */
export const naiveVectors: VectorChoice = () => 1;
