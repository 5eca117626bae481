import type { Epilogue } from '../../shaders/common/gather.js';
import { winogradPoints } from '../../shaders/common/winograd.js';
import { winogradDestShader, winogradSourceShader, winogradWeightsShader } from '../../shaders/conv-winograd.wgsl.js';
import type { ConvShape } from '../common/conv-geometry.js';
import type { Pair } from '../common/op-attrs.js';
import { up4 } from '../common/shapes.js';
import type { WinogradConfig } from './conv-winograd-choose.js';
import { elementGrid } from './elementwise.js';
import type { GatherStep } from './gather-plan.js';
import { planBatched } from './matmul-batched.js';

/** A gather convolution as the plan sees it. */
export interface WinogradGather {
  shape: ConvShape;
  /** Forward, or the gradient by the input: the same with the taps backwards and the weights transposed. */
  forward: boolean;
  /** [H, W] of the source. */
  source: Pair;
  /** [N, H, W, C] of the result. */
  dest: readonly number[];
  epilogue: Epilogue;
}

/**
 * Winograd's minimal filtering (see `shaders/common/winograd.ts`): transforms the tiles of the source and the weights,
 * multiplies them as one product of matrices for each point of a tile, and transforms the products back.
 */
export function planWinograd(
  { shape, forward, source, dest, epilogue }: WinogradGather,
  { outputs, width, product }: WinogradConfig,
): GatherStep[] {
  const [batch, h, w, destChannels] = dest;
  const sourceChannels = forward ? shape.cin : shape.cout;
  const points = winogradPoints(outputs) ** 2;
  const [down, across] = [Math.ceil(h / outputs), Math.ceil(w / outputs)];
  const tiles = batch * down * across;
  const size = { m: tiles, n: up4(destChannels), k: up4(sourceChannels) };

  /** Of a kernel that goes through the tiles: the width of its vectors, what fills its uniform, and its grid. */
  const through = (picture: Pair, channels: number, before: Pair) => {
    const wide = channels % 4 === 0 ? width : 1;
    const units = up4(channels) / wide;
    const plan = [...picture, channels / wide, units, down, across, tiles * units, ...before];
    return { wide, scalars: Int32Array.from(plan).buffer, workgroups: elementGrid(tiles * units) };
  };
  const [top, left] = shape.padding;
  const from = through(source, sourceChannels, forward ? [top, left] : [2 - top, 2 - left]);
  const to = through([h, w], destChannels, [0, 0]);
  const weights = [up4(shape.cin), up4(shape.cout)];
  // An input gradient sums over the columns of the weights.
  const { first, ...multiply } = planBatched(size, { a: 'inner', b: forward ? 'outer' : 'inner' }, points, product);
  return [
    {
      kernel: {
        label: 'winograd source',
        wgsl: winogradSourceShader(outputs, from.wide),
        bindings: 'rwu',
        workgroups: from.workgroups,
      },
      shape: [points, tiles, size.k],
      scalars: from.scalars,
      inputs: ['source'],
    },
    {
      kernel: {
        label: 'winograd weights',
        wgsl: winogradWeightsShader(outputs, !forward),
        bindings: 'rwu',
        workgroups: elementGrid(weights[0] * weights[1]),
      },
      shape: [points, ...weights],
      scalars: Uint32Array.of(shape.cin, shape.cout, ...weights).buffer,
      inputs: ['weights'],
    },
    { ...multiply, inputs: first === 'a' ? [0, 1] : [1, 0] },
    {
      kernel: {
        label: 'winograd dest',
        wgsl: winogradDestShader(outputs, to.wide, epilogue, destChannels),
        bindings: epilogue === 'none' ? 'rwu' : 'rrwu',
        workgroups: to.workgroups,
      },
      shape: dest,
      scalars: to.scalars,
      inputs: epilogue === 'none' ? [2] : [2, 'epilogue'],
    },
  ];
}
