import { referenceOps } from '../../src/ops/registry.js';
import type { Tape } from '../../src/ops/tape.js';
import type { NdArray } from '../../src/reference/ndarray.js';
import type { ReferenceTable } from '../../src/reference/reference-op.js';
import { replayInFloat64 } from '../../src/tensor/replay.js';
import type { Tensor } from '../../src/tensor/tensor.js';

/**
 * Computes a tape that was recorded on the GPU again in float64: the same operations with the same attributes, from the values
 * that the leaves (tensors that no node made) had when the tape ran. Forward and backward use only the reference.
 *
 * @param leaves values of every leaf, read before the tape ran or unchanged since
 */
export function gradientsInFloat64(
  tape: Tape,
  leaves: ReadonlyMap<Tensor, NdArray>,
  output: Tensor,
  wrt: readonly Tensor[],
): { values: Map<Tensor, NdArray>; gradients: Map<Tensor, NdArray> } {
  const values = replayInFloat64(tape, referenceOps, leaves);
  const operations: ReferenceTable = referenceOps;
  const lookUp = (tensor: Tensor): NdArray => values.get(tensor)!;

  const gradients = new Map<Tensor, NdArray>();
  const seed = lookUp(output);
  gradients.set(output, { shape: seed.shape, data: new Float64Array(seed.data.length).fill(1) });
  for (const { name, inputs, attrs, output: result } of [...tape.nodes].reverse()) {
    const dy = gradients.get(result);
    if (!dy) continue;
    const parts = operations[name].backward(inputs.map(lookUp), lookUp(result), dy, attrs as never);
    inputs.forEach((input, k) => {
      const part = parts[k];
      if (!part) return;
      const sum = gradients.get(input);
      if (sum) for (let i = 0; i < sum.data.length; i++) sum.data[i] += part.data[i];
      else gradients.set(input, { shape: part.shape, data: Float64Array.from(part.data) });
    });
  }
  return { values, gradients: new Map(wrt.flatMap((t) => (gradients.has(t) ? [[t, gradients.get(t)!]] : []))) };
}
