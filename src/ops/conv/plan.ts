import type { Epilogue } from '../../../shaders/common/epilogue.js';
import { convForwardNaiveShader, convInputGradientNaiveShader } from '../../../shaders/conv-naive.wgsl.js';
import { epilogueShader, foldBatchNormShader } from '../../../shaders/conv-prepare.wgsl.js';
import type { Precision } from '../../common/precision.js';
import type { Shader } from '../../common/shader.js';
import { sizeOf } from '../../common/shapes.js';
import type { Kernel } from '../../gpu/kernel.js';
import { elementGrid, elementKernel } from '../../kernels/elementwise.js';
import type { GatherConfig } from './choose.js';
import { planDense } from './dense.js';
import { planDepthwise } from './depthwise.js';
import { blocksOf, type ConvPlan, type ConvStep, type Gather } from './gather-plan.js';
import { planWinograd } from './winograd.js';

/**
 * Plans output = conv(input) or, as 'inputGradient', input = convᵀ(output) (which is also the forward transposed conv).
 * @param precision what all but the naive and depthwise kernels round their operands to: padded pictures and packed weights
 * are stored so
 */
export function planGather(
  gather: Gather,
  epilogue: Epilogue,
  config: GatherConfig,
  precision: Precision = 'f32',
): ConvPlan {
  switch (config.variant) {
    case 'naive':
      return { steps: planNaive(gather, epilogue), padded: null };
    case 'depthwise':
      return { steps: [planDepthwise(gather, config, epilogue)], padded: null };
    case 'winograd':
      return { steps: planWinograd(gather, config, epilogue), padded: null };
    case 'blocks':
      return planDense(blocksOf(gather)!, config.conv, epilogue, precision);
    default:
      return planDense(gather, config, epilogue, precision);
  }
}

/** A convolution that leaves the epilogue out, and the epilogue after it. */
function planNaive({ shape, direction, dest }: Gather, epilogue: Epilogue): ConvStep[] {
  const shader = direction === 'forward' ? convForwardNaiveShader(shape) : convInputGradientNaiveShader(shape);
  const step = (label: string, text: Shader): Kernel => ({
    label,
    ...text,
    workgroups: elementGrid(sizeOf(dest)),
  });
  const conv: ConvStep = {
    kernel: step(`conv ${direction} naive`, shader),
    shape: dest,
    inputs: ['source', 'weights'],
  };
  if (epilogue === 'none') return [conv];
  const kernel = step(`conv ${epilogue}`, epilogueShader(epilogue, dest[3]));
  return [conv, { kernel, shape: dest, inputs: [0, 'epilogue'] }];
}

/** Bindings gamma, beta, mean, variance, slope [1] or [C], and what the epilogue batchNormPrelu needs, [3, C]. */
export function foldBatchNormKernel(channels: number, eps: number, sharedSlope: boolean): Kernel {
  const shader = foldBatchNormShader(channels, eps, sharedSlope);
  return elementKernel('fold batch norm', shader, channels);
}
