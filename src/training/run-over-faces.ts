import type { FaceSource } from '../data/faces/batches.js';
import type { Gpu } from '../gpu/gpu.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import type { Tensor } from '../tensor/tensor.js';
import { type InputBatch, runOverBatches } from './run-over-batches.js';

const BATCH = 16;

export interface FacePass {
  /** Indices of the first face, and how many the batch has. */
  first: number;
  count: number;
}

/**
 * Runs a network over faces in batches of one size, as one recorded step.
 * @param indices of the faces in the set
 * @param body from faces [batch, height, width, 3] in [0, 1] to tensors whose first axis is the batch
 * @param take called with the values of a batch; ignore those of unused places in the last batch
 */
export async function runOverFaces<K extends string>(
  gpu: Gpu,
  faces: FaceSource,
  indices: readonly number[],
  { height, width }: { height: number; width: number },
  body: (x: Tensor) => Readonly<Record<K, Tensor>>,
  take: (values: Readonly<Record<K, Float32Array>>, pass: FacePass) => void,
): Promise<void> {
  await runOverBatches(gpu, [BATCH, height, width, 3], batchesOf(faces, indices, height * width), body, take);
}

async function* batchesOf(
  faces: FaceSource,
  indices: readonly number[],
  pixelsOfFace: number,
): AsyncGenerator<InputBatch<FacePass>> {
  const values = new Float32Array(BATCH * pixelsOfFace * 3);
  for (let first = 0; first < indices.length; first += BATCH) {
    const batch = indices.slice(first, first + BATCH);
    writeUnitPixels(await faces.batch(batch), values);
    yield { values, known: { first, count: batch.length } };
  }
}
