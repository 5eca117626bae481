import { gather, gatherElements, gatherND, scatterElements, scatterND } from '../../ops/indexing/indexing.js';
import { nllLoss } from '../../ops/losses.js';
import { type ResizeOptions, resize } from '../../ops/resize.js';
import { logSoftmax } from '../../ops/row-softmax.js';
import type { Tensor } from '../../tensor/tensor.js';
import { gathered } from '../host-arrays.js';
import type { Context, OperatorTable } from '../operator.js';
import { GpuValue, type Value } from '../values.js';
import { axisIn } from './shapes.js';

/** Input k as indices. */
const indices = (c: Context, k: number): Tensor<'int32'> => c.x(k) as unknown as Tensor<'int32'>;

type Reduction = 'none' | 'add' | 'mul' | 'max' | 'min';

const reductionOf = (c: Context): Reduction => c.text('reduction', 'none') as Reduction;

const scatter = (c: Context): Value =>
  GpuValue.file(scatterElements(c.x(0), indices(c, 1), c.x(2), c.int('axis', 0), reductionOf(c)));

/** The loss of labels by log probabilities, whose classes are axis 1. */
function lossOf(c: Context, logProbabilities: Tensor): Value {
  const options = {
    weight: c.has(2) ? c.x(2) : null,
    ignoreIndex: c.given('ignore_index') ? c.int('ignore_index', 0) : null,
    reduction: c.text('reduction', 'mean') as 'mean',
  };
  return GpuValue.file(nllLoss(logProbabilities, indices(c, 1), options));
}

/** Sizes or factors of an input, if it has any. */
const listed = (c: Context, k: number): number[] | undefined => {
  const list = c.hostInts(k);
  return list && list.length > 0 ? list : undefined;
};

function resized(c: Context): Value {
  const x = c.gpuValue(0);
  const early = c.opset < 11;
  const [scales, sizes, roi] = early ? [listed(c, 1)] : [listed(c, 2), listed(c, 3), listed(c, 1)];
  const axes = (c.ints('axes') ?? x.shape.map((_, k) => k)).map((axis) => c.axis(axis));
  const options: ResizeOptions = {
    axes: axes.map((axis) => axisIn(x, axis)),
    ...(sizes ? keptRatio(c, sizes, axes) : { scales: scales ?? c.malformed('lacks sizes and scales') }),
    mode: c.text('mode', 'nearest') as 'nearest',
    coordinates: c.text('coordinate_transformation_mode', early ? 'asymmetric' : 'half_pixel') as 'half_pixel',
    nearestMode: c.text('nearest_mode', early ? 'floor' : 'round_prefer_floor') as 'floor',
    cubicCoefficient: c.float('cubic_coeff_a', -0.75),
    excludeOutside: c.int('exclude_outside', 0) !== 0,
    extrapolationValue: c.float('extrapolation_value', 0),
    antialias: c.int('antialias', 0) !== 0,
  };
  if (options.coordinates === 'tf_crop_and_resize') options.roi = roi;
  return x.map((t) => resize(t as Tensor, options));
}

/** The sizes, or, where the ratio of the axes is to be kept, those that one factor for all axes gives, rounded. */
function keptRatio(
  c: Context,
  sizes: readonly number[],
  axes: readonly number[],
): Pick<ResizeOptions, 'sizes' | 'scales'> {
  const policy = c.text('keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return { sizes };
  const factors = sizes.map((size, k) => size / c.shape(0)[axes[k]]);
  const factor = policy === 'not_larger' ? Math.min(...factors) : Math.max(...factors);
  return { sizes: axes.map((axis) => Math.round(factor * c.shape(0)[axis])), scales: axes.map(() => factor) };
}

function upsampled(c: Context): Value {
  const x = c.gpuValue(0);
  const scales = (c.opset < 9 ? c.floats('scales') : c.hostInts(1)) ?? c.malformed('lacks scales');
  const mode = c.text('mode', 'nearest') as 'nearest';
  const axes = x.shape.map((_, axis) => axisIn(x, axis));
  return x.map((t) => resize(t as Tensor, { axes, scales, mode, coordinates: 'asymmetric', nearestMode: 'floor' }));
}

const RESIZE =
  'antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value keep_aspect_ratio_policy mode nearest_mode';

export const indexingOperators = /* @__PURE__ */ ((): OperatorTable => ({
  Gather: {
    inputs: [2, 2],
    attributes: 'axis',
    run: (c) => GpuValue.file(gather(c.x(0), indices(c, 1), c.int('axis', 0))),
    host(c) {
      const axis = c.axis(c.int('axis', 0));
      return gathered(c.host(0), c.host(1), axis) ?? c.misfit(`an index is outside axis ${axis} of [${c.shape(0)}]`);
    },
  },
  GatherElements: {
    inputs: [2, 2],
    attributes: 'axis',
    run: (c) => GpuValue.file(gatherElements(c.x(0), indices(c, 1), c.int('axis', 0))),
  },
  GatherND: {
    inputs: [2, 2],
    attributes: 'batch_dims',
    run: (c) => GpuValue.file(gatherND(c.x(0), indices(c, 1), c.int('batch_dims', 0))),
  },
  Scatter: { inputs: [3, 3], attributes: 'axis', run: scatter },
  ScatterElements: { inputs: [3, 3], attributes: 'axis reduction', run: scatter },
  ScatterND: {
    inputs: [3, 3],
    attributes: 'reduction',
    run: (c) => GpuValue.file(scatterND(c.x(0), indices(c, 1), c.x(2), reductionOf(c))),
  },
  NegativeLogLikelihoodLoss: {
    inputs: [2, 3],
    attributes: 'ignore_index reduction',
    run: (c) => lossOf(c, c.last(0)),
  },
  SoftmaxCrossEntropyLoss: {
    inputs: [2, 3],
    outputs: 2,
    attributes: 'ignore_index reduction',
    run(c) {
      const logProbabilities = logSoftmax(c.last(0));
      return [lossOf(c, logProbabilities), GpuValue.last(logProbabilities)];
    },
  },
  Resize: { inputs: [1, 4], attributes: RESIZE, hostFrom: 1, run: resized },
  Upsample: { inputs: [1, 2], attributes: 'mode scales', hostFrom: 1, run: upsampled },
}))();
