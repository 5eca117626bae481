import { attrsOfShape } from '../../src/ops/conv/shape.js';
import type { ConvWork, MatmulWork, Work } from '../core/work.js';
import { bytesField, type Fields, integerField, joinFields } from './protobuf.js';

// The numbers of fields and types are those of onnx.proto (https://github.com/onnx/onnx).
const FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;
const IR_VERSION = 8;
const OPSET = 13;

/** A named float32 array: a constant of the model if it has values, else a graph input. */
interface Value {
  name: string;
  shape: readonly number[];
  values?: Float32Array<ArrayBuffer>;
}

interface Node {
  op: string;
  inputs: readonly string[];
  output: string;
  attributes?: Readonly<Record<string, number | readonly number[]>>;
}

function attribute(name: string, value: number | readonly number[]): Fields {
  if (typeof value === 'number') {
    return joinFields(bytesField(1, name), integerField(3, value), integerField(20, ATTRIBUTE_INT));
  }
  return joinFields(bytesField(1, name), ...value.map((v) => integerField(8, v)), integerField(20, ATTRIBUTE_INTS));
}

function node({ op, inputs, output, attributes = {} }: Node): Fields {
  return joinFields(
    ...inputs.map((name) => bytesField(1, name)),
    bytesField(2, output),
    bytesField(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytesField(5, attribute(name, value))),
  );
}

/** An input or output of a graph: its name, and its type, which is a float tensor of this shape. */
function valueInfo({ name, shape }: Value): Fields {
  const dimensions = joinFields(...shape.map((size) => bytesField(1, integerField(1, size))));
  const tensorType = joinFields(integerField(1, FLOAT), bytesField(2, dimensions));
  return joinFields(bytesField(1, name), bytesField(2, bytesField(1, tensorType)));
}

function constant({ name, shape, values }: Value): Fields {
  const { buffer, byteOffset, byteLength } = values!;
  return joinFields(
    ...shape.map((size) => integerField(1, size)),
    integerField(2, FLOAT),
    bytesField(8, name),
    bytesField(9, new Uint8Array(buffer, byteOffset, byteLength)),
  );
}

function modelBytes(nodes: readonly Node[], values: readonly Value[], output: Value): Fields {
  const graph = joinFields(
    ...nodes.map((each) => bytesField(1, node(each))),
    bytesField(2, 'bench'),
    ...values.map((value) => (value.values ? bytesField(5, constant(value)) : bytesField(11, valueInfo(value)))),
    bytesField(12, valueInfo(output)),
  );
  return joinFields(
    integerField(1, IR_VERSION),
    bytesField(7, graph),
    bytesField(8, integerField(2, OPSET)), // of the default domain
  );
}

/** A model of one computation. */
export interface OnnxModel {
  bytes: Fields;
  /** The operands that are inputs of the model, with their names there; the others are constants in the model. */
  inputs: { name: string; operand: 0 | 1; shape: readonly number[] }[];
}

/** Reorders weights [kh, kw, I, O] to [O, I, kh, kw], as both Conv and ConvTranspose take them here. */
export function toOihw(values: Float32Array, [kh, kw, i, o]: readonly number[]): Float32Array<ArrayBuffer> {
  const taps = kh * kw;
  const out = new Float32Array(values.length);
  for (let tap = 0; tap < taps; tap++) {
    for (let from = 0; from < i; from++) {
      for (let to = 0; to < o; to++) out[(to * i + from) * taps + tap] = values[(tap * i + from) * o + to];
    }
  }
  return out;
}

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
  const nodes: Node[] = [
    { op: 'Transpose', inputs: ['x'], output: 'planes', attributes: { perm: [0, 3, 1, 2] } },
    { op: transposed ? 'ConvTranspose' : 'Conv', inputs: ['planes', 'weights'], output: 'result', attributes },
    { op: 'Transpose', inputs: ['result'], output: 'y', attributes: { perm: [0, 2, 3, 1] } },
  ];
  const x: Value = { name: 'x', shape: work.inputs[0] };
  const filter: Value = {
    name: 'weights',
    shape: [cout, cin / groups, ...kernel],
    values: toOihw(weights, work.inputs[1]),
  };
  const bytes = modelBytes(nodes, [x, filter], { name: 'y', shape: work.output });
  return { bytes, inputs: [{ name: 'x', operand: 0, shape: x.shape }] };
}

function matmulModel({ inputs: [a, b], output, transposeA, transposeB }: MatmulWork): OnnxModel {
  const product: Node =
    transposeA || transposeB
      ? {
          op: 'Gemm',
          inputs: ['a', 'b'],
          output: 'y',
          attributes: { transA: Number(transposeA), transB: Number(transposeB) },
        }
      : { op: 'MatMul', inputs: ['a', 'b'], output: 'y' };
  const values: Value[] = [
    { name: 'a', shape: a },
    { name: 'b', shape: b },
  ];
  const bytes = modelBytes([product], values, { name: 'y', shape: output });
  return { bytes, inputs: values.map(({ name, shape }, k) => ({ name, shape, operand: k as 0 | 1 })) };
}

/** A model that computes `work`. @returns null for gradients of convolutions, for which ONNX has no operators */
export function onnxModel(work: Work, operands: readonly [Float32Array, Float32Array]): OnnxModel | null {
  if (work.type === 'matmul') return matmulModel(work);
  return work.kind.endsWith('forward') ? convModel(work, operands[1]) : null;
}
