import type { Epilogue } from '../../../shaders/common/epilogue.js';
import { winogradPoints } from '../../../shaders/common/winograd.js';
import {
  winogradDestPlan,
  winogradDestShader,
  winogradSourcePlan,
  winogradSourceShader,
  winogradWeightsPlan,
  winogradWeightsShader,
} from '../../../shaders/conv-winograd.wgsl.js';
import { type Pair, up4 } from '../../common/shapes.js';
import { elementGrid, elementKernel } from '../../kernels/elementwise.js';
import { planBatched } from '../matmul/batched.js';
import type { Gather, GatherStep } from './gather-plan.js';
import type { WinogradConfig } from './winograd-choose.js';

/**
 * Winograd's minimal filtering (see `shaders/common/winograd.ts`): transforms the tiles of the source and the weights,
 * multiplies them as one product of matrices for each point of a tile, and transforms the products back. The gradient by
 * the input is the same with the taps backwards and the weights transposed.
 */
export function planWinograd(
  { shape, direction, source, dest }: Gather,
  { outputs, width, product }: WinogradConfig,
  epilogue: Epilogue,
): GatherStep[] {
  const forward = direction === 'forward';
  const [batch, h, w, destChannels] = dest;
  const [, sourceH, sourceW, sourceChannels] = source;
  const points = winogradPoints(outputs) ** 2;
  const [down, across] = [Math.ceil(h / outputs), Math.ceil(w / outputs)];
  const tiles = batch * down * across;
  const size = { m: tiles, n: up4(destChannels), k: up4(sourceChannels) };

  /** Of a kernel that goes through the tiles: the width of its vectors, its sizes, and its grid. */
  const through = (picture: Pair, channels: number) => {
    const wide = channels % 4 === 0 ? width : 1;
    const units = up4(channels) / wide;
    const [top, left] = forward ? shape.padding : shape.padding.map((zeros) => 2 - zeros);
    const [h, w] = picture;
    const count = tiles * units;
    const plan = { h, w, units: channels / wide, unitsPadded: units, down, across, count, top, left };
    return { wide, plan, workgroups: elementGrid(tiles * units) };
  };
  const from = through([sourceH, sourceW], sourceChannels);
  const to = through([h, w], destChannels);
  const matrix = shape.cin * shape.cout;
  // The weights are [3, 3, cin, cout].
  const steps = forward
    ? { tap0: 0, tapStride: matrix, sourceStride: shape.cout, destStride: 1 }
    : { tap0: 8 * matrix, tapStride: -matrix, sourceStride: 1, destStride: shape.cout };
  const weights = [up4(shape.cin), up4(shape.cout)];
  // An input gradient sums over the columns of the weights.
  const { first, ...multiply } = planBatched(size, { a: 'inner', b: forward ? 'outer' : 'inner' }, points, product);
  return [
    {
      kernel: {
        label: 'winograd source',
        ...winogradSourceShader(outputs, from.wide),
        workgroups: from.workgroups,
      },
      shape: [points, tiles, size.k],
      scalars: winogradSourcePlan.pack(from.plan),
      inputs: ['source'],
    },
    {
      kernel: elementKernel('winograd weights', winogradWeightsShader(outputs, !forward), weights[0] * weights[1]),
      shape: [points, ...weights],
      scalars: winogradWeightsPlan.pack({
        rows: shape.cin,
        columns: shape.cout,
        rowsPadded: weights[0],
        columnsPadded: weights[1],
      }),
      inputs: ['weights'],
    },
    { ...multiply, inputs: first === 'a' ? [0, 1] : [1, 0] },
    {
      kernel: {
        label: 'winograd dest',
        ...winogradDestShader(outputs, to.wide, epilogue, destChannels),
        workgroups: to.workgroups,
      },
      shape: dest,
      scalars: winogradDestPlan.pack({ ...to.plan, sourceH, sourceW, sourceChannels, ...steps }),
      inputs: [2, 'source', 'weights', ...(epilogue === 'none' ? [] : ['epilogue' as const])],
    },
  ];
}
