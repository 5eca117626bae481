import { markChanged } from '../gpu/changes.js';
import type { Kernel } from '../gpu/kernel.js';
import type { Scalars } from '../gpu/scalars.js';
import type { DType } from './dtype.js';
import { type AnyTensor, Tensor } from './tensor.js';

/**
 * Runs a kernel whose bindings are the inputs, then one output, then its scalars if it has any. Nothing waits: the GPU runs
 * what was dispatched in order. Tapes do not see it; `defineOp` makes operations of kernels.
 *
 * @param scalars at most 64 bytes, for the kernel's uniform
 * @param dtype type of the output's elements
 * @returns the output, a new tensor of `shape`; the kernel must write all of it
 */
export function dispatch<D extends DType = 'float32'>(
  kernel: Kernel,
  inputs: readonly AnyTensor[],
  shape: readonly number[],
  scalars?: Scalars,
  dtype?: D,
): Tensor<D> {
  const output = Tensor.empty(inputs[0].gpu, shape, dtype ?? ('float32' as D));
  run(kernel, [...inputs, output], scalars);
  return output;
}

function run(kernel: Kernel, tensors: readonly AnyTensor[], scalars?: Scalars): void {
  tensors[0].gpu.run(
    kernel,
    tensors.map(({ buffer }) => buffer),
    scalars,
  );
}

/** The same for several outputs of float32, bound after the inputs in order. */
export function dispatchMany(
  kernel: Kernel,
  inputs: readonly AnyTensor[],
  shapes: readonly (readonly number[])[],
  scalars?: Scalars,
): Tensor[] {
  const outputs = shapes.map((shape) => Tensor.empty(inputs[0].gpu, shape));
  run(kernel, [...inputs, ...outputs], scalars);
  return outputs;
}

/** Runs a kernel that changes some of its bindings in place (running statistics, optimizer state). */
export function dispatchInPlace(kernel: Kernel, tensors: readonly AnyTensor[], scalars?: Scalars): void {
  run(kernel, tensors, scalars);
  tensors.forEach(({ buffer }, k) => {
    if (kernel.bindings[k] === 'w') markChanged(buffer);
  });
}
