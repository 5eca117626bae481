import { sizeOf } from '../../common/shapes.js';
import { add } from '../../ops/binary.js';
import { cast, equal, less, where } from '../../ops/compare.js';
import { reshape, slice } from '../../ops/layout.js';
import { Tensor } from '../../tensor/tensor.js';
import type { Context, NodeView, OperatorTable } from '../operator.js';
import { hostType, isNarrow, typeName } from '../tensor-values.js';
import { GpuValue, HostValue, type Value } from '../values.js';
import { both } from './shapes.js';

/** Sizes of axes start to end. */
function shapeOf(c: Context): Value {
  const rank = c.rank;
  const clamped = (axis: number): number => Math.min(Math.max(axis < 0 ? axis + rank : axis, 0), rank);
  return HostValue.ints(c.shape(0).slice(clamped(c.int('start', 0)), clamped(c.int('end', rank))));
}

function constant(c: NodeView): HostValue {
  const tensor = c.tensor('value');
  if (tensor) return tensor;
  if (c.given('value_float')) return new HostValue('float32', [], new Float32Array([c.float('value_float', 0)]));
  if (c.given('value_int')) return new HostValue('int64', [], [c.int('value_int', 0)]);
  const floats = c.floats('value_floats');
  if (floats) return new HostValue('float32', [floats.length], Float32Array.from(floats));
  return HostValue.ints(c.ints('value_ints') ?? c.malformed('has no value'));
}

function range(c: Context): Value {
  const [start, limit, delta] = [0, 1, 2].map((k) => c.hostNumber(k)!);
  if (delta === 0) c.misfit('the step is 0');
  return HostValue.of(c.host(0).dtype, [Math.max(0, Math.ceil((limit - start) / delta))], (i) => start + i * delta);
}

function eyeLike(c: Context): Value {
  const shape = c.shape(0);
  if (shape.length !== 2) c.misfit(`[${shape}] is no matrix`);
  const k = c.int('k', 0);
  const type = c.given('dtype') ? hostType(c.int('dtype', 1))! : c.value(0).dtype;
  return HostValue.of(type, shape, (i) => Number((i % shape[1]) - Math.floor(i / shape[1]) === k));
}

function nonZero(c: Context): Value {
  const x = c.host(0);
  const found = Array.from(x.data, (value, i) => (value !== 0 ? i : -1)).filter((i) => i >= 0);
  const rank = x.shape.length;
  return HostValue.of('int64', [rank, found.length], (i) => {
    const axis = Math.floor(i / found.length);
    return Math.floor(found[i % found.length] / sizeOf(x.shape.slice(axis + 1))) % x.shape[axis];
  });
}

function oneHot(c: Context): Value {
  const depth = c.hostNumber(1)!;
  const rank = c.rank + 1;
  const axis = c.axis(c.int('axis', -1), rank);
  const shape = [...c.shape(0)];
  shape.splice(axis, 0, 1);
  let indices = reshape(c.x(0) as Tensor, shape) as unknown as Tensor<'int32'>;
  if (!(depth >= 1)) return c.misfit(`a depth of ${depth}`);
  const steps = Tensor.from(
    c.gpu,
    Array.from({ length: depth }, (_, k) => k),
    [depth, ...new Array(rank - 1 - axis).fill(1)],
    'int32',
  );
  if ((indices.dtype as string) !== 'int32') indices = cast(indices, 'int32');
  indices = where(less(indices, 0), add<'int32'>(indices, depth), indices);
  const [off, on] = [0, 1].map((k) => reshape(slice(c.x(2), [k], [1]), []));
  return GpuValue.file(where(equal<'int32'>(indices, steps), on, off));
}

/** Operators that make values from attributes, sizes or positions. */
export const constantOperators = /* @__PURE__ */ ((): OperatorTable => ({
  Shape: both({ attributes: 'start end' }, shapeOf),
  Size: both({}, (c) => new HostValue('int64', [], [sizeOf(c.shape(0))])),
  Constant: both({ inputs: [0, 0], attributes: 'value value_float value_int value_floats value_ints' }, constant),
  ConstantOfShape: {
    inputs: [1, 1],
    attributes: 'value',
    hostFrom: 0,
    host(c) {
      const value = c.tensor('value') ?? new HostValue('float32', [1], [0]);
      return HostValue.of(value.dtype, c.hostInts(0)!, () => value.data[0]);
    },
  },
  Range: { inputs: [3, 3], hostFrom: 0, host: range },
  EyeLike: both(
    {
      attributes: 'dtype k',
      refuse: (node) => {
        const type = node.int('dtype', 1);
        return (!hostType(type) || isNarrow(type)) && `makes values of ${typeName(type)}`;
      },
    },
    eyeLike,
  ),
  OneHot: { inputs: [3, 3], attributes: 'axis', run: oneHot },
  NonZero: { inputs: [1, 1], hostFrom: 0, host: nonZero },
}))();
