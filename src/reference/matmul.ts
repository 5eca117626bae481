import type { OpAttrs } from '../common/op-attrs.js';
import { type NdArray, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

/** op(a)·op(b) of two matrices, where op transposes if asked to. */
export function multiply(a: NdArray, b: NdArray, transposeA = false, transposeB = false): NdArray {
  const [m, inner] = transposeA ? [a.shape[1], a.shape[0]] : [a.shape[0], a.shape[1]];
  const n = transposeB ? b.shape[0] : b.shape[1];
  const [aRow, aColumn] = transposeA ? [1, m] : [inner, 1];
  const [bRow, bColumn] = transposeB ? [1, inner] : [n, 1];
  const out = zeros([m, n]);
  const [as, bs, outs] = [a.data, b.data, out.data];
  for (let i = 0; i < m; i++) {
    for (let k = 0; k < inner; k++) {
      const value = as[i * aRow + k * aColumn];
      for (let j = 0; j < n; j++) outs[i * n + j] += value * bs[k * bRow + j * bColumn];
    }
  }
  return out;
}

export const matmul: ReferenceRule<OpAttrs['matmul']> = {
  forward: ([a, b], { transposeA, transposeB }) => multiply(a, b, transposeA, transposeB),
  backward: ([a, b], _output, dy, { transposeA, transposeB }) => [
    transposeA ? multiply(b, dy, transposeB, true) : multiply(dy, b, false, !transposeB),
    transposeB ? multiply(dy, a, true, transposeA) : multiply(a, dy, !transposeA, false),
  ],
};
