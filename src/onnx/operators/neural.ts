import { samePadding2d } from '../../common/shapes.js';
import {
  batchNormInference,
  batchNormWithStatistics,
  updateRunningStatistics,
} from '../../ops/batch-norm/batch-norm.js';
import { add } from '../../ops/binary.js';
import { conv2d, convTranspose2d } from '../../ops/conv/conv.js';
import { gemm, matmul } from '../../ops/matmul/matmul.js';
import { avgPool2d, maxPool2d } from '../../ops/pool.js';
import { mean } from '../../ops/reduce.js';
import { affine } from '../../ops/unary.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Context, NodeView, Operator, OperatorTable } from '../operator.js';
import { GpuValue, type Value } from '../values.js';
import { reduceValue } from './reduce.js';
import { viewOf } from './shapes.js';

type Two = [number, number];

/** What windows of two axes are. One axis gets a second of size 1 before it. */
export interface Windows {
  kernel: Two;
  stride: Two;
  dilation: Two;
  /** [top, bottom, left, right] */
  padding: [number, number, number, number];
}

/** @param spatial sizes of the picture's axes, of which there are one or two */
export function windowsOf(c: NodeView, spatial: readonly number[], kernel: readonly number[]): Windows {
  const axes = spatial.length;
  if (axes < 1 || axes > 2) c.unsupported(`${axes} spatial axes; expected 1 or 2`);
  const list = (name: string, missing: number): number[] => {
    const values = c.ints(name) ?? new Array<number>(axes).fill(missing);
    return values.length === axes ? values : c.misfit(`${name} [${values}] does not fit ${axes} axes`);
  };
  const pair = (values: readonly number[], missing: number): Two =>
    axes === 1 ? [missing, values[0]] : [values[0], values[1]];
  if (kernel.length !== axes) c.misfit(`a kernel [${kernel}] does not fit ${axes} axes`);
  const [stride, dilation] = [pair(list('strides', 1), 1), pair(list('dilations', 1), 1)];
  const size = pair(kernel, 1);
  const padding = paddingOf(c, pair(spatial, 1), size, stride, dilation);
  return { kernel: size, stride, dilation, padding };
}

function paddingOf(c: NodeView, spatial: Two, kernel: Two, stride: Two, dilation: Two): Windows['padding'] {
  const auto = c.text('auto_pad', 'NOTSET');
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const [top, bottom, left, right] = samePadding2d(spatial, kernel, stride, dilation);
    return auto === 'SAME_UPPER' ? [top, bottom, left, right] : [bottom, top, right, left];
  }
  const pads = auto === 'VALID' ? undefined : c.ints('pads');
  if (!pads) return [0, 0, 0, 0];
  if (pads.length === 2) return [0, 0, pads[0], pads[1]];
  return pads.length === 4 ? [pads[0], pads[2], pads[1], pads[3]] : c.misfit(`pads [${pads}]`);
}

/** Runs f, which takes pictures [N,H,W,C], on pictures of one or two axes. */
export function onPictures(c: Context, x: GpuValue, f: (x: Tensor) => Tensor): GpuValue {
  const [n, channels, ...spatial] = x.shape;
  const last = x.last() as Tensor;
  if (spatial.length === 2) return GpuValue.last(f(last));
  if (spatial.length !== 1) return c.unsupported(`${spatial.length} spatial axes`);
  const y = f((viewOf(GpuValue.file(last), [n, 1, spatial[0], channels]) as GpuValue).file() as Tensor);
  const [, , length, outputs] = y.shape;
  return GpuValue.last((viewOf(GpuValue.file(y), [n, length, outputs]) as GpuValue).file());
}

/** Weights [O, I, kh, kw] or [O, I, k] as [kh, kw, I, O]. */
export function kernelOf(w: GpuValue): Tensor {
  if (w.shape.length === 4) return w.kernel() as Tensor;
  const [o, i, k] = w.shape;
  return (viewOf(w, [o, i, 1, k]) as GpuValue).kernel() as Tensor;
}

function conv(c: Context): Value {
  const [x, w] = [c.gpuValue(0), c.gpuValue(1)];
  const { stride, dilation, padding } = windowsOf(c, x.shape.slice(2), c.ints('kernel_shape') ?? w.shape.slice(2));
  const bias = c.has(2) ? c.x(2) : null;
  const options = { stride, dilation, padding, groups: c.int('group', 1) };
  return onPictures(c, x, (t) => conv2d(t, kernelOf(w), bias, options));
}

function convTranspose(c: Context): Value {
  const [x, w] = [c.gpuValue(0), c.gpuValue(1)];
  const spatial = x.shape.slice(2);
  const { kernel, stride, dilation, padding } = windowsOf(c, spatial, c.ints('kernel_shape') ?? w.shape.slice(2));
  const two = (values: readonly number[] | undefined, missing: number): Two | undefined =>
    values && (values.length === 1 ? [missing, values[0]] : [values[0], values[1]]);
  const outputPadding: Two = two(c.ints('output_padding'), 0) ?? [0, 0];
  const auto = c.text('auto_pad', 'NOTSET');
  const input = two(spatial, 1)!;
  const same = auto === 'SAME_UPPER' || auto === 'SAME_LOWER';
  const wanted =
    two(c.ints('output_shape'), 1) ?? (same ? ([input[0] * stride[0], input[1] * stride[1]] as Two) : undefined);
  const cut = [...padding] as Windows['padding'];
  if (wanted) {
    for (const axis of [0, 1]) {
      const full = stride[axis] * (input[axis] - 1) + outputPadding[axis] + dilation[axis] * (kernel[axis] - 1) + 1;
      const extra = full - wanted[axis];
      // Too small by up to stride − 1: the output is longer at its end.
      if (extra < 0) {
        outputPadding[axis] -= extra;
        cut[2 * axis] = cut[2 * axis + 1] = 0;
      } else {
        const [less, more] = [Math.floor(extra / 2), extra - Math.floor(extra / 2)];
        [cut[2 * axis], cut[2 * axis + 1]] = auto === 'SAME_UPPER' ? [less, more] : [more, less];
      }
    }
  }
  const bias = c.has(2) ? c.x(2) : null;
  if (outputPadding.some((count, axis) => count >= stride[axis] && count > 0))
    c.unsupported(`output_padding [${outputPadding}] of at least the stride`);
  const options = { stride, dilation, padding: cut, outputPadding, groups: c.int('group', 1) };
  return onPictures(c, x, (t) => convTranspose2d(t, kernelOf(w), bias, options));
}

function pool(c: Context, f: typeof maxPool2d): Value {
  const x = c.gpuValue(0);
  const { kernel, stride, dilation, padding } = windowsOf(
    c,
    x.shape.slice(2),
    c.ints('kernel_shape') ?? c.malformed('lacks kernel_shape'),
  );
  if (c.int('ceil_mode', 0)) c.unsupported('ceil_mode');
  if (dilation.some((step, axis) => step !== 1 && kernel[axis] !== 1)) c.unsupported('dilations');
  if (c.int('count_include_pad', 0) && padding.some((count) => count > 0)) c.unsupported('count_include_pad');
  return onPictures(c, x, (t) => f(t, { kernel, stride, padding }));
}

function batchNorm(c: Context): Value | Value[] {
  const x = c.gpuValue(0);
  const eps = c.float('epsilon', 1e-5);
  const share = 1 - c.float('momentum', 0.9);
  const [gamma, beta, average, variance] = [1, 2, 3, 4].map((k) => c.x(k));
  const byBatch = c.opset >= 14 && c.int('training_mode', 0) !== 0;
  if (!byBatch && !c.around.training) {
    return x.isLast || x.shape.length >= 3
      ? GpuValue.last(batchNormInference(x.last() as Tensor, gamma, beta, average, variance, { eps }))
      : GpuValue.file(batchNormInference(x.file() as Tensor, gamma, beta, average, variance, { eps }));
  }
  const { output, ...batch } = batchNormWithStatistics(x.last() as Tensor, gamma, beta, { eps });
  const y = GpuValue.last(output);
  if (c.proto.outputs.length === 1) {
    const count = output.size / average.size;
    if (count === 1) c.misfit('training needs more than one value a channel');
    updateRunningStatistics(batch, { mean: average, variance }, count, share);
    return y;
  }
  const moved = (running: Tensor, now: Tensor): Value =>
    GpuValue.file(add(affine(running, 1 - share), affine(now, share)));
  return [y, moved(average, batch.mean), moved(variance, batch.variance)];
}

function multiply(c: Context): Value {
  const options = {
    alpha: c.float('alpha', 1),
    beta: c.float('beta', 1),
    transA: c.int('transA', 0) !== 0,
    transB: c.int('transB', 0) !== 0,
  };
  return GpuValue.file(gemm(c.x(0), c.x(1), c.has(2) ? c.x(2) : null, options));
}

/** The mean, or another reduction, of each channel. */
const globally = (f: (c: Context, x: GpuValue, axes: number[]) => Value): Operator => ({
  inputs: [1, 1],
  run: (c) =>
    f(
      c,
      c.gpuValue(0),
      Array.from({ length: c.rank - 2 }, (_, k) => k + 2),
    ),
});

const CONV = 'auto_pad dilations group kernel_shape pads strides';
const POOL = 'auto_pad ceil_mode dilations kernel_shape pads strides storage_order';

export const neuralOperators = /* @__PURE__ */ ((): OperatorTable => ({
  Conv: { inputs: [2, 3], attributes: CONV, run: conv },
  ConvTranspose: { inputs: [2, 3], attributes: `${CONV} output_padding output_shape`, run: convTranspose },
  MaxPool: { inputs: [1, 1], attributes: POOL, run: (c) => pool(c, maxPool2d) },
  AveragePool: { inputs: [1, 1], attributes: `${POOL} count_include_pad`, run: (c) => pool(c, avgPool2d) },
  GlobalAveragePool: globally((_c, x, axes) => reduceValue(x, axes, true, mean)),
  GlobalMaxPool: globally((c, x) => onPictures(c, x, (t) => maxPool2d(t, { kernel: [t.shape[1], t.shape[2]] }))),
  BatchNormalization: {
    inputs: [5, 5],
    outputs: 5,
    attributes: 'epsilon momentum spatial training_mode',
    refuse: (node) =>
      (node.int('spatial', 1) === 0 && 'spatial = 0') ||
      (node.proto.outputs.length > 1 &&
        (node.opset < 14 || node.proto.outputs.length > 3) &&
        'outputs of statistics in this version'),
    run: batchNorm,
  },
  Gemm: { inputs: [2, 3], attributes: 'alpha beta transA transB', run: multiply },
  MatMul: { inputs: [2, 2], run: (c) => GpuValue.file(matmul(c.x(0), c.x(1))) },
}))();
