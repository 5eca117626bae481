import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('values of tensors');

test('from and write accept values of every number type', async () => {
  const gpu = await testGpu();
  const types = [
    Float64Array,
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
  ];
  const given = [...types.map((Type) => Type.of(1, 2, 3, 4)), Float32Array.of(1, 2, 3, 4), [1, 2, 3, 4]];
  for (const values of [...given, new Uint8Array([9, 1, 2, 3, 4, 9]).subarray(1, 5)]) {
    const made = Tensor.from(gpu, values, [4]);
    const written = Tensor.zeros(gpu, [4]);
    written.write(values);
    for (const tensor of [made, written]) {
      assert.equal([...(await tensor.read())], [1, 2, 3, 4], values.constructor.name);
      tensor.dispose();
    }
  }
});

test('values that are not float32 numbers are refused, and leave a tensor unchanged', async () => {
  const gpu = await testGpu();
  const y = Tensor.from(gpu, [5, 6], [2]);
  const wrong: [unknown, RegExp][] = [
    [BigInt64Array.of(1n, 2n), /value 0 is the bigint 1; expected a number/],
    [new DataView(new ArrayBuffer(8)), /values is a DataView; expected a list of numbers/],
    [new ArrayBuffer(8), /values is an ArrayBuffer/],
    ['12', /values is "12"/],
    [null, /null/],
    [undefined, /undefined/],
    [[1, '2'], /value 1 is "2"; expected a number/],
    [[[1], [2]], /value 0 is the array \[1\]; expected a number/],
    [[1, 1e39], /value 1 is the number 1e\+39; expected a number that float32 holds/],
    [Float64Array.of(-1e300, 0), /value 0 is the number -1e\+300/],
  ];
  for (const [values, message] of wrong)
    for (const attempt of [() => Tensor.from(gpu, values as never, [2]), () => y.write(values as never)]) {
      const error = await rejection(attempt, ArgumentError);
      assert.match(error.message, message);
    }
  await rejection(() => y.write(new Float64Array(3)), ShapeError);
  assert.equal([...(await y.read())], [5, 6]);
  y.write([Number.NaN, -Infinity]);
  assert.equal([...(await y.read())], [Number.NaN, -Infinity]);
  y.dispose();
});

test.run();
