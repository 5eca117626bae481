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
import { elementKernel } from '../../kernels/elementwise.js';
import type { GatherConfig, WeightGradientConfig } from './choose.js';
import { type Dense, workgroupTile } from './dense.js';
import { depthwiseWeightGradientKernel } from './depthwise.js';
import type { ConvPlan, ConvStep } from './gather-plan.js';
import { inputPadding, paddedShape, padStep } from './padding.js';
import { planWinogradWeightGradient } from './winograd.js';

const weightsShape = ({ kernel, cin, cout, groups }: ConvShape): number[] => [...kernel, cin / groups, cout];

/** Adds `parts` arrays of `shape`, the result of step `from`. */
function sumParts(shape: readonly number[], parts: number, from: number): ConvStep {
  const size = sizeOf(shape);
  return {
    shape,
    kernel: elementKernel('sum conv weight gradient parts', sumPartsShader(size, parts), size),
    inputs: [from],
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
): ConvPlan {
  switch (config.variant) {
    case 'naive':
      return { steps: planNaive(shape), padded: null };
    case 'depthwise':
      return { steps: planDepthwise(shape, config), padded: null };
    case 'winograd':
      return { steps: planWinogradWeightGradient(shape, config), padded: null };
    default:
      return planDense(shape, config, forward, precision);
  }
}

const BOTH = ['source', 'output'] as const;

function planNaive(shape: ConvShape): ConvStep[] {
  const weights = weightsShape(shape);
  const kernel = elementKernel('conv weight gradient naive', convWeightGradientNaiveShader(shape), sizeOf(weights));
  return [{ kernel, shape: weights, inputs: BOTH }];
}

function planDepthwise(shape: ConvShape, config: WeightGradientConfig & { variant: 'depthwise' }): ConvStep[] {
  const { splitK, firstSplitK } = config;
  const weights = weightsShape(shape);
  const parts = firstSplitK * splitK;
  const partial = parts === 1 ? weights : [parts, ...weights];
  const steps: ConvStep[] = [{ kernel: depthwiseWeightGradientKernel(shape, config), shape: partial, inputs: BOTH }];
  // Part a·splitK + b as row a of wider rows: the first pass adds rows, the second what is left of the parts.
  if (firstSplitK > 1) steps.push(sumParts([splitK, ...weights], firstSplitK, 0));
  if (splitK > 1) steps.push(sumParts(weights, splitK, steps.length - 1));
  return steps;
}

function planDense(
  shape: ConvShape,
  config: Dense<WeightGradientConfig>,
  forward: GatherConfig,
  precision: Precision,
): ConvPlan {
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
  const steps: ConvStep[] = [];
  const inputs = BOTH.map((input, k) => {
    const pad = [padInput, padOutput][k];
    return pad ? steps.push({ ...pad, inputs: [input] }) - 1 : input;
  });
  const main = steps.push({ kernel, shape: splitK === 1 ? weights : [splitK, ...weights], inputs }) - 1;
  if (splitK > 1) steps.push(sumParts(weights, splitK, main));
  return { steps, padded: padInput ? 0 : null };
}

function denseShader(gradient: WeightGradient, config: Dense<WeightGradientConfig>): Shader {
  if (config.variant === 'tiled') return tiledWeightGradientShader(gradient, config.tile);
  if (config.variant === 'matrix') return matrixWeightGradientShader(gradient, config.tile);
  return tapWeightGradientShader(gradient, config);
}
