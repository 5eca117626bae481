import type { Epilogue, GatherConv } from '../../shaders/common/gather.js';
import { type MatrixTile, matrixTileColumns, matrixTileRows } from '../../shaders/common/matrix-tile.js';
import { type Tile, tileColumns, tileRows } from '../../shaders/common/tile.js';
import { matrixConvShader } from '../../shaders/conv-matrix.wgsl.js';
import {
  convForwardNaiveShader,
  convInputGradientNaiveShader,
  convWeightGradientNaiveShader,
} from '../../shaders/conv-naive.wgsl.js';
import {
  arrangeWeightsShader,
  epilogueShader,
  foldBatchNormShader,
  padPictureShader,
  sumSlotsShader,
} from '../../shaders/conv-prepare.wgsl.js';
import { tapConvShader } from '../../shaders/conv-tap.wgsl.js';
import { tiledConvShader } from '../../shaders/conv-tiled.wgsl.js';
import { tapWeightGradientShader, type WeightGradient } from '../../shaders/conv-weight-gradient.wgsl.js';
import { matrixWeightGradientShader } from '../../shaders/conv-weight-gradient-matrix.wgsl.js';
import { tiledWeightGradientShader } from '../../shaders/conv-weight-gradient-tiled.wgsl.js';
import {
  type AxisPlan,
  axisPadding,
  axisSteps,
  type ConvShape,
  forwardAxis,
  inputGradientAxis,
} from '../common/conv-geometry.js';
import type { Precision } from '../common/precision.js';
import { sizeOf, up4 } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import type { GatherConfig, WeightGradientConfig } from './conv-choose.js';
import { depthwiseKernel, depthwiseWeightGradientKernel } from './conv-depthwise.js';
import { planWinograd } from './conv-winograd.js';
import { elementGrid } from './elementwise.js';
import type { GatherInput, GatherPlan, GatherSize, GatherStep, Step } from './gather-plan.js';

export type GatherDirection = 'forward' | 'inputGradient';

interface Padding {
  before: [number, number];
  after: [number, number];
}

const paddedShape = ([n, h, w, c]: readonly number[], { before, after }: Padding): number[] => [
  n,
  before[0] + h + after[0],
  before[1] + w + after[1],
  up4(c),
];

/** The tensor that holds an operand. Tensors are f32: of halves, two lie in each of its elements. */
const storedShape = (shape: readonly number[], precision: Precision): readonly number[] =>
  precision === 'f16' ? [...shape.slice(0, -1), shape[shape.length - 1] / 2] : shape;

/**
 * Copies a picture into a padded one in the given precision, or null where it is read as it is.
 * @param taps how often the kernel reads it: once, and a copy that only rounds costs more than it saves
 */
function padStep(shape: readonly number[], padding: Padding, precision: Precision, taps: number): Step | null {
  const padded = paddedShape(shape, padding);
  if (`${padded}` === `${shape}` && (precision === 'f32' || taps === 1)) return null;
  return {
    shape: storedShape(padded, precision),
    kernel: {
      label: 'pad picture',
      wgsl: padPictureShader({ shape, before: padding.before, padded, precision }),
      bindings: 'rw',
      workgroups: elementGrid((padded[0] * padded[1] * padded[2] * padded[3]) / 4),
      pointwise: true,
    },
  };
}

/** Zeros around the source of a gather whose rows of pixels are taken `tile` at a time. */
function gatherPadding(rows: AxisPlan, columns: AxisPlan, source: readonly [number, number], tile: number): Padding {
  const h = axisPadding(rows, source[0], 1);
  const w = axisPadding(columns, source[1], tile);
  return { before: [h.before, w.before], after: [h.after, w.after] };
}

const tileOf = (config: GatherConfig): number => (config.variant === 'register' ? config.tilePixels : 1);

/** The convolution as the choice of its kernel sees it. */
export function gatherSize(shape: ConvShape, direction: GatherDirection): GatherSize {
  const axis = direction === 'forward' ? forwardAxis : inputGradientAxis;
  const destChannels = direction === 'forward' ? shape.cout : shape.cin;
  return { shape, destChannels, rows: axis(shape, 0), columns: axis(shape, 1) };
}

/**
 * The padding of `big` for a forward pass with the given config and for the weight gradient, which share the padded
 * copy. The weight gradient takes up to 2 pixels at a time.
 */
function bigPadding(shape: ConvShape, config: GatherConfig): Padding {
  const { rows, columns } = gatherSize(shape, 'forward');
  const forward = gatherPadding(rows, columns, shape.big, tileOf(config));
  const gradient = gatherPadding(rows, columns, shape.big, 2);
  return {
    before: forward.before,
    after: [forward.after[0], Math.max(forward.after[1], gradient.after[1])],
  };
}

/**
 * Plans small = conv(big) or, as 'inputGradient', big = convᵀ(small) (which is also the forward transposed conv).
 * @param precision what all but the naive and depthwise kernels round their operands to: what `pad` and `arrange` make is
 * stored so
 */
export function planGather(
  shape: ConvShape,
  direction: GatherDirection,
  epilogue: Epilogue,
  config: GatherConfig,
  precision: Precision = 'f32',
): GatherPlan {
  const forward = direction === 'forward';
  const [source, dest] = forward ? [shape.big, shape.small] : [shape.small, shape.big];
  const [sourceChannels, destChannels] = forward ? [shape.cin, shape.cout] : [shape.cout, shape.cin];
  const { rows, columns } = gatherSize(shape, direction);
  const destShape = [shape.batch, dest[0], dest[1], destChannels];
  const taps = shape.kernel[0] * shape.kernel[1];
  if (config.variant === 'naive') {
    const wgsl = forward ? convForwardNaiveShader(shape) : convInputGradientNaiveShader(shape);
    const size = sizeOf(destShape);
    const kernel = { label: `conv ${direction} naive`, wgsl, bindings: 'rrw', workgroups: elementGrid(size) };
    const conv: GatherStep = { kernel, shape: destShape, inputs: ['source', 'weights'] };
    return { steps: withEpilogue(conv, epilogue), padded: null };
  }
  if (config.variant === 'depthwise') {
    const depthwise = {
      batch: shape.batch,
      source,
      dest,
      channels: shape.cin,
      kernel: shape.kernel,
      epilogue,
      rows,
      columns,
    };
    const kernel = { ...depthwiseKernel(depthwise, config), label: `depthwise conv ${direction}` };
    const inputs: GatherInput[] = ['source', 'weights', ...(epilogue === 'none' ? [] : ['epilogue' as const])];
    return { steps: [{ kernel, shape: destShape, inputs }], padded: null };
  }
  if (config.variant === 'winograd') {
    return { steps: planWinograd({ shape, forward, source, dest: destShape, epilogue }, config), padded: null };
  }

  const padding = forward ? bigPadding(shape, config) : gatherPadding(rows, columns, source, tileOf(config));
  const picture = [shape.batch, source[0], source[1], sourceChannels];
  const pad = padStep(picture, padding, precision, taps);
  const [, height, width, channels] = paddedShape(picture, padding);
  const arranged = [taps, up4(sourceChannels), up4(destChannels)];
  // An input gradient reads the weights transposed: as they lie, where whole vectors of 4 lie along the source channels.
  const asTheyLie = precision === 'f32' && sourceChannels % 4 === 0 && (!forward || destChannels % 4 === 0);
  const steps: GatherStep[] = [];
  if (pad) steps.push({ ...pad, inputs: ['source'] });
  if (!asTheyLie) {
    const order = { taps, source: sourceChannels, dest: destChannels, transposed: !forward, precision };
    const kernel = {
      label: 'arrange conv weights',
      wgsl: arrangeWeightsShader(order),
      bindings: 'rw',
      workgroups: elementGrid(sizeOf(arranged)),
    };
    steps.push({ kernel, shape: storedShape(arranged, precision), inputs: ['weights'] });
  }
  const conv: GatherConv = {
    batch: shape.batch,
    rows,
    columns,
    source: {
      height,
      width,
      channels,
      top: padding.before[0],
      left: padding.before[1],
      stored: pad ? precision : 'f32',
    },
    dest: { height: dest[0], width: dest[1], channels: destChannels },
    kernelWidth: shape.kernel[1],
    transposed: !forward && asTheyLie,
    epilogue,
    precision,
  };
  const kernel: Kernel = {
    label: `conv ${direction} ${config.variant}`,
    wgsl: gatherShader(conv, config),
    bindings: epilogue === 'none' ? 'rrw' : 'rrrw',
    workgroups: gatherGrid(conv, config),
  };
  const inputs: GatherInput[] = [pad ? 0 : 'source', asTheyLie ? 'weights' : steps.length - 1];
  if (epilogue !== 'none') inputs.push('epilogue');
  steps.push({ kernel, shape: destShape, inputs });
  return { steps, padded: pad ? 0 : null };
}

/** A convolution that leaves the epilogue out, and the epilogue after it. */
function withEpilogue(conv: GatherStep, epilogue: Epilogue): GatherStep[] {
  if (epilogue === 'none') return [conv];
  const { shape } = conv;
  const wgsl = epilogueShader(epilogue, shape[3]);
  const kernel = { label: `conv ${epilogue}`, wgsl, bindings: 'rrw', workgroups: elementGrid(sizeOf(shape)) };
  return [conv, { kernel, shape, inputs: [0, 'epilogue'] }];
}

/** Configs of the kernels that read padded pictures and arranged weights. */
type Dense<Config extends { variant: string }> = Exclude<Config, { variant: 'naive' | 'depthwise' | 'winograd' }>;

function gatherShader(conv: GatherConv, config: Dense<GatherConfig>): string {
  if (config.variant === 'tiled') return tiledConvShader(conv, config.tile);
  return config.variant === 'matrix' ? matrixConvShader(conv, config.tile) : tapConvShader(conv, config);
}

/** Rows and columns of a workgroup's tile. */
function workgroupTile(
  config: { variant: 'tiled'; tile: Tile } | { variant: 'matrix'; tile: MatrixTile },
): [rows: number, columns: number] {
  return config.variant === 'tiled'
    ? [tileRows(config.tile), tileColumns(config.tile)]
    : [matrixTileRows(config.tile), matrixTileColumns(config.tile)];
}

function gatherGrid({ batch, rows, columns, dest }: GatherConv, config: Dense<GatherConfig>): Kernel['workgroups'] {
  const phases = rows.phases.length * columns.phases.length;
  if (config.variant !== 'register') {
    const positions = batch * axisSteps(rows) * axisSteps(columns);
    const [across, down] = workgroupTile(config);
    return [Math.ceil(positions / across), Math.ceil(dest.channels / down), phases];
  }
  const tiles = batch * axisSteps(rows) * Math.ceil(axisSteps(columns) / config.tilePixels);
  return [Math.ceil(tiles / config.workgroup), Math.ceil(dest.channels / config.tileChannels), phases];
}

function weightGradientShader(gradient: WeightGradient, config: Dense<WeightGradientConfig>): string {
  if (config.variant === 'tiled') return tiledWeightGradientShader(gradient, config.tile);
  if (config.variant === 'matrix') return matrixWeightGradientShader(gradient, config.tile);
  return tapWeightGradientShader(gradient, config);
}

/**
 * The kernels of a weight gradient: `padBig` and `padSmall` on the pictures where they are there, then `main` on the
 * results, then the passes of `sum` over the slots of main's output where there are several.
 */
export interface WeightGradientPlan {
  padBig: Step | null;
  padSmall: Step | null;
  main: Step;
  sum: Step[];
}

/** Adds `slots` arrays of `shape`. */
function sumSlots(shape: readonly number[], slots: number): Step {
  const size = sizeOf(shape);
  const wgsl = sumSlotsShader(size, slots);
  const kernel = { label: 'sum conv weight gradient slots', wgsl, bindings: 'rw', workgroups: elementGrid(size) };
  return { shape, kernel };
}

/**
 * Plans the gradient by the weights.
 * @param forward the config of the forward pass, whose padded copy of `big` this pass shares
 * @param precision what all but the naive and depthwise kernels round both pictures to
 */
export function planWeightGradient(
  shape: ConvShape,
  config: WeightGradientConfig,
  forward: GatherConfig,
  precision: Precision = 'f32',
): WeightGradientPlan {
  const [kh, kw] = shape.kernel;
  const weights = [kh, kw, shape.cin / shape.groups, shape.cout];
  if (config.variant === 'naive') {
    const wgsl = convWeightGradientNaiveShader(shape);
    const kernel = {
      label: 'conv weight gradient naive',
      wgsl,
      bindings: 'rrw',
      workgroups: elementGrid(sizeOf(weights)),
    };
    return { padBig: null, padSmall: null, main: { kernel, shape: weights }, sum: [] };
  }
  if (config.variant === 'depthwise') {
    const { slots, firstSlots } = config;
    const sum = [];
    // Slot a·slots + b as row a of wider rows: the first pass adds rows, the second what is left of the slots.
    if (firstSlots > 1) sum.push(sumSlots([slots, ...weights], firstSlots));
    if (slots > 1) sum.push(sumSlots(weights, slots));
    const partial = sum.length === 0 ? weights : [firstSlots * slots, ...weights];
    const main = { kernel: depthwiseWeightGradientKernel(shape, config), shape: partial };
    return { padBig: null, padSmall: null, main, sum };
  }
  const { slots } = config;
  const bigShape = [shape.batch, shape.big[0], shape.big[1], shape.cin];
  const padding = bigPadding(shape, forward);
  const padBig = padStep(bigShape, padding, precision, kh * kw);
  const [, height, width, channels] = paddedShape(bigShape, padding);
  const smallShape = [shape.batch, shape.small[0], shape.small[1], shape.cout];
  const padSmall = padStep(smallShape, { before: [0, 0], after: [0, 0] }, precision, kh * kw);
  const gradient: WeightGradient = {
    batch: shape.batch,
    kernel: shape.kernel,
    stride: shape.stride,
    dilation: shape.dilation,
    big: {
      height,
      width,
      channels,
      firstRow: padding.before[0] - shape.padding[0],
      firstColumn: padding.before[1] - shape.padding[1],
      stored: padBig ? precision : 'f32',
    },
    small: {
      height: shape.small[0],
      width: shape.small[1],
      channels: up4(shape.cout),
      stored: padSmall ? precision : 'f32',
    },
    cin: shape.cin,
    cout: shape.cout,
    slots,
    precision,
  };
  const outputs = kh * kw * channels;
  const [across, down] =
    config.variant === 'register' ? [4 * config.workgroup, config.tileChannels] : workgroupTile(config);
  const kernel: Kernel = {
    label: `conv weight gradient ${config.variant}`,
    wgsl: weightGradientShader(gradient, config),
    bindings: 'rrw',
    workgroups: [Math.ceil(outputs / across), Math.ceil(shape.cout / down), slots],
  };
  const sum = slots === 1 ? [] : [sumSlots(weights, slots)];
  return { padBig, padSmall, main: { kernel, shape: slots === 1 ? weights : [slots, ...weights] }, sum };
}

/** Bindings gamma, beta, mean, variance, slope [1] or [C], and what the epilogue batchNormPrelu needs, [3, C]. */
export function foldBatchNormKernel(channels: number, eps: number, sharedSlope: boolean): Kernel {
  const wgsl = foldBatchNormShader(channels, eps, sharedSlope);
  return { label: 'fold batch norm', wgsl, bindings: 'rrrrrw', workgroups: elementGrid(channels) };
}
