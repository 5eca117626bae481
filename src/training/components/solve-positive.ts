import { ArgumentError } from '../../common/errors.js';
import { dot } from './dot.js';

/** Rows that go through the earlier ones together, which reads these once for all of them. */
const BLOCK = 8;

/**
 * Solves A·X = B for a symmetric positive definite A by Cholesky's decomposition, in float64.
 * @param a [n, n]; overwritten with the lower triangle of the decomposition
 * @param b [n, columns]
 * @returns X, [n, columns]
 * @throws ArgumentError if A is not positive definite
 */
export function solvePositive(
  a: Float64Array,
  n: number,
  b: Float64Array,
  columns: number,
  onProgress: (done: number, total: number) => void = () => {},
): Float64Array {
  for (let first = 0; first < n; first += BLOCK) {
    const end = Math.min(n, first + BLOCK);
    for (let j = 0; j < end; j++) {
      for (let i = Math.max(first, j); i < end; i++) {
        const rest = a[i * n + j] - dot(a, i * n, a, j * n, j);
        if (i !== j) a[i * n + j] = rest / a[j * n + j];
        else if (rest > 0) a[j * n + j] = Math.sqrt(rest);
        else throw new ArgumentError(`solvePositive: the matrix is not positive definite (row ${j})`);
      }
    }
    onProgress(end, n);
  }
  const x = b.slice();
  const eliminate = (i: number, j: number, factor: number): void => {
    for (let c = 0; c < columns; c++) x[i * columns + c] -= factor * x[j * columns + c];
  };
  const divide = (i: number): void => {
    for (let c = 0; c < columns; c++) x[i * columns + c] /= a[i * n + i];
  };
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) eliminate(i, j, a[i * n + j]);
    divide(i);
  }
  for (let i = n - 1; i >= 0; i--) {
    divide(i);
    for (let j = 0; j < i; j++) eliminate(j, i, a[i * n + j]);
  }
  return x;
}
