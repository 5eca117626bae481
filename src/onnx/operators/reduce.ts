import { normalizeAxes, reducedShape, type Shape } from '../../common/shapes.js';
import { argmax, argmin } from '../../ops/argmax.js';
import { div, mul } from '../../ops/binary.js';
import { cast, equal } from '../../ops/compare.js';
import { max, min, prod } from '../../ops/fold.js';
import { mean, sum } from '../../ops/reduce.js';
import { logSumExp, norm } from '../../ops/reductions.js';
import { logSoftmax, softmax } from '../../ops/row-softmax.js';
import { cumprod, cumsum } from '../../ops/scan.js';
import { topK } from '../../ops/top-k.js';
import { log, square } from '../../ops/unary.js';
import { type AnyTensor, Tensor } from '../../tensor/tensor.js';
import { reduced } from '../host-arrays.js';
import type { Context, Operator, OperatorTable } from '../operator.js';
import { GpuValue, permute, type Value } from '../values.js';
import { absolute, isWhole } from './elementwise.js';
import { axisIn, reshapedValue } from './shapes.js';

type Reduce = (x: Tensor, axes: readonly number[], keepDims: boolean) => Tensor;

/** The axes that a node reduces: an attribute before version `since`, an input from then on; null where it does nothing. */
function axesFor(c: Context, since: number): number[] | null {
  const axes = (c.opset < since ? c.ints('axes') : c.hostInts(1)) ?? [];
  if (axes.length === 0 && c.int('noop_with_empty_axes', 0)) return null;
  return normalizeAxes(axes, c.rank, 'axes');
}

/** Reduces axes of the file; the tensor may lie channels last. */
export function reduceValue(x: GpuValue, axes: readonly number[], keepDims: boolean, f: Reduce): Value {
  if (axes.length === 0) return x;
  const inside = axes.map((axis) => axisIn(x, axis));
  const shape: Shape = reducedShape(x.shape, axes, keepDims);
  if (!x.isLast) return x.map((t) => f(t as Tensor, inside, keepDims));
  const kept = x.map((t) => f(t as Tensor, inside, true));
  return keepDims ? kept : reshapedValue(kept, shape);
}

/**
 * A reduction.
 * @param f of a tensor, over at least one axis
 * @param host of the elements that become one
 * @param each what is done with the elements if no axis is reduced
 */
function reduction(
  since: number,
  f: Reduce,
  host: (values: number[]) => number,
  each: (x: Tensor) => Tensor = (x) => x,
): Operator {
  return {
    inputs: [1, 2],
    attributes: 'axes keepdims noop_with_empty_axes',
    hostFrom: 1,
    run(c) {
      const axes = axesFor(c, since);
      const x = c.gpuValue(0);
      if (!axes || axes.length === 0) return x.map(each as (x: AnyTensor) => AnyTensor);
      return reduceValue(x, axes, c.int('keepdims', 1) !== 0, f);
    },
    host(c) {
      const x = c.host(0);
      const axes = axesFor(c, since) ?? [];
      return reduced(x, axes, axes.length === 0 || c.int('keepdims', 1) !== 0, x.dtype, host);
    },
  };
}

/** x² of numbers of float32 or int32. */
const squared = (x: Tensor): Tensor => (isWhole(x) ? mul(x, x) : square(x));

/** The mean; that of integers cuts off. */
function meanOf(x: Tensor, axes: readonly number[], keepDims: boolean): Tensor {
  if (!isWhole(x)) return mean(x, axes, keepDims);
  const all = sum(x, axes, keepDims);
  return div(all, x.size / all.size);
}

/** A reduction of float32 that cuts off what it gives of integers. */
const cutOff =
  (f: Reduce): Reduce =>
  (x, ...rest) =>
    isWhole(x) ? (cast(f(cast(x, 'float32'), ...rest), 'int32') as AnyTensor as Tensor) : f(x, ...rest);

/** ln Σ eˣ without overflow. */
function hostLogSumExp(values: number[]): number {
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(largest)) return largest;
  return largest + Math.log(total(values.map((v) => Math.exp(v - largest))));
}

const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);

/** Applies f, which works along the last axis, along an axis of the file. */
export function alongAxis(x: GpuValue, axis: number, f: (x: Tensor) => Tensor): GpuValue {
  const rank = x.shape.length;
  if (x.isLast && axisIn(x, axis) === rank - 1) return x.map(f as never);
  if (axis === rank - 1) return GpuValue.file(f(x.file() as Tensor));
  const order = [...x.shape.map((_, k) => k).filter((k) => k !== axis), axis];
  const back = order.map((_, k) => order.indexOf(k));
  return GpuValue.file(permute(f(permute(x.file(), order) as Tensor), back));
}

/** Before version 13 the axes from `axis` on count as one. */
function rows(f: (x: Tensor) => Tensor): Operator {
  return {
    inputs: [1, 1],
    attributes: 'axis',
    run(c) {
      const x = c.gpuValue(0);
      if (c.rank === 0) return c.unsupported('a scalar');
      if (c.opset >= 13) return alongAxis(x, c.axis(c.int('axis', -1)), f);
      const axis = c.axis(c.int('axis', 1));
      const columns = x.shape.slice(axis).reduce((a, b) => a * b, 1);
      const flat = reshapedValue(x, [c.x(0).size / columns, columns]) as GpuValue;
      return reshapedValue(flat.map(f as never), x.shape);
    },
  };
}

/** The largest (1) or smallest (−1) element. */
function extreme(f: typeof max, side: 1 | -1): Operator {
  return {
    ...reduction(18, f, () => 0),
    attributes: 'axes keepdims noop_with_empty_axes',
    host(c) {
      const x = c.host(0);
      const none = {
        float32: -side * Infinity,
        int64: -side * Infinity,
        int32: side > 0 ? -(2 ** 31) : 2 ** 31 - 1,
        bool: Number(side < 0),
      };
      const choose = side > 0 ? Math.max : Math.min;
      const axes = axesFor(c, 18) ?? [];
      return reduced(x, axes, axes.length === 0 || c.int('keepdims', 1) !== 0, x.dtype, (values) =>
        values.length === 0 ? none[x.dtype] : values.reduce((a, b) => choose(a, b)),
      );
    },
  };
}

/** The place of the largest or smallest element. */
const arg = (f: typeof argmax): Operator => ({
  inputs: [1, 1],
  attributes: 'axis keepdims select_last_index',
  run: (c) =>
    GpuValue.file(
      f(c.x(0), c.int('axis', 0), { keepDims: c.int('keepdims', 1) !== 0, last: c.int('select_last_index', 0) !== 0 }),
    ),
});

/** Running sums or products. */
const scan = (f: typeof cumsum): Operator => ({
  inputs: [2, 2],
  attributes: 'exclusive reverse',
  hostFrom: 1,
  run: (c) =>
    GpuValue.file(
      f(c.x(0), c.hostNumber(1)!, { exclusive: c.int('exclusive', 0) !== 0, reverse: c.int('reverse', 0) !== 0 }),
    ),
});

export const reduceOperators = /* @__PURE__ */ ((): OperatorTable => ({
  ReduceSum: reduction(13, sum, total),
  ReduceMean: reduction(18, meanOf, (values) => total(values) / values.length),
  ReduceSumSquare: reduction(
    18,
    (x, ...rest) => sum(squared(x), ...rest),
    (values) => total(values.map((v) => v * v)),
    squared,
  ),
  ReduceL1: reduction(
    18,
    (x, ...rest) => sum(absolute(x), ...rest),
    (values) => total(values.map(Math.abs)),
    absolute,
  ),
  ReduceL2: reduction(
    18,
    cutOff((x, axes, keepDims) => norm(x, { axes, keepDims })),
    (values) => Math.sqrt(total(values.map((v) => v * v))),
    absolute,
  ),
  ReduceLogSum: reduction(
    18,
    cutOff((x, ...rest) => log(sum(x, ...rest))),
    (values) => Math.log(total(values)),
    (x) => cutOff(log)(x, [], false),
  ),
  ReduceLogSumExp: reduction(18, cutOff(logSumExp), hostLogSumExp),
  ReduceProd: reduction(18, prod, (values) => values.reduce((a, b) => a * b, 1)),
  ReduceMax: extreme(max, 1),
  ReduceMin: extreme(min, -1),
  ArgMax: arg(argmax),
  ArgMin: arg(argmin),
  CumSum: scan(cumsum),
  CumProd: scan(cumprod),
  TopK: {
    inputs: [2, 2],
    outputs: 2,
    attributes: 'axis largest sorted',
    hostFrom: 1,
    run(c) {
      const options = { axis: c.int('axis', -1), largest: c.int('largest', 1) !== 0 };
      const { values, indices } = topK(c.x(0), c.hostNumber(1)!, options);
      return [GpuValue.file(values), GpuValue.file(indices)];
    },
  },
  Hardmax: rows((x) => {
    const size = x.shape[x.shape.length - 1];
    const places = Tensor.from(
      x.gpu,
      Array.from({ length: size }, (_, k) => k),
      [size],
      'int32',
    );
    return cast(equal(argmax(x, -1, { keepDims: true }), places), 'float32');
  }),
  Softmax: rows(softmax),
  LogSoftmax: rows(logSoftmax),
}))();
