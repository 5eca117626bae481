import { ShapeError } from '../../common/errors.js';
import { normalizeAxes, type Shape, sizeOf } from '../../common/shapes.js';
import { concat, pad, slice } from '../../ops/layout.js';
import { depthToSpace, spaceToDepth, tile } from '../../ops/rearrange.js';
import { expand, stridedSlice } from '../../ops/strided.js';
import { tril, triu } from '../../ops/triangle.js';
import type { Tensor } from '../../tensor/tensor.js';
import { joined, pick, reshaped, stretched, strided, transposed } from '../host-arrays.js';
import type { Context, Operator, OperatorTable } from '../operator.js';
import { fileOrder, GpuValue, HostValue, lastOrder, permute, type Value, viewed } from '../values.js';

/** The same elements under another shape. */
export const reshapedValue = (value: Value, shape: Shape): Value => {
  if (sizeOf(shape) !== sizeOf(value.shape)) throw new ShapeError(`[${value.shape}] does not become [${shape}]`);
  if (value instanceof HostValue) return reshaped(value, shape);
  return GpuValue.file(viewed(value.file(), shape));
};

/** An operator that gives the elements of input 0 another shape. */
const reshaping = (row: Partial<Operator>, shape: (c: Context) => Shape): Operator => {
  const run = (c: Context): Value => reshapedValue(c.value(0), shape(c));
  return { inputs: [1, 1], ...row, run, host: run };
};

function reshapeTo(c: Context): number[] {
  const wanted = c.hostInts(1)!;
  const x = c.shape(0);
  const shape = wanted.map((size, axis) => (size === 0 && !c.int('allowzero', 0) ? (x[axis] ?? 0) : size));
  const free = shape.indexOf(-1);
  if (free >= 0) {
    const others = sizeOf(shape.filter((_, axis) => axis !== free));
    shape[free] = others === 0 ? 0 : sizeOf(x) / others;
  }
  return shape.every((size) => Number.isSafeInteger(size) && size >= 0)
    ? shape
    : c.misfit(`[${x}] does not become [${wanted}]`);
}

/** Axes of an attribute in early versions, of input 1 later. */
export const axesOf = (c: Context, since: number): number[] | undefined =>
  c.opset < since ? c.ints('axes') : c.hostInts(1);

function squeezed(c: Context): number[] {
  const x = c.shape(0);
  const axes = axesOf(c, 13);
  if (!axes) return x.filter((size) => size !== 1);
  if (axes.length === 0) return [...x];
  const gone = normalizeAxes(axes, x.length, 'axes');
  for (const axis of gone) if (x[axis] !== 1) c.misfit(`axis ${axis} of [${x}] is not 1`);
  return x.filter((_, axis) => !gone.includes(axis));
}

function unsqueezed(c: Context): number[] {
  const axes = axesOf(c, 13) ?? c.malformed('lacks its axes');
  const rank = c.rank + axes.length;
  const added = axes.length === 0 ? [] : normalizeAxes(axes, rank, 'axes');
  const sizes = [...c.shape(0)];
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : sizes.shift()!));
}

const isOrder = (a: readonly number[], b: readonly number[]): boolean => `${a}` === `${b}`;

function transposeValue(c: Context): Value {
  const x = c.value(0);
  const order = c.ints('perm')?.map((axis) => c.axis(axis)) ?? x.shape.map((_, k) => x.shape.length - 1 - k);
  if (new Set(order).size !== x.shape.length || order.length !== x.shape.length) {
    c.misfit(`perm [${order}] does not fit [${x.shape}]`);
  }
  if (x instanceof HostValue) return transposed(x, order);
  const rank = order.length;
  // These two only say that the order is another one: no element moves.
  if (rank >= 3 && isOrder(order, lastOrder(rank)) && x.isLast) return GpuValue.file(x.last());
  if (rank >= 3 && isOrder(order, fileOrder(rank))) return GpuValue.last(x.file());
  return GpuValue.file(permute(x.file(), order));
}

/** Numbers of each axis in the order in which the tensor of the value lies. */
export const perAxis = <T>(value: GpuValue, list: readonly T[]): readonly T[] =>
  value.isLast ? lastOrder(list.length).map((axis) => list[axis]) : list;

/** Where an axis of the file is in the tensor of the value. */
export const axisIn = (value: GpuValue, axis: number): number =>
  value.isLast ? lastOrder(value.shape.length).indexOf(axis) : axis;

/** A part of a value; no elements are an array on the host. */
export function part(x: Value, starts: readonly number[], sizes: Shape, steps: readonly number[]): Value {
  if (x instanceof HostValue) return strided(x, starts, sizes, steps);
  if (sizeOf(sizes) === 0) return new HostValue(x.dtype, sizes, []);
  if (isOrder(sizes, x.shape) && steps.every((step) => step === 1)) return x;
  if (!steps.every((step, axis) => step === 1 || sizes[axis] === 1)) {
    const ends = starts.map((start, axis) => {
      const end = start + sizes[axis] * steps[axis];
      return end < 0 ? null : end;
    });
    return x.map((t) => stridedSlice(t, perAxis(x, starts), perAxis(x, ends), perAxis(x, steps)));
  }
  return x.map((t) => slice(t as Tensor, perAxis(x, starts), perAxis(x, sizes)));
}

function sliceValue(c: Context): Value {
  const x = c.value(0);
  const rank = x.shape.length;
  const [starts, ends, axes, steps] =
    c.opset < 10
      ? [c.ints('starts'), c.ints('ends'), c.ints('axes'), undefined]
      : [c.hostInts(1), c.hostInts(2), c.hostInts(3), c.hostInts(4)];
  if (!starts || !ends || starts.length !== ends.length) return c.malformed('lacks its starts or ends');
  const begin = new Array<number>(rank).fill(0);
  const size = [...x.shape];
  const by = new Array<number>(rank).fill(1);
  const places = axes ?? starts.map((_, k) => k);
  if (places.length !== starts.length || (steps && steps.length !== starts.length))
    c.misfit('starts, ends, axes and steps differ in length');
  places.forEach((place, k) => {
    const axis = c.axis(place);
    const extent = x.shape[axis];
    const step = steps?.[k] ?? 1;
    if (step === 0) c.misfit('a step is 0');
    const clamped = (at: number, low: number, high: number): number =>
      Math.min(Math.max(at < 0 ? at + extent : at, low), high);
    const start = step > 0 ? clamped(starts[k], 0, extent) : clamped(starts[k], 0, extent - 1);
    const end = step > 0 ? clamped(ends[k], 0, extent) : clamped(ends[k], -1, extent - 1);
    begin[axis] = start;
    size[axis] = Math.max(0, Math.ceil((end - start) / step));
    by[axis] = step;
  });
  return part(x, begin, size, by);
}

/** Joins values of one type along an axis of the file. */
export function joinValues(values: readonly Value[], axis: number, gpu: (value: Value) => GpuValue): Value {
  const filled = values.filter((value) => sizeOf(value.shape) > 0);
  if (filled.length === 0) {
    const along = values.reduce((sum, { shape }) => sum + shape[axis], 0);
    return new HostValue(
      values[0].dtype,
      values[0].shape.map((size, k) => (k === axis ? along : size)),
      [],
    );
  }
  if (filled.length === 1) return filled[0];
  if (filled.every((value) => value instanceof HostValue)) return joined(filled as HostValue[], axis);
  const all = filled.map(gpu);
  const isLast = all.some((value) => value.isLast);
  const at = isLast && all[0].shape.length >= 3 ? lastOrder(all[0].shape.length).indexOf(axis) : axis;
  const tensors = all.map((value) => (isLast ? value.last() : value.file())) as Tensor[];
  return isLast ? GpuValue.last(concat(tensors, at)) : GpuValue.file(concat(tensors, at));
}

function concatValues(c: Context): Value {
  const axis = c.axis(c.int('axis', 1));
  const values = c.values;
  for (const { shape } of values) {
    if (shape.length === c.rank && shape.every((size, k) => k === axis || size === c.shape(0)[k])) continue;
    c.misfit(`[${shape}] does not join [${c.shape(0)}] along axis ${axis}`);
  }
  return joinValues(values, axis, (value) => c.toGpu(value));
}

function splitValue(c: Context): Value[] {
  const axis = c.axis(c.int('axis', 0));
  const extent = c.shape(0)[axis];
  const count = c.proto.outputs.length;
  const given = c.opset < 13 ? c.ints('split') : c.hostInts(1);
  const each = Math.ceil(extent / c.int('num_outputs', count));
  const sizes = given ?? Array.from({ length: count }, (_, k) => Math.max(0, Math.min(each, extent - k * each)));
  if (sizes.length !== count || sizes.some((size) => !(size >= 0)) || sizes.reduce((a, b) => a + b, 0) !== extent) {
    c.misfit(`axis ${axis} of ${extent} is not split into ${count} of [${sizes}]`);
  }
  let first = 0;
  return sizes.map((size) => {
    const starts = c.shape(0).map((_, k) => (k === axis ? first : 0));
    first += size;
    return part(
      c.value(0),
      starts,
      c.shape(0).map((all, k) => (k === axis ? size : all)),
      c.shape(0).map(() => 1),
    );
  });
}

function padValue(c: Context): Value {
  const rank = c.rank;
  const pads = (c.opset < 11 ? c.ints('pads') : c.hostInts(1)) ?? c.malformed('lacks its pads');
  const axes = (c.hostInts(3) ?? c.shape(0).map((_, k) => k)).map((axis) => c.axis(axis));
  if (pads.length !== 2 * axes.length) c.misfit(`pads [${pads}] do not fit ${axes.length} axes`);
  const [before, after] = [new Array<number>(rank).fill(0), new Array<number>(rank).fill(0)];
  axes.forEach((axis, k) => {
    before[axis] = pads[k];
    after[axis] = pads[k + axes.length];
  });
  // Negative numbers cut off.
  const starts = before.map((count) => Math.max(0, -count));
  const sizes = c.shape(0).map((size, k) => size - starts[k] - Math.max(0, -after[k]));
  const cut = part(
    c.value(0),
    starts,
    sizes,
    before.map(() => 1),
  );
  const x = c.toGpu(cut);
  const [head, tail] = [before, after].map((counts) =>
    perAxis(
      x,
      counts.map((count) => Math.max(0, count)),
    ),
  );
  if ([...head, ...tail].every((count) => count === 0)) return cut;
  const mode = c.text('mode', 'constant') as 'constant';
  const value = c.opset < 11 ? c.float('value', 0) : (c.hostNumber(2) ?? 0);
  return x.map((t) => pad(t, head, tail, mode === 'constant' ? value : { mode }));
}

function expandTo(c: Context): Value {
  const x = c.value(0);
  const wanted = c.hostInts(1)!;
  const rank = Math.max(wanted.length, x.shape.length);
  const align = (shape: Shape): number[] => [...new Array<number>(rank - shape.length).fill(1), ...shape];
  const [from, to] = [align(x.shape), align(wanted)];
  const shape = from.map((size, k) => (size === 1 ? to[k] : size));
  if (shape.some((size, k) => to[k] !== 1 && to[k] !== size)) c.misfit(`[${x.shape}] does not stretch to [${wanted}]`);
  if (x instanceof HostValue) return stretched(x, shape);
  if (sizeOf(shape) === 0) return new HostValue(x.dtype, shape, []);
  return isOrder(shape, x.shape) ? x : GpuValue.file(expand(x.file(), shape));
}

function tileValue(c: Context): Value {
  const repeats = c.hostInts(1)!;
  const x = c.value(0);
  if (repeats.length !== x.shape.length) c.misfit(`repeats [${repeats}] do not fit [${x.shape}]`);
  const shape = x.shape.map((size, k) => size * repeats[k]);
  if (x instanceof GpuValue) {
    return sizeOf(shape) === 0 ? new HostValue(x.dtype, shape, []) : GpuValue.file(tile(x.file(), repeats));
  }
  let all = x;
  repeats.forEach((count, axis) => {
    if (!(count >= 0)) c.misfit(`repeats [${repeats}]`);
    if (count !== 1) {
      const sizes = all.shape.map((size, k) => (k === axis ? size * count : size));
      const inner = sizeOf(all.shape.slice(axis));
      const from = all;
      all = pick(from, sizes, (i) => Math.floor(i / (inner * count)) * inner + (i % inner));
    }
  });
  return reshaped(all, shape);
}

/** Dropout in training, by attribute or input. */
function dropoutOutputs(c: Context, x: Value): Value[] {
  const outputs: Value[] = [x];
  if (c.proto.outputs[1]) outputs.push(HostValue.of('bool', x.shape, () => 1));
  return outputs;
}

/** The triangle above or below a diagonal of matrices, else 0. */
function triangle(c: Context): Value {
  const x = c.value(0);
  if (c.rank < 2) c.misfit(`[${x.shape}] is no matrix`);
  const [rows, columns] = x.shape.slice(-2);
  const k = c.hostNumber(1) ?? 0;
  const upper = c.int('upper', 1) !== 0;
  const stays = (i: number): boolean => {
    const above = (i % columns) - (Math.floor(i / columns) % rows);
    return upper ? above >= k : above <= k;
  };
  if (x instanceof HostValue) return HostValue.of(x.dtype, x.shape, (i) => (stays(i) ? x.data[i] : 0));
  return GpuValue.file((upper ? triu : tril)(x.file(), k));
}

/** Cuts or pads axes around their centres. */
function centered(c: Context): Value {
  const x = c.value(0);
  const wanted = c.hostInts(1)!;
  const axes = (c.ints('axes') ?? x.shape.map((_, k) => k)).map((axis) => c.axis(axis));
  const size = [...x.shape];
  axes.forEach((axis, k) => {
    size[axis] = wanted[k] ?? c.misfit(`the shape [${wanted}]`);
  });
  const starts = x.shape.map((have, k) => Math.max(0, Math.floor((have - size[k]) / 2)));
  const cut = part(
    x,
    starts,
    x.shape.map((have, k) => Math.min(have, size[k])),
    size.map(() => 1),
  );
  const before = x.shape.map((have, k) => Math.max(0, Math.floor((size[k] - have) / 2)));
  const after = x.shape.map((have, k) => Math.max(0, size[k] - have) - before[k]);
  if ([...before, ...after].every((count) => count === 0)) return cut;
  return GpuValue.file(pad(c.toGpu(cut).file() as Tensor, before, after));
}

/** An operator that computes wherever its first input is. */
export const both = (row: Partial<Operator>, run: (c: Context) => Value | Value[]): Operator => ({
  inputs: [1, 1],
  ...row,
  run,
  host: run,
});

export const shapeOperators = /* @__PURE__ */ ((): OperatorTable => ({
  Reshape: reshaping({ inputs: [2, 2], attributes: 'allowzero', hostFrom: 1 }, reshapeTo),
  Flatten: reshaping({ attributes: 'axis' }, (c) => {
    const given = c.int('axis', 1);
    const axis = given === c.rank ? c.rank : c.axis(given);
    return [sizeOf(c.shape(0).slice(0, axis)), sizeOf(c.shape(0).slice(axis))];
  }),
  Squeeze: reshaping({ inputs: [1, 2], attributes: 'axes', hostFrom: 1 }, squeezed),
  Unsqueeze: reshaping({ inputs: [1, 2], attributes: 'axes', hostFrom: 1 }, unsqueezed),
  Transpose: both({ attributes: 'perm' }, transposeValue),
  Slice: both({ inputs: [1, 5], attributes: 'starts ends axes', hostFrom: 1 }, sliceValue),
  Concat: both({ inputs: [1, Infinity], attributes: 'axis' }, concatValues),
  Split: both({ inputs: [1, 2], outputs: Infinity, attributes: 'axis split num_outputs', hostFrom: 1 }, splitValue),
  Pad: { inputs: [1, 4], attributes: 'mode pads value', hostFrom: 1, run: padValue },
  Expand: both({ inputs: [2, 2], hostFrom: 1 }, expandTo),
  Tile: both({ inputs: [2, 2], hostFrom: 1 }, tileValue),
  Trilu: both({ inputs: [1, 2], attributes: 'upper', hostFrom: 1 }, triangle),
  DepthToSpace: {
    inputs: [1, 1],
    attributes: 'blocksize mode',
    run: (c) => GpuValue.last(depthToSpace(c.last(0), c.int('blocksize', 0), { mode: c.text('mode', 'DCR') as 'DCR' })),
  },
  SpaceToDepth: {
    inputs: [1, 1],
    attributes: 'blocksize mode',
    run: (c) => GpuValue.last(spaceToDepth(c.last(0), c.int('blocksize', 0), { mode: c.text('mode', 'DCR') as 'DCR' })),
  },
  CenterCropPad: both({ inputs: [2, 2], attributes: 'axes', hostFrom: 1 }, centered),
  Dropout: {
    inputs: [1, 3],
    outputs: 2,
    attributes: 'ratio seed',
    hostFrom: 1,
    run: (c) => {
      if (c.around.training) return dropoutInTraining(c);
      return c.hostNumber(2) && (c.hostNumber(1) ?? 0.5) > 0
        ? c.unsupported('training_mode in evaluation')
        : dropoutOutputs(c, c.value(0));
    },
  },
}))();

function dropoutInTraining(c: Context): Value[] {
  const rate = c.opset < 12 ? c.float('ratio', 0.5) : (c.hostNumber(1) ?? 0.5);
  if (c.proto.outputs[1]) c.unsupported('the mask in training');
  return [rate === 0 ? c.value(0) : c.gpuValue(0).map((x) => c.around.drop(x as Tensor, rate, c))];
}
