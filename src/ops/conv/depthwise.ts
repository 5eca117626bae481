import { axisSteps, type ConvShape } from '../../../shaders/common/conv-geometry.js';
import type { Epilogue } from '../../../shaders/common/epilogue.js';
import { depthwiseLoopShader, depthwiseSlidingShader } from '../../../shaders/conv-depthwise.wgsl.js';
import { depthwiseWeightGradientShader } from '../../../shaders/conv-depthwise-weight-gradient.wgsl.js';
import { sizeOf } from '../../common/shapes.js';
import type { Kernel } from '../../gpu/kernel.js';
import { elementKernel } from '../../kernels/elementwise.js';
import type { DepthwiseConfig, DepthwiseWeightGradientConfig } from './depthwise-choose.js';
import type { ConvStep, Gather } from './gather-plan.js';

/** Source [N,H,W,C], weights [kh,kw,1,C], the epilogue's numbers where it has some, to dest [N,Ho,Wo,C]. */
export function planDepthwise(gather: Gather, config: DepthwiseConfig, epilogue: Epilogue): ConvStep {
  const { shape, direction, source, dest, vertical, horizontal } = gather;
  const [batch, height, across, channels] = dest;
  const { width } = config;
  const conv = {
    batch,
    source: [source[1], source[2]],
    dest: [height, across],
    channels,
    kernel: shape.kernel,
    epilogue,
    width,
  } as const;
  const [shader, invocations] =
    config.kind === 'loop'
      ? [
          depthwiseLoopShader(conv, vertical, horizontal, config.pictures),
          Math.ceil(batch / config.pictures) * height * across * (channels / width),
        ]
      : [
          depthwiseSlidingShader(conv, vertical, horizontal, config),
          batch *
            Math.ceil(axisSteps(vertical) / config.steps) *
            Math.ceil(axisSteps(horizontal) / config.pixels) *
            (channels / width),
        ];
  const kernel: Kernel = elementKernel(`depthwise conv ${direction}`, shader, invocations);
  return { kernel, shape: dest, inputs: ['source', 'weights', ...(epilogue === 'none' ? [] : ['epilogue' as const])] };
}

/** Bindings input [N,H,W,C], output [N,Ho,Wo,C] (its gradient), partial sums [firstSplitK·splitK,kh,kw,1,C]. */
export function depthwiseWeightGradientKernel(shape: ConvShape, config: DepthwiseWeightGradientConfig): Kernel {
  const splitK = config.firstSplitK * config.splitK;
  const blocks = [0, 1].map((axis) => Math.ceil(shape.kernel[axis] / config.block[axis]));
  return elementKernel(
    'depthwise conv weight gradient',
    depthwiseWeightGradientShader({ ...config, shape, splitK }),
    sizeOf([splitK, ...blocks, shape.cin / config.width]),
  );
}
