import { permuted } from '../../src/onnx/export/graph-writer.js';
import { type OnnxInitializer, type OnnxNode, writeOnnx } from '../../src/onnx/export/onnx-file.js';
import { attrsOfShape } from '../../src/ops/conv/shape.js';
import type { ConvWork, MatmulWork, Work } from '../core/work.js';

const OPSET = 13;

/** The bytes of a model of float32 arrays. */
function modelBytes(
  nodes: readonly OnnxNode[],
  inputs: readonly { name: string; shape: readonly number[] }[],
  output: readonly number[],
  initializers: readonly OnnxInitializer[] = [],
): Uint8Array<ArrayBuffer> {
  const value = (name: string, shape: readonly number[]) => ({ name, type: 'float32' as const, shape });
  const graph = { inputs: inputs.map(({ name, shape }) => value(name, shape)), outputs: [value('y', output)] };
  return Uint8Array.from(writeOnnx({ opset: OPSET, nodes, initializers, metadata: {}, ...graph }));
}

/** A model of one computation. */
export interface OnnxModel {
  bytes: Uint8Array<ArrayBuffer>;
  /** The operands that are inputs of the model, with their names there; the others are constants in the model. */
  inputs: { name: string; operand: 0 | 1; shape: readonly number[] }[];
}

/** Reorders weights [kh, kw, I, O] to [O, I, kh, kw], as both Conv and ConvTranspose take them here. */
export const toOihw = (values: Float32Array, shape: readonly number[]): Float32Array<ArrayBuffer> =>
  Float32Array.from(permuted(values, shape, [3, 2, 0, 1]));

/**
 * A model with NHWC input and output, and weights as a constant. ONNX knows NCHW only, so the conv is between two transpositions.
 * The runtime's optimiser cancels them against those that its own NHWC kernels would need, so only the conv runs.
 */
function convModel(work: ConvWork, weights: Float32Array): OnnxModel {
  const { kernel, groups, cin, cout, input, output } = work.shape;
  const { stride, padding, dilation } = attrsOfShape(work.shape);
  const [top, bottom, left, right] = padding;
  const transposed = work.result === 'input';
  // A transposed conv needs output_padding for the rows at the end that the conv's stride did not reach.
  const outputPadding = [0, 1].map((axis) => {
    const reach = (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
    return input[axis] + padding[2 * axis] + padding[2 * axis + 1] - reach;
  });
  const attributes = {
    kernel_shape: kernel,
    strides: stride,
    pads: [top, left, bottom, right],
    dilations: dilation,
    group: groups,
    ...(transposed ? { output_padding: outputPadding } : {}),
  };
  const nodes: OnnxNode[] = [
    { type: 'Transpose', inputs: ['x'], outputs: ['planes'], attributes: { perm: [0, 3, 1, 2] } },
    { type: transposed ? 'ConvTranspose' : 'Conv', inputs: ['planes', 'weights'], outputs: ['result'], attributes },
    { type: 'Transpose', inputs: ['result'], outputs: ['y'], attributes: { perm: [0, 2, 3, 1] } },
  ];
  const x = { name: 'x', shape: work.inputs[0] };
  const filter: OnnxInitializer = {
    name: 'weights',
    type: 'float32',
    shape: [cout, cin / groups, ...kernel],
    values: toOihw(weights, work.inputs[1]),
  };
  return { bytes: modelBytes(nodes, [x], work.output, [filter]), inputs: [{ ...x, operand: 0 }] };
}

function matmulModel({ inputs: [a, b], output, transposeA, transposeB }: MatmulWork): OnnxModel {
  const transposes = { transA: Number(transposeA), transB: Number(transposeB) };
  const [type, attributes] = transposeA || transposeB ? (['Gemm', transposes] as const) : (['MatMul', {}] as const);
  const values = [
    { name: 'a', shape: a },
    { name: 'b', shape: b },
  ];
  const bytes = modelBytes([{ type, inputs: ['a', 'b'], outputs: ['y'], attributes }], values, output);
  return { bytes, inputs: values.map((value, k) => ({ ...value, operand: k as 0 | 1 })) };
}

/** A model that computes `work`. @returns null for gradients of convolutions, for which ONNX has no operators */
export function onnxModel(work: Work, operands: readonly [Float32Array, Float32Array]): OnnxModel | null {
  if (work.type === 'matmul') return matmulModel(work);
  return work.kind.endsWith('forward') ? convModel(work, operands[1]) : null;
}
