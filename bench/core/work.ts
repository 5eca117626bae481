import { type ConvShape, convMultiplyAdds } from '../../shaders/common/conv-geometry.js';
import { type Precision, roundToHalf } from '../../src/common/precision.js';
import { centredUniform } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import type { BenchLayer, ConvLayer } from '../layers.js';

/** The kinds of computation; ratios are averaged over each. */
export const KINDS = [
  'conv forward',
  'conv input gradient',
  'conv weight gradient',
  'transposed forward',
  'transposed input gradient',
  'transposed weight gradient',
  'depthwise forward',
  'depthwise input gradient',
  'depthwise weight gradient',
  'matmul',
] as const;
export type Kind = (typeof KINDS)[number];

/**
 * Which of a convolution's three arrays is computed from the other two: `output` from input and weights, `input` from output and
 * weights (the input gradient, or a transposed conv), or `weights` from input and output (the weight gradient).
 */
export type ConvResult = 'output' | 'input' | 'weights';

interface CommonWork {
  kind: Kind;
  layer: string;
  /** Pictures per batch. */
  batch: number;
  /** How often each network has this layer. */
  counts: Record<string, number>;
  inputs: readonly [Shape, Shape];
  output: Shape;
  multiplyAdds: number;
  /** Number of terms in each sum. */
  sumLength: number;
}
type Shape = readonly number[];

/** A convolution. `inputs` are input and weights, output and weights, or input and output, in this order, by `result`. */
export interface ConvWork extends CommonWork {
  type: 'conv' | 'convTranspose';
  result: ConvResult;
  shape: ConvShape;
}

/** The product op(a)·op(b), where op transposes its matrix if the flag is set. */
export interface MatmulWork extends CommonWork {
  type: 'matmul';
  transposeA: boolean;
  transposeB: boolean;
}

/** One computation to time. */
export type Work = ConvWork | MatmulWork;

/** Bytes that any implementation moves at least: both operands read once, the result written once. */
export function compulsoryBytes({ inputs, output }: Work): number {
  return 4 * [...inputs, output].reduce((sum, shape) => sum + sizeOf(shape), 0);
}

function convWorks({ name, counts }: BenchLayer, layer: ConvLayer, batch: number): ConvWork[] {
  const { type, ...ofOnePicture } = layer;
  const shape: ConvShape = { batch, ...ofOnePicture };
  const { input, output, cin, cout, kernel, stride, groups } = shape;
  const shapes = {
    input: [batch, ...input, cin],
    output: [batch, ...output, cout],
    weights: [...kernel, cin / groups, cout],
  };
  const taps = kernel[0] * kernel[1];
  const sumLengths = {
    output: (taps * cin) / groups,
    input: (Math.ceil(kernel[0] / stride[0]) * Math.ceil(kernel[1] / stride[1]) * cout) / groups,
    weights: batch * output[0] * output[1],
  };
  const family = groups > 1 ? 'depthwise' : type === 'conv' ? 'conv' : 'transposed';
  const results: [ConvResult, 'forward' | 'input gradient' | 'weight gradient'][] = [
    ['output', type === 'conv' ? 'forward' : 'input gradient'],
    ['input', type === 'conv' ? 'input gradient' : 'forward'],
    ['weights', 'weight gradient'],
  ];
  return results.map(([result, pass]) => ({
    type,
    kind: `${family} ${pass}`,
    layer: name,
    batch,
    counts,
    result,
    shape,
    inputs: [result === 'input' ? shapes.output : shapes.input, result === 'weights' ? shapes.output : shapes.weights],
    output: shapes[result],
    multiplyAdds: convMultiplyAdds(shape),
    sumLength: sumLengths[result],
  }));
}

function matmulWork(
  { layer, batch, counts }: Pick<MatmulWork, 'layer' | 'batch' | 'counts'>,
  [m, n, k]: readonly [number, number, number],
  transposeA = false,
  transposeB = false,
): MatmulWork {
  const inputs = [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]] as const;
  const multiplyAdds = m * n * k;
  return {
    type: 'matmul',
    kind: 'matmul',
    layer,
    batch,
    counts,
    inputs,
    output: [m, n],
    multiplyAdds,
    sumLength: k,
    transposeA,
    transposeB,
  };
}

/** The forward pass and both gradients of a layer. */
export function worksOf(layer: BenchLayer, batch: number): Work[] {
  const { name, shape, counts } = layer;
  if (shape.type !== 'linear') return convWorks(layer, shape, batch);
  const { inputs, outputs } = shape;
  return [
    matmulWork({ layer: name, batch, counts }, [batch, outputs, inputs]),
    matmulWork({ layer: `${name}, input gradient`, batch, counts }, [batch, inputs, outputs], false, true),
    matmulWork({ layer: `${name}, weight gradient`, batch, counts }, [inputs, outputs, batch], true, false),
  ];
}

/** Everything that peers are compared in: the passes of the layers, and one product of square matrices, which other libraries publish, too. */
export function allWorks(layers: readonly BenchLayer[], batch: number): Work[] {
  const square = matmulWork({ layer: '512×512×512', batch, counts: {} }, [512, 512, 512]);
  return [...layers.flatMap((layer) => worksOf(layer, batch)), square];
}

/**
 * Uniform values in [−½, ½), the same in each run. For f16 they are rounded to half precision first, so that the results
 * can be compared with the same reference as those of f32.
 */
export function operands(work: Work, precision: Precision = 'f32'): [Float32Array, Float32Array] {
  const values = [1, 2].map((seed) => centredUniform(sizeOf(work.inputs[seed - 1]), seed));
  const [first, second] = precision === 'f16' ? values.map((array) => array.map(roundToHalf)) : values;
  return [first, second];
}
