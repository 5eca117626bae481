import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { type Shape, sizeOf } from '../../src/common/shapes.js';
import { applyByName, type OpAttrs, type OpName, referenceOps } from '../../src/ops/registry.js';
import { ndarray } from '../../src/reference/ndarray.js';
import type { DType } from '../../src/tensor/dtype.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { testGpu } from '../helpers/harness.js';

/** Integers of all sizes, among them those whose bits are denormal float32 numbers and those that float32 does not hold; or 0 and 1. */
export function typedValues(size: number, dtype: DType, seed = 0): number[] {
  const random = new CounterRandom(31, seed);
  return Array.from({ length: size }, (_, i) => {
    const bits = Math.floor(random.uniform() * 2 ** 32);
    return dtype === 'bool' ? bits & 1 : (i % 3 === 0 ? bits & 255 : bits) | 0;
  });
}

/**
 * Runs an operation that moves elements on int32 and on bool, and compares with the reference to the last bit.
 * @param given values of input k, as int32, if it is no moved input (indices)
 */
export async function checkTyped<K extends OpName>(
  op: K,
  attrs: OpAttrs[K],
  inputs: readonly Shape[],
  given: (k: number) => readonly number[] | undefined = () => undefined,
  dtypes: readonly DType[] = ['int32', 'bool'],
): Promise<void> {
  const gpu = await testGpu();
  for (const dtype of dtypes) {
    const values = inputs.map((shape, k) => given(k) ?? typedValues(sizeOf(shape), dtype, k));
    const arrays = values.map((list, k) => ndarray(inputs[k], list));
    const expected = referenceOps[op].forward(arrays, attrs);
    const output = scope(gpu, () => {
      const tensors = values.map((list, k) => Tensor.from(gpu, list, inputs[k], given(k) ? 'int32' : dtype));
      return applyByName(op, tensors as unknown as Tensor[], attrs);
    });
    const label = `${op} of ${dtype} [${inputs.join('] [')}] ${JSON.stringify(attrs)}`;
    assert.is(output.dtype as DType, dtype, label);
    assert.equal([...output.shape], [...expected.shape], label);
    assert.equal([...(await output.read())], [...expected.data], label);
    output.dispose();
  }
}
