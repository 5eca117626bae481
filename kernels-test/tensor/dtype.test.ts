import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { mean, sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { checkDtypes, type DType, sameDtype } from '../../src/tensor/dtype.js';
import { formatTensor } from '../../src/tensor/format.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('types of elements');

const refuses = (body: () => unknown, message: RegExp): void =>
  assert.throws(body, (error: Error) => error instanceof ArgumentError && message.test(error.message));

test('integers and booleans are read as they were written', async () => {
  const gpu = await testGpu();
  const integers = Tensor.from(gpu, [0, -1, 2 ** 31 - 1, -(2 ** 31)], [2, 2], 'int32');
  assert.equal(await integers.read(), Int32Array.of(0, -1, 2147483647, -2147483648));
  integers.write([16777217, 1, 2, 3]); // float32 does not hold the first
  assert.equal(await integers.read(), Int32Array.of(16777217, 1, 2, 3));
  const nested = Tensor.from(gpu, [[1, 2, 3]], undefined, 'int32');
  assert.equal([...nested.shape], [1, 3]);
  const masks = Tensor.from(gpu, [true, false, true], [3], 'bool');
  assert.equal(await masks.read(), Uint8Array.of(1, 0, 1));
  masks.write([0, 0, 1]);
  assert.equal(await masks.read(), Uint8Array.of(0, 0, 1));
  const one = Tensor.from(gpu, [7], [], 'int32');
  assert.is(await one.item(), 7);
  assert.is(`${integers}`, 'Tensor int32 [2,2]');
  assert.is(await formatTensor(masks), 'Tensor bool [3]\n[0, 0, 1]');
  scope(gpu, () => assert.is(masks.view([3, 1]).dtype, 'bool'));
  for (const tensor of [integers, nested, masks, one]) tensor.dispose();
});

test('values that a type cannot hold are refused by their place', async () => {
  const gpu = await testGpu();
  refuses(
    () => Tensor.from(gpu, [1, 2.5], [2], 'int32'),
    /value 1 is the number 2.5; expected an integer that int32 holds/,
  );
  refuses(() => Tensor.from(gpu, [2 ** 31], [1], 'int32'), /value 0 is the number 2147483648/);
  refuses(() => Tensor.from(gpu, [Number.NaN], [1], 'int32'), /value 0 is the number NaN/);
  refuses(() => Tensor.from(gpu, [0, 2], [2], 'bool'), /value 1 is the number 2; expected true, false, 1 or 0/);
  refuses(
    () => Tensor.from(gpu, [1], [1], 'int64' as DType),
    /dtype is "int64"; expected 'float32', 'int32' or 'bool'/,
  );
});

test('operations of float32 refuse other types, and gradients by them', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2], [2], 'int32');
  const y = Tensor.from(gpu, [1, 2], [2]);
  refuses(() => mean(x as unknown as Tensor), /mean: x is a tensor of "int32"; expected float32/);
  const tape = new Tape();
  const total = tape.record(() => sum(y));
  refuses(() => tape.gradients(total, [x as unknown as Tensor]), /wrt\[0\] is "int32"; expected a tensor of float32/);
  for (const tensor of [x, y, total]) tensor.dispose();
});

test('the rules of types name the operation and the types', () => {
  refuses(() => checkDtypes('gather', ['float32'], ['int32'], ['indices']), /gather: indices is a tensor of "float32"/);
  refuses(() => sameDtype('where', ['float32', 'int32']), /where: the inputs are tensors of float32 and int32/);
  assert.is(sameDtype('where', ['bool', 'bool']), 'bool');
});

test.run();
