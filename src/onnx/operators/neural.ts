import { samePadding2d } from '../../common/shapes.js';
import {
  batchNormInference,
  batchNormWithStatistics,
  updateRunningStatistics,
} from '../../ops/batch-norm/batch-norm.js';
import { add } from '../../ops/binary.js';
import { conv2d, convTranspose2d } from '../../ops/conv/conv.js';
import { conv3d } from '../../ops/conv/lines-and-volumes.js';
import { max } from '../../ops/fold.js';
import { gemm, matmul } from '../../ops/matmul/matmul.js';
import { avgPool, lpPool2d, maxPool } from '../../ops/pool/pool.js';
import { mean } from '../../ops/reduce.js';
import { affine } from '../../ops/unary.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Context, NodeView, Operator, OperatorTable } from '../operator.js';
import { GpuValue, HostValue, permute, type Value } from '../values.js';
import { reduceValue } from './reduce.js';
import { reshapedValue } from './shapes.js';

type Two = [number, number];

/** What windows are, one number for each axis of the picture. */
export interface Windows {
  kernel: number[];
  stride: number[];
  dilation: number[];
  /** Before and after each axis in turn. */
  padding: number[];
}

/** @param spatial sizes of the picture's axes */
export function windowsOf(c: NodeView, spatial: readonly number[], kernel: readonly number[]): Windows {
  const axes = spatial.length;
  const list = (name: string, missing: number): number[] => {
    const values = c.ints(name) ?? new Array<number>(axes).fill(missing);
    return values.length === axes ? values : c.misfit(`${name} [${values}] does not fit ${axes} axes`);
  };
  if (axes < 1 || kernel.length !== axes) c.misfit(`a kernel [${kernel}] does not fit ${axes} axes`);
  const [stride, dilation] = [list('strides', 1), list('dilations', 1)];
  const auto = c.text('auto_pad', 'NOTSET');
  const pads = auto === 'NOTSET' ? (c.ints('pads') ?? []) : [];
  if (pads.length !== 0 && pads.length !== 2 * axes) c.misfit(`pads [${pads}] do not fit ${axes} axes`);
  const sides = spatial.map((size, axis) => {
    if (!auto.startsWith('SAME')) return [pads[axis] ?? 0, pads[axis + axes] ?? 0];
    const [before, after] = samePadding2d([size, 1], [kernel[axis], 1], [stride[axis], 1], [dilation[axis], 1]);
    return auto === 'SAME_UPPER' ? [before, after] : [after, before];
  });
  return { kernel: [...kernel], stride, dilation, padding: sides.flat() };
}

/** The same for convolutions of pictures: one axis gets a second of size 1 before it. */
export function pictureWindows(c: NodeView, spatial: readonly number[], kernel: readonly number[]) {
  if (spatial.length > 2) c.unsupported(`${spatial.length} spatial axes; expected 1 or 2`);
  const windows = windowsOf(c, spatial, kernel);
  const one = spatial.length === 1;
  const pair = (list: readonly number[]): Two => (one ? [1, list[0]] : [list[0], list[1]]);
  return {
    kernel: pair(windows.kernel),
    stride: pair(windows.stride),
    dilation: pair(windows.dilation),
    padding: (one ? [0, 0, ...windows.padding] : windows.padding) as [number, number, number, number],
  };
}

/** Runs f, which takes pictures [N,H,W,C], on pictures of one or two axes. */
export function onPictures(c: Context, x: GpuValue, f: (x: Tensor) => Tensor): GpuValue {
  const [n, channels, ...spatial] = x.shape;
  const last = x.last() as Tensor;
  if (spatial.length === 2) return GpuValue.last(f(last));
  if (spatial.length !== 1) return c.unsupported(`${spatial.length} spatial axes`);
  const y = f((reshapedValue(GpuValue.file(last), [n, 1, spatial[0], channels]) as GpuValue).file() as Tensor);
  const [, , length, outputs] = y.shape;
  return GpuValue.last((reshapedValue(GpuValue.file(y), [n, length, outputs]) as GpuValue).file());
}

/** Weights [O, I, kh, kw] or [O, I, k] as [kh, kw, I, O]. */
export function kernelOf(w: GpuValue): Tensor {
  if (w.shape.length === 4) return w.kernel() as Tensor;
  const [o, i, k] = w.shape;
  return (reshapedValue(w, [o, i, 1, k]) as GpuValue).kernel() as Tensor;
}

function conv(c: Context): Value {
  const [x, w] = [c.gpuValue(0), c.gpuValue(1)];
  if (x.shape.length === 5) {
    const { stride, dilation, padding } = windowsOf(c, x.shape.slice(2), c.ints('kernel_shape') ?? w.shape.slice(2));
    const weights = permute(w.file(), [2, 3, 4, 1, 0]) as Tensor;
    const volumes = { stride, dilation, padding, groups: c.int('group', 1) };
    return GpuValue.last(conv3d(x.last() as Tensor, weights, c.has(2) ? c.x(2) : null, volumes));
  }
  const { stride, dilation, padding } = pictureWindows(c, x.shape.slice(2), c.ints('kernel_shape') ?? w.shape.slice(2));
  const bias = c.has(2) ? c.x(2) : null;
  const options = { stride, dilation, padding, groups: c.int('group', 1) };
  return onPictures(c, x, (t) => conv2d(t, kernelOf(w), bias, options));
}

function convTranspose(c: Context): Value {
  const [x, w] = [c.gpuValue(0), c.gpuValue(1)];
  const spatial = x.shape.slice(2);
  const { kernel, stride, dilation, padding } = pictureWindows(c, spatial, c.ints('kernel_shape') ?? w.shape.slice(2));
  const two = (values: readonly number[] | undefined, missing: number): Two | undefined =>
    values && (values.length === 1 ? [missing, values[0]] : [values[0], values[1]]);
  const outputPadding: Two = two(c.ints('output_padding'), 0) ?? [0, 0];
  const auto = c.text('auto_pad', 'NOTSET');
  const input = two(spatial, 1)!;
  const same = auto === 'SAME_UPPER' || auto === 'SAME_LOWER';
  const wanted =
    two(c.ints('output_shape'), 1) ?? (same ? ([input[0] * stride[0], input[1] * stride[1]] as Two) : undefined);
  const cut = [...padding] as [number, number, number, number];
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

/** Options of a pooling of one to three axes. */
function poolOptions(c: Context, x: GpuValue) {
  const windows = windowsOf(c, x.shape.slice(2), c.ints('kernel_shape') ?? c.malformed('lacks kernel_shape'));
  return { ...windows, ceilMode: c.int('ceil_mode', 0) !== 0 };
}

function maxPooled(c: Context): Value {
  const x = c.gpuValue(0);
  return GpuValue.last(maxPool(x.last() as Tensor, poolOptions(c, x)));
}

function avgPooled(c: Context): Value {
  const x = c.gpuValue(0);
  const options = { ...poolOptions(c, x), countIncludePad: c.int('count_include_pad', 0) !== 0 };
  return GpuValue.last(avgPool(x.last() as Tensor, options));
}

/** (Σ |x|ᵖ)^(1/p) of each window. */
function lpPooled(c: Context): Value {
  const x = c.gpuValue(0);
  const { kernel, stride, dilation, padding } = pictureWindows(
    c,
    x.shape.slice(2),
    c.ints('kernel_shape') ?? c.malformed('lacks kernel_shape'),
  );
  const options = { kernel, stride, dilation, padding, ceilMode: c.int('ceil_mode', 0) !== 0, p: c.int('p', 2) };
  return onPictures(c, x, (t) => lpPool2d(t, options));
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
  if (!byBatch && (c.value(3) instanceof HostValue || c.value(4) instanceof HostValue)) {
    c.unsupported('training with running statistics that are constants');
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
  MaxPool: { inputs: [1, 1], attributes: POOL, run: maxPooled },
  AveragePool: { inputs: [1, 1], attributes: `${POOL} count_include_pad`, run: avgPooled },
  LpPool: { inputs: [1, 1], attributes: `${POOL} p`, run: lpPooled },
  GlobalAveragePool: globally((_c, x, axes) => reduceValue(x, axes, true, mean)),
  GlobalMaxPool: globally((_c, x, axes) => reduceValue(x, axes, true, max)),
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
