import type { ConvShape } from '../../../shaders/common/conv-geometry.js';
import type { Epilogue } from '../../../shaders/common/epilogue.js';
import { type WinogradOutputs, winogradPoints } from '../../../shaders/common/winograd.js';
import {
  type WinogradWidth,
  winogradDestPlan,
  winogradDestShader,
  winogradSourcePlan,
  winogradSourceShader,
  winogradWeightGradientPlan,
  winogradWeightGradientShader,
  winogradWeightsPlan,
  winogradWeightsShader,
} from '../../../shaders/conv-winograd.wgsl.js';
import { type Pair, up4 } from '../../common/shapes.js';
import { elementGrid, elementKernel } from '../../kernels/elementwise.js';
import { planBatched } from '../matmul/batched.js';
import type { ConvStep, Gather } from './gather-plan.js';
import type { WinogradConfig, WinogradGradientConfig } from './winograd-choose.js';

/** Tiles of `outputs`² that cover pictures of [batch, h, w]. */
interface Tiles {
  outputs: WinogradOutputs;
  down: number;
  across: number;
  count: number;
}

/** @param unit the tiles are filled up to a multiple of it */
function tilesOf(outputs: WinogradOutputs, [batch, h, w]: readonly number[], unit = 1): Tiles {
  const [down, across] = [Math.ceil(h / outputs), Math.ceil(w / outputs)];
  return { outputs, down, across, count: Math.ceil((batch * down * across) / unit) * unit };
}

/**
 * Of a kernel that goes through the tiles of a picture [N, H, W, C]: its vectors, its sizes, and its grid.
 * @param before zeros before the picture's first row and column
 */
function through(
  [, h, w, channels]: readonly number[],
  { down, across, count }: Tiles,
  [top, left]: Pair,
  width: WinogradWidth,
) {
  const wide = channels % 4 === 0 ? width : 1;
  const unitsPadded = up4(channels) / wide;
  const plan = { h, w, units: channels / wide, unitsPadded, down, across, count: count * unitsPadded, top, left };
  return { wide, plan, workgroups: elementGrid(plan.count) };
}

/** Transforms the tiles of a picture, or of the output's gradient. */
function sourceStep(
  picture: readonly number[],
  tiles: Tiles,
  before: Pair,
  width: WinogradWidth,
  input: 'source' | 'output',
): ConvStep {
  const { wide, plan, workgroups } = through(picture, tiles, before, width);
  const { outputs, count } = tiles;
  return {
    kernel: {
      label: `winograd ${input}`,
      ...winogradSourceShader(outputs, wide, input === 'output'),
      workgroups,
    },
    shape: [winogradPoints(outputs) ** 2, count, up4(picture[3])],
    scalars: winogradSourcePlan.pack({ ...plan, batch: picture[0] }),
    inputs: [input],
  };
}

/**
 * Winograd's minimal filtering (see `shaders/common/winograd.ts`): transforms the tiles of the source and the weights,
 * multiplies them as one product of matrices for each point of a tile, and transforms the products back. The gradient by
 * the input is the same with the taps backwards and the weights transposed.
 */
export function planWinograd(
  { shape, direction, source, dest }: Gather,
  { outputs, width, product }: WinogradConfig,
  epilogue: Epilogue,
): ConvStep[] {
  const forward = direction === 'forward';
  const [, sourceH, sourceW, sourceChannels] = source;
  const points = winogradPoints(outputs) ** 2;
  const tiles = tilesOf(outputs, dest);
  const size = { m: tiles.count, n: up4(dest[3]), k: up4(sourceChannels) };
  const before: Pair = forward ? shape.padding : [2 - shape.padding[0], 2 - shape.padding[1]];
  const to = through(dest, tiles, before, width);
  const matrix = shape.cin * shape.cout;
  // The weights are [3, 3, cin, cout].
  const steps = forward
    ? { tap0: 0, tapStride: matrix, sourceStride: shape.cout, destStride: 1 }
    : { tap0: 8 * matrix, tapStride: -matrix, sourceStride: 1, destStride: shape.cout };
  const weights = [up4(shape.cin), up4(shape.cout)];
  // An input gradient sums over the columns of the weights.
  const { first, ...multiply } = planBatched(size, { a: 'inner', b: forward ? 'outer' : 'inner' }, points, product);
  return [
    sourceStep(source, tiles, before, width, 'source'),
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
        ...winogradDestShader(outputs, to.wide, epilogue, dest[3]),
        workgroups: to.workgroups,
      },
      shape: dest,
      scalars: winogradDestPlan.pack({ ...to.plan, sourceH, sourceW, sourceChannels, ...steps }),
      inputs: [2, 'source', 'weights', ...(epilogue === 'none' ? [] : ['epilogue' as const])],
    },
  ];
}

/**
 * The gradient by the weights, the adjoint of the forward pass: transforms the tiles of the input and of the output's gradient,
 * multiplies them as one product of matrices for each point, whose inner axis goes over the tiles, and transforms that back.
 */
export function planWinogradWeightGradient(
  { batch, input: [h, w], output, cin, cout, padding: [top, left] }: ConvShape,
  { outputs, width, product, splitK }: WinogradGradientConfig,
): ConvStep[] {
  const points = winogradPoints(outputs) ** 2;
  // Parts of the inner axis, of whole vectors, lie one after the other like products of their own.
  const tiles = tilesOf(outputs, [batch, ...output], 4 * splitK);
  const [cinPadded, coutPadded] = [up4(cin), up4(cout)];
  const size = { m: cinPadded, n: coutPadded, k: tiles.count / splitK };
  const { first, ...multiply } = planBatched(size, { a: 'outer', b: 'outer' }, points * splitK, product);
  const [outputH, outputW] = output;
  return [
    sourceStep([batch, h, w, cin], tiles, [top, left], width, 'source'),
    sourceStep([batch, ...output, cout], tiles, [0, 0], width, 'output'),
    { ...multiply, inputs: first === 'a' ? [0, 1] : [1, 0] },
    {
      kernel: elementKernel('winograd weight gradient', winogradWeightGradientShader(outputs), cin * cout),
      shape: [3, 3, cin, cout],
      scalars: winogradWeightGradientPlan.pack({
        cin,
        cout,
        cinPadded,
        coutPadded,
        parts: splitK,
        batch,
        h,
        w,
        outputH,
        outputW,
        top,
        left,
      }),
      inputs: [2, 'source', 'output'],
    },
  ];
}
