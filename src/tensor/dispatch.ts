import type { Kernel } from '../gpu/kernel.js';
import type { Scalars } from '../gpu/scalars.js';
import { Tensor } from './tensor.js';

/**
 * Runs a kernel whose bindings are the inputs, then one output, then its scalars if it has any. Nothing waits: the GPU runs
 * what was dispatched in order. Tapes do not see it; `defineOp` makes operations of kernels.
 *
 * @param scalars at most 64 bytes, for the kernel's uniform
 * @returns the output, a new tensor of `shape`; the kernel must write all of it
 */
export function dispatch(
  kernel: Kernel,
  inputs: readonly Tensor[],
  shape: readonly number[],
  scalars?: Scalars,
): Tensor {
  return dispatchMany(kernel, inputs, [shape], scalars)[0];
}

/** The same for several outputs, bound after the inputs in order. */
export function dispatchMany(
  kernel: Kernel,
  inputs: readonly Tensor[],
  shapes: readonly (readonly number[])[],
  scalars?: Scalars,
): Tensor[] {
  const { gpu } = inputs[0];
  const outputs = shapes.map((shape) => Tensor.empty(gpu, shape));
  gpu.run(
    kernel,
    [...inputs, ...outputs].map(({ buffer }) => buffer),
    scalars,
  );
  return outputs;
}

/** Runs a kernel that changes some of its bindings in place (running statistics, optimizer state). */
export function dispatchInPlace(kernel: Kernel, tensors: readonly Tensor[], scalars?: Scalars): void {
  tensors[0].gpu.run(
    kernel,
    tensors.map(({ buffer }) => buffer),
    scalars,
  );
}
