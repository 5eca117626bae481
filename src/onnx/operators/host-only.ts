import { gather } from '../../ops/indexing/indexing.js';
import { elementwise, gathered } from '../host-arrays.js';
import type { Context, NodeView, Operator, OperatorTable } from '../operator.js';
import { hostType } from '../tensor-values.js';
import { GpuValue, HostValue, type Value } from '../values.js';
import { reshapedValue } from './shapes.js';

// Operators of which the sizes, or all values, must be known before the GPU runs.

/** Arithmetic of bits, which is exact for integers of 64 bits as well. */
function bitwise(f: (a: bigint, b: bigint) => bigint, attributes = ''): Operator {
  return {
    inputs: [2, 2],
    attributes,
    hostFrom: 0,
    host(c) {
      const [a, b] = [c.host(0), c.host(1)];
      for (const { data } of [a, b]) {
        for (let i = 0; i < data.length; i++) if (!Number.isSafeInteger(data[i])) c.unsupported(`bits of ${data[i]}`);
      }
      const bits = a.dtype === 'int32' ? 32 : 64;
      return elementwise([a, b], a.dtype, (x, y) => Number(BigInt.asIntN(bits, f(BigInt(x), BigInt(y)))));
    },
  };
}

function shifted(c: Context): Value {
  const [a, b] = [c.host(0), c.host(1)];
  const bits = a.dtype === 'int32' ? 32 : 64;
  const left = c.text('direction', '') === 'LEFT';
  // A shift by at least the width leaves nothing but the sign.
  const by = (y: number): bigint => BigInt(Math.min(Math.max(y, 0), bits));
  if (Array.from(b.data).some((y) => y < 0)) return c.unsupported('shifts below 0');
  return elementwise([a, b], a.dtype, (x, y) =>
    Number(BigInt.asIntN(bits, left ? BigInt(x) << by(y) : BigInt(x) >> by(y))),
  );
}

/** Entries of an axis, or of all elements, where the condition is true. */
function compressed(c: Context): Value {
  const chosen = c.hostInts(1)!;
  const places = chosen.map((on, i) => (on ? i : -1)).filter((i) => i >= 0);
  const flat = !c.given('axis');
  const x = flat ? reshapedValue(c.value(0), [c.shape(0).reduce((a, b) => a * b, 1)]) : c.value(0);
  const axis = flat ? 0 : c.axis(c.int('axis', 0));
  if (chosen.length > x.shape[axis]) c.misfit(`${chosen.length} conditions for ${x.shape[axis]} entries`);
  const index = HostValue.ints(places);
  if (x instanceof HostValue) return gathered(x, index, axis)!;
  const shape = x.shape.map((size, k) => (k === axis ? places.length : size));
  if (places.length === 0) return new HostValue(x.dtype, shape, []);
  return GpuValue.file(gather(x.file(), index.upload(c.gpu) as never, axis));
}

/** A window Σ wₖ·cos(2πk·i/N) for signals. */
const windowOf = (weights: readonly number[]): Operator => ({
  inputs: [1, 1],
  attributes: 'output_datatype periodic',
  hostFrom: 0,
  refuse: (node: NodeView) => hostType(node.int('output_datatype', 1)) !== 'float32' && 'windows of integers',
  host(c) {
    const size = c.hostNumber(0)!;
    const period = c.int('periodic', 1) ? size : size - 1;
    return HostValue.of('float32', [size], (i) =>
      weights.reduce((sum, weight, k) => sum + weight * Math.cos((2 * Math.PI * k * i) / period), 0),
    );
  },
});

export const hostOperators = /* @__PURE__ */ ((): OperatorTable => ({
  BitwiseAnd: bitwise((a, b) => a & b),
  BitwiseOr: bitwise((a, b) => a | b),
  BitwiseXor: bitwise((a, b) => a ^ b),
  BitwiseNot: { inputs: [1, 1], hostFrom: 0, host: (c) => elementwise([c.host(0)], c.host(0).dtype, (x) => -1 - x) },
  BitShift: { inputs: [2, 2], attributes: 'direction', hostFrom: 0, host: shifted },
  Compress: { inputs: [2, 2], attributes: 'axis', hostFrom: 1, run: compressed, host: compressed },
  HannWindow: windowOf([0.5, -0.5]),
  HammingWindow: windowOf([25 / 46, -21 / 46]),
  BlackmanWindow: windowOf([0.42, -0.5, 0.08]),
}))();
