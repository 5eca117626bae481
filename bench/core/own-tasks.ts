import { centredUniform } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { batchNormPreluOps } from '../../src/ops/batch-norm/prelu.js';
import { convGradients } from '../../src/ops/conv/gradient.js';
import { cosFaceOps } from '../../src/ops/cosface.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import type { Runnable } from './runnable.js';
import type { Task } from './task.js';

/** A tensor of uniform values in [−½, ½), the same for the same seed. */
export function uniformTensor(gpu: Gpu, shape: readonly number[], seed: number): Tensor {
  return Tensor.from(gpu, centredUniform(sizeOf(shape), seed), shape);
}

/** A runnable that calls `compute`, which returns the tensor to read, in a scope. `dispose` frees `inputs`. */
function runnableOf(gpu: Gpu, inputs: Tensor[], compute: () => Tensor): Runnable {
  return {
    run: () => {
      scope(gpu, () => {
        compute();
      });
    },
    finish: () => gpu.sync(),
    result: async () => {
      const output = scope(gpu, compute);
      const values = await output.read();
      output.dispose();
      return values;
    },
    dispose: () => {
      for (const tensor of inputs) tensor.dispose();
    },
  };
}

/** Batch norm with the statistics of the batch, then PReLU with a slope per channel, on [batch, height, width, channels]. */
export function normTasks([height, width, channels]: readonly [number, number, number], batch: number): Task[] {
  const shape = [batch, height, width, channels];
  const bytes = 4 * sizeOf(shape);
  const layer = `${channels} @${height}×${width}`;
  const op = batchNormPreluOps.batchNormPreluTraining;
  const attrs = { eps: 1e-5 };
  const inputsOn = (gpu: Gpu): Tensor[] => [
    uniformTensor(gpu, shape, 1),
    ...[2, 3, 4].map((seed) => uniformTensor(gpu, [channels], seed)),
  ];
  return [
    {
      kind: 'batch norm + PReLU forward',
      layer,
      batch,
      flops: 0,
      bytes: 2 * bytes,
      prepare(gpu) {
        const inputs = inputsOn(gpu);
        return runnableOf(gpu, inputs, () => op.forward(inputs, attrs, shape).output);
      },
    },
    {
      kind: 'batch norm + PReLU backward',
      layer,
      batch,
      flops: 0,
      bytes: 3 * bytes,
      prepare(gpu) {
        const inputs = inputsOn(gpu);
        const dy = uniformTensor(gpu, shape, 5);
        const { output, saved = [] } = op.forward(inputs, attrs, shape);
        return runnableOf(gpu, [...inputs, dy, output, ...saved], () => {
          const needs = [true, true, true, true];
          const [dx] = op.backward({ inputs, output, saved, attrs, dy, needs, gradients: convGradients });
          return dx!;
        });
      },
    },
  ];
}

/** The CosFace loss of a batch of embeddings and the weights of all classes, and its gradients with respect to both. */
export function cosFaceTasks({ dim, classes }: { dim: number; classes: number }, batch: number): Task[] {
  const operandBytes = 4 * dim * (batch + classes);
  const layer = `${classes} classes, ${dim} values`;
  const { cosFace } = cosFaceOps;
  const attrs = { scale: 64, margin: 0.35 };
  const inputsOn = (gpu: Gpu): Tensor[] => [
    uniformTensor(gpu, [batch, dim], 1),
    uniformTensor(gpu, [classes, dim], 2),
    Tensor.from(
      gpu,
      Float32Array.from({ length: batch }, (_, k) => (k * 7919) % classes),
      [batch],
    ),
  ];
  return [
    {
      kind: 'CosFace forward',
      layer,
      batch,
      flops: 2 * batch * classes * dim,
      bytes: operandBytes,
      prepare(gpu) {
        const inputs = inputsOn(gpu);
        return runnableOf(gpu, inputs, () => cosFace.forward(inputs, attrs, []).output);
      },
    },
    {
      kind: 'CosFace backward',
      layer,
      batch,
      flops: 4 * batch * classes * dim,
      bytes: 2 * operandBytes,
      prepare(gpu) {
        const inputs = inputsOn(gpu);
        const { output, saved = [] } = cosFace.forward(inputs, attrs, []);
        const dy = Tensor.scalar(gpu, 1);
        const context = { inputs, output, saved, attrs, dy, needs: [true, true, false], gradients: convGradients };
        return runnableOf(gpu, [...inputs, output, dy, ...saved], () => cosFace.backward(context)[1]!);
      },
    },
  ];
}
