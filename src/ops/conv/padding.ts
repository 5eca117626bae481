import { axisPadding, type ConvShape } from '../../../shaders/common/conv-geometry.js';
import { padPictureShader } from '../../../shaders/conv-prepare.wgsl.js';
import type { Precision } from '../../common/precision.js';
import { sizeOf, up4 } from '../../common/shapes.js';
import { type KernelLimits, mostNumbers } from '../../gpu/kernel.js';
import { elementGrid } from '../../kernels/elementwise.js';
import { type Gather, gatherOf, type Step } from './gather-plan.js';

/** Zeros before and after the rows and columns of a picture. */
export interface Padding {
  before: [number, number];
  after: [number, number];
}

export const paddedShape = ([n, h, w, c]: readonly number[], { before, after }: Padding): number[] => [
  n,
  before[0] + h + after[0],
  before[1] + w + after[1],
  up4(c),
];

/** The tensor that holds an operand. Tensors are f32: of halves, two lie in each of its elements. */
export const storedShape = (shape: readonly number[], precision: Precision): readonly number[] =>
  precision === 'f16' ? [...shape.slice(0, -1), shape[shape.length - 1] / 2] : shape;

/**
 * Copies a picture into a padded one in the given precision; null if it is read as it is.
 * @param taps how often the kernel reads it; if only once, a copy that only rounds costs more than it saves
 */
export function padStep(shape: readonly number[], padding: Padding, precision: Precision, taps: number): Step | null {
  const padded = paddedShape(shape, padding);
  if (`${padded}` === `${shape}` && (precision === 'f32' || taps === 1)) return null;
  return {
    shape: storedShape(padded, precision),
    kernel: {
      label: 'pad picture',
      ...padPictureShader({ shape, before: padding.before, padded, precision }),
      workgroups: elementGrid(sizeOf(padded) / 4),
      pointwise: true,
    },
  };
}

/** Zeros around the source of a gather whose vertical of pixels are taken `tile` at a time. */
function paddingFor({ source, vertical, horizontal }: Gather, tile: number): Padding {
  const h = axisPadding(vertical, source[1], 1);
  const w = axisPadding(horizontal, source[2], tile);
  return { before: [h.before, w.before], after: [h.after, w.after] };
}

/** The part of a config that padding depends on; tilePixels only of the register kernel. */
interface Tiled {
  variant: string;
  tilePixels?: number;
}

const tileOf = ({ variant, tilePixels = 1 }: Tiled): number => (variant === 'register' ? tilePixels : 1);

/**
 * The padding of the input for a forward pass with the given config and for the weight gradient, which share the padded
 * copy. The weight gradient takes up to 2 pixels at a time.
 */
export function inputPadding(shape: ConvShape, config: Tiled): Padding {
  const gather = gatherOf(shape, 'forward');
  const { before, after } = paddingFor(gather, tileOf(config));
  return { before, after: [after[0], Math.max(after[1], paddingFor(gather, 2).after[1])] };
}

/** The padding of the source of a gather. */
export function sourcePadding(gather: Gather, config: Tiled): Padding {
  return gather.direction === 'forward' ? inputPadding(gather.shape, config) : paddingFor(gather, tileOf(config));
}

/** Whether one buffer holds the padded source. */
export function sourceFits(gather: Gather, config: Tiled, limits: KernelLimits): boolean {
  return fits(paddedShape(gather.source, sourcePadding(gather, config)), limits);
}

/** The most pixels that a register kernel takes at a time. */
const WIDEST: Tiled = { variant: 'register', tilePixels: 8 };

/** Whether one buffer each holds the padded input and output, for the weight gradient after any forward pass. */
export function gradientFits(shape: ConvShape, limits: KernelLimits): boolean {
  const input = paddedShape([shape.batch, ...shape.input, shape.cin], inputPadding(shape, WIDEST));
  return fits(input, limits) && fits([shape.batch, ...shape.output, up4(shape.cout)], limits);
}

const fits = (shape: readonly number[], limits: KernelLimits): boolean =>
  sizeOf(storedShape(shape, limits.precision ?? 'f32')) <= mostNumbers(limits);
