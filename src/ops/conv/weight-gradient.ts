import type { ConvShape } from '../../../shaders/common/conv-geometry.js';
import type { WeightGradient } from '../../../shaders/common/weight-gradient.js';
import { convWeightGradientNaiveShader } from '../../../shaders/conv-naive.wgsl.js';
import { sumPartsShader } from '../../../shaders/conv-prepare.wgsl.js';
import { tapWeightGradientShader } from '../../../shaders/conv-weight-gradient.wgsl.js';
import { matrixWeightGradientShader } from '../../../shaders/conv-weight-gradient-matrix.wgsl.js';
import { tiledWeightGradientShader } from '../../../shaders/conv-weight-gradient-tiled.wgsl.js';
import type { Precision } from '../../common/precision.js';
import type { Shader } from '../../common/shader.js';
import { sizeOf, up4 } from '../../common/shapes.js';
import { elementGrid, elementKernel } from '../../kernels/elementwise.js';
import type { GatherConfig, WeightGradientConfig } from './choose.js';
import { type Dense, workgroupTile } from './dense.js';
import { depthwiseWeightGradientKernel } from './depthwise.js';
import type { Step } from './gather-plan.js';
import { inputPadding, paddedShape, padStep } from './padding.js';

/**
 * The kernels of a weight gradient: `padInput` and `padOutput` on the pictures where they are there, then `main` on the
 * results, then the passes of `sum` over the parts of main's output where there are several.
 */
export interface WeightGradientPlan {
  padInput: Step | null;
  padOutput: Step | null;
  main: Step;
  sum: Step[];
}

const weightsShape = ({ kernel, cin, cout, groups }: ConvShape): number[] => [...kernel, cin / groups, cout];

/** Adds `parts` arrays of `shape`. */
function sumParts(shape: readonly number[], parts: number): Step {
  const size = sizeOf(shape);
  return {
    shape,
    kernel: elementKernel('sum conv weight gradient parts', sumPartsShader(size, parts), size),
  };
}

/**
 * Plans the gradient by the weights.
 * @param forward the config of the forward pass, whose padded copy of the input this pass shares
 * @param precision what all but the naive and depthwise kernels round both pictures to
 */
export function planWeightGradient(
  shape: ConvShape,
  config: WeightGradientConfig,
  forward: GatherConfig,
  precision: Precision = 'f32',
): WeightGradientPlan {
  if (config.variant === 'naive') return planNaive(shape);
  if (config.variant === 'depthwise') return planDepthwise(shape, config);
  return planDense(shape, config, forward, precision);
}

function planNaive(shape: ConvShape): WeightGradientPlan {
  const weights = weightsShape(shape);
  const workgroups = elementGrid(sizeOf(weights));
  const kernel = { label: 'conv weight gradient naive', ...convWeightGradientNaiveShader(shape), workgroups };
  return { padInput: null, padOutput: null, main: { kernel, shape: weights }, sum: [] };
}

function planDepthwise(shape: ConvShape, config: WeightGradientConfig & { variant: 'depthwise' }): WeightGradientPlan {
  const { splitK, firstSplitK } = config;
  const weights = weightsShape(shape);
  const sum = [];
  // Part a·splitK + b as row a of wider rows: the first pass adds rows, the second what is left of the parts.
  if (firstSplitK > 1) sum.push(sumParts([splitK, ...weights], firstSplitK));
  if (splitK > 1) sum.push(sumParts(weights, splitK));
  const partial = sum.length === 0 ? weights : [firstSplitK * splitK, ...weights];
  const main = { kernel: depthwiseWeightGradientKernel(shape, config), shape: partial };
  return { padInput: null, padOutput: null, main, sum };
}

function planDense(
  shape: ConvShape,
  config: Dense<WeightGradientConfig>,
  forward: GatherConfig,
  precision: Precision,
): WeightGradientPlan {
  const { batch, input, output, kernel: taps, cin, cout } = shape;
  const { splitK } = config;
  const [inputShape, padding] = [[batch, ...input, cin], inputPadding(shape, forward)];
  const padInput = padStep(inputShape, padding, precision, taps[0] * taps[1]);
  const none = { before: [0, 0], after: [0, 0] } satisfies typeof padding;
  const padOutput = padStep([batch, ...output, cout], none, precision, taps[0] * taps[1]);
  const [, height, width, channels] = paddedShape(inputShape, padding);
  const gradient: WeightGradient = {
    ...shape,
    input: {
      height,
      width,
      channels,
      firstRow: padding.before[0] - shape.padding[0],
      firstColumn: padding.before[1] - shape.padding[1],
      stored: padInput ? precision : 'f32',
    },
    output: { height: output[0], width: output[1], channels: up4(cout), stored: padOutput ? precision : 'f32' },
    splitK,
    precision,
  };
  const [across, down] =
    config.variant === 'register' ? [4 * config.workgroup, config.tileChannels] : workgroupTile(config);
  const kernel = {
    label: `conv weight gradient ${config.variant}`,
    ...denseShader(gradient, config),
    workgroups: [Math.ceil((taps[0] * taps[1] * channels) / across), Math.ceil(cout / down), splitK] as const,
  };
  const weights = weightsShape(shape);
  const main = { kernel, shape: splitK === 1 ? weights : [splitK, ...weights] };
  return { padInput, padOutput, main, sum: splitK === 1 ? [] : [sumParts(weights, splitK)] };
}

function denseShader(gradient: WeightGradient, config: Dense<WeightGradientConfig>): Shader {
  if (config.variant === 'tiled') return tiledWeightGradientShader(gradient, config.tile);
  if (config.variant === 'matrix') return matrixWeightGradientShader(gradient, config.tile);
  return tapWeightGradientShader(gradient, config);
}
