import { type DepthwiseConv, depthwiseLoopShader, depthwiseMarchShader } from '../../shaders/conv-depthwise.wgsl.js';
import { depthwiseWeightGradientShader } from '../../shaders/conv-depthwise-weight-gradient.wgsl.js';
import { axisSteps, type ConvShape } from '../common/conv-geometry.js';
import { sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import type { DepthwiseConfig, DepthwiseGather, DepthwiseWeightGradientConfig } from './conv-depthwise-choose.js';
import { elementGrid } from './elementwise.js';

/** Bindings source [N,H,W,C], weights [kh,kw,1,C], the epilogue's numbers where it has some, dest [N,Ho,Wo,C]. */
export function depthwiseKernel(
  gather: Omit<DepthwiseConv, 'width'> & DepthwiseGather,
  config: DepthwiseConfig,
): Omit<Kernel, 'label'> {
  const { batch, dest, rows, columns } = gather;
  const groups = gather.channels / config.width;
  const conv: DepthwiseConv = { ...gather, width: config.width };
  const bindings = gather.epilogue === 'none' ? 'rrw' : 'rrrw';
  if (config.kind === 'loop') {
    const workgroups = elementGrid(sizeOf([Math.ceil(batch / config.pictures), dest[0], dest[1], groups]));
    return { wgsl: depthwiseLoopShader(conv, rows, columns, config.pictures), bindings, workgroups };
  }
  const segments = Math.ceil(axisSteps(rows) / config.steps);
  const strips = Math.ceil(axisSteps(columns) / config.pixels);
  const workgroups = elementGrid(batch * segments * strips * groups);
  return { wgsl: depthwiseMarchShader(conv, rows, columns, config), bindings, workgroups };
}

/** Bindings big [N,H,W,C], small [N,Ho,Wo,C], partial sums [firstSlots·slots,kh,kw,1,C]. */
export function depthwiseWeightGradientKernel(shape: ConvShape, config: DepthwiseWeightGradientConfig): Kernel {
  const slots = config.firstSlots * config.slots;
  const blocks = [0, 1].map((axis) => Math.ceil(shape.kernel[axis] / config.block[axis]));
  return {
    label: 'depthwise conv weight gradient',
    wgsl: depthwiseWeightGradientShader({ ...config, shape, slots }),
    bindings: 'rrw',
    workgroups: elementGrid(sizeOf([slots, ...blocks, shape.cin / config.width])),
  };
}
