import type { Gpu } from '../../src/gpu/gpu.js';
import { convOps } from '../../src/ops/conv/conv.js';
import { convGradients } from '../../src/ops/conv/gradient.js';
import { attrsOfShape } from '../../src/ops/conv/shape.js';
import { matmulOps } from '../../src/ops/matmul/matmul.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import type { Runnable } from './runnable.js';
import type { ConvWork, MatmulWork, Work } from './work.js';

/** Dispatches the computation; call it inside a scope. */
function compute(work: ConvWork | MatmulWork, first: Tensor, second: Tensor, forOutput: Tensor): Tensor {
  if (work.type === 'matmul') {
    const { transposeA, transposeB } = work;
    return matmulOps.matmul.forward([first, second], { transposeA, transposeB }, work.output).output;
  }
  const attrs = attrsOfShape(work.shape);
  const { result } = work;
  if (work.type === 'convTranspose') {
    const transposed = convOps.convTranspose2d;
    const transposedAttrs = { ...attrs, outputPadding: [0, 0] as const };
    if (result === 'input') return transposed.forward([first, second], transposedAttrs, work.output).output;
    // In a ConvWork, a transposed conv reads `output` and writes `input`, so its dy has the shape of `input`.
    const inputs = result === 'output' ? [forOutput, second] : [second, forOutput];
    const needs = [result === 'output', result === 'weights'];
    const context = {
      inputs,
      output: first,
      saved: [],
      attrs: transposedAttrs,
      dy: first,
      needs,
      gradients: convGradients,
    };
    return transposed.backward(context)[result === 'output' ? 0 : 1]!;
  }
  const conv = convOps.conv2d;
  if (result === 'output') return conv.forward([first, second], attrs, work.output).output;
  const inputs = result === 'input' ? [forOutput, second] : [first, forOutput];
  const dy = result === 'input' ? first : second;
  const needs = [result === 'input', result === 'weights'];
  return conv.backward({ inputs, output: dy, saved: [], attrs, dy, needs, gradients: convGradients })[
    result === 'input' ? 0 : 1
  ]!;
}

/** The computation on our engine. Its times include the padding and reordering of operands. */
export function prepareEngine(gpu: Gpu, work: Work, operands: readonly [Float32Array, Float32Array]): Runnable {
  const first = Tensor.from(gpu, operands[0], work.inputs[0]);
  const second = Tensor.from(gpu, operands[1], work.inputs[1]);
  // A gradient takes the operand that it belongs to, but reads only its shape.
  const forOutput = Tensor.empty(gpu, work.output);
  return {
    run: () => {
      scope(gpu, () => {
        compute(work, first, second, forOutput);
      });
    },
    finish: () => gpu.sync(),
    result: async () => {
      const output = scope(gpu, () => compute(work, first, second, forOutput));
      const values = await output.read();
      output.dispose();
      return values;
    },
    dispose: () => {
      for (const tensor of [first, second, forOutput]) tensor.dispose();
    },
  };
}
