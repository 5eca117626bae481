import type { Gpu } from '../gpu/gpu.js';
import { type NamedTensors, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';

/** The input of a batch, and any further data on it. */
export interface InputBatch<Known> {
  /** Values of the input; they may be overwritten after the batch. */
  values: Float32Array;
  known: Known;
}

/**
 * Runs a network over batches of one shape, as one recorded step.
 * @param body from the input to tensors by name
 * @param take called with the values of a batch's tensors
 */
export async function runOverBatches<K extends string, Known>(
  gpu: Gpu,
  shape: readonly number[],
  batches: AsyncIterable<InputBatch<Known>>,
  body: (x: Tensor) => Readonly<Record<K, Tensor>>,
  take: (values: Readonly<Record<K, Float32Array>>, known: Known) => void,
): Promise<void> {
  const x = keep(Tensor.zeros(gpu, shape));
  const step = recordStep(gpu, { x }, (inputs): NamedTensors => body(inputs.x));
  try {
    for await (const { values, known } of batches) {
      x.write(values);
      step.run();
      const read = Object.entries(step.outputs).map(async ([name, tensor]) => [name, await tensor.read()] as const);
      take(Object.fromEntries(await Promise.all(read)) as Record<K, Float32Array>, known);
    }
  } finally {
    step.dispose();
    x.dispose();
  }
}
