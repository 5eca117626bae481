import { axisSteps } from '../../../shaders/common/conv-geometry.js';
import type { Epilogue } from '../../../shaders/common/epilogue.js';
import type { GatherConv } from '../../../shaders/common/gather.js';
import { type MatrixTile, matrixTileColumns, matrixTileRows } from '../../../shaders/common/matrix-tile.js';
import { type Tile, tileColumns, tileRows } from '../../../shaders/common/tile.js';
import { matrixConvShader } from '../../../shaders/conv-matrix.wgsl.js';
import { packWeightsShader } from '../../../shaders/conv-prepare.wgsl.js';
import { type TapConvWithout, tapConvShader } from '../../../shaders/conv-tap.wgsl.js';
import { tiledConvShader } from '../../../shaders/conv-tiled.wgsl.js';
import type { Precision } from '../../common/precision.js';
import type { Shader } from '../../common/shader.js';
import { sizeOf, up4 } from '../../common/shapes.js';
import type { Kernel } from '../../gpu/kernel.js';
import { elementKernel } from '../../kernels/elementwise.js';
import type { GatherConfig } from './choose.js';
import type { ConvInput, ConvPlan, ConvStep, Gather } from './gather-plan.js';
import { paddedShape, padStep, sourcePadding, storedShape } from './padding.js';

/** Configs of the kernels that read padded pictures and packed weights. */
export type Dense<Config extends { variant: string }> = Exclude<
  Config,
  { variant: 'naive' | 'depthwise' | 'winograd' | 'blocks' }
>;

/** Rows and columns of a workgroup's tile. */
export function workgroupTile(
  config: { variant: 'tiled'; tile: Tile } | { variant: 'matrix'; tile: MatrixTile },
): [rows: number, columns: number] {
  return config.variant === 'tiled'
    ? [tileRows(config.tile), tileColumns(config.tile)]
    : [matrixTileRows(config.tile), matrixTileColumns(config.tile)];
}

/**
 * Pads the source and packs the weights if the kernel cannot read them as they are, and convolves.
 * @param without parts of the register kernel to leave out, for a profile
 */
export function planDense(
  gather: Gather,
  config: Dense<GatherConfig>,
  epilogue: Epilogue,
  precision: Precision,
  without?: TapConvWithout,
): ConvPlan {
  const { shape, direction, source, dest, blocks } = gather;
  const padding = sourcePadding(gather, config);
  const pad = padStep(source, padding, precision, shape.kernel[0] * shape.kernel[1]);
  const pack = packStep(gather, precision);
  const prepared: ConvStep[] = [...(pad ? [{ ...pad, inputs: ['source' as const] }] : []), ...(pack ? [pack] : [])];
  const [, height, width, channels] = paddedShape(source, padding);
  const [top, left] = padding.before;
  const conv: GatherConv = {
    batch: shape.batch,
    vertical: gather.vertical,
    horizontal: gather.horizontal,
    source: { height, width, channels, top, left, stored: pad ? precision : 'f32' },
    dest: { height: dest[1], width: dest[2], channels: dest[3] },
    blocks,
    kernelWidth: shape.kernel[1],
    transposed: direction === 'inputGradient' && !pack,
    epilogue,
    precision,
  };
  const kernel: Kernel = {
    label: `conv ${direction}${blocks ? ' blocks' : ''} ${config.variant}`,
    ...denseShader(conv, config, without),
    workgroups: denseGrid(conv, config),
  };
  const inputs: ConvInput[] = [pad ? 0 : 'source', pack ? prepared.length - 1 : 'weights'];
  if (epilogue !== 'none') inputs.push('epilogue');
  return {
    steps: [...prepared, { kernel, shape: blocks ? [shape.batch, ...blocks.picture] : dest, inputs }],
    padded: pad ? 0 : null,
  };
}

/**
 * Packs the weights; null if they can be read as they are. This is so if whole vectors of 4 lie along the source channels (an
 * input gradient reads them transposed) or along both.
 */
function packStep({ shape, direction, source, dest, blocks }: Gather, precision: Precision): ConvStep | null {
  const transposed = direction === 'inputGradient';
  const [sourceChannels, destChannels] = [source[3], dest[3]];
  if (!blocks && precision === 'f32' && sourceChannels % 4 === 0 && (transposed || destChannels % 4 === 0)) return null;
  const taps = shape.kernel[0] * shape.kernel[1];
  const packed = [taps, up4(sourceChannels), up4(destChannels)];
  const shader = packWeightsShader({
    taps,
    source: sourceChannels,
    dest: destChannels,
    transposed,
    blocks: blocks && { stride: blocks.stride, columns: shape.kernel[1] },
    precision,
  });
  const kernel = elementKernel('pack conv weights', shader, sizeOf(packed));
  return { kernel, shape: storedShape(packed, precision), inputs: ['weights'] };
}

function denseShader(conv: GatherConv, config: Dense<GatherConfig>, without?: TapConvWithout): Shader {
  if (config.variant === 'tiled') return tiledConvShader(conv, config.tile);
  return config.variant === 'matrix' ? matrixConvShader(conv, config.tile) : tapConvShader(conv, config, without);
}

function denseGrid(
  { batch, vertical, horizontal, dest }: GatherConv,
  config: Dense<GatherConfig>,
): Kernel['workgroups'] {
  const phases = vertical.phases.length * horizontal.phases.length;
  if (config.variant !== 'register') {
    const positions = batch * axisSteps(vertical) * axisSteps(horizontal);
    const [across, down] = workgroupTile(config);
    return [Math.ceil(positions / across), Math.ceil(dest.channels / down), phases];
  }
  const tiles = batch * axisSteps(vertical) * Math.ceil(axisSteps(horizontal) / config.tilePixels);
  return [Math.ceil(tiles / config.workgroup), Math.ceil(dest.channels / config.tileChannels), phases];
}
