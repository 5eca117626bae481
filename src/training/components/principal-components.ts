import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { ArgumentError } from '../../common/errors.js';
import { CounterRandom } from '../../common/random.js';
import type { Gpu } from '../../gpu/gpu.js';
import { add } from '../../ops/binary.js';
import { matmul } from '../../ops/matmul/matmul.js';
import { keep, scope, Tensor } from '../../tensor/tensor.js';
import { dot } from './dot.js';

const ROWS_A_PASS = 1024;
/** Additional directions, because the last ones of a block converge slowly. */
const SPARE = 32;
const ITERATIONS = 8;
const STREAM = 0x4b4c54;

export interface PrincipalComponents {
  /** [dimension, count], orthonormal columns, of falling variance. */
  basis: Float32Array;
  variances: Float64Array;
}

/**
 * The directions of largest variance of rows around 0, by subspace iteration (Halko, Martinsson, Tropp 2011, arXiv
 * 0909.4061, §4.5) on the covariance: products on the GPU, orthonormalised in float64 on the CPU.
 *
 * @param rows [n, dimension], of mean 0 and weighted as they are to count
 * @throws ArgumentError for more components than dimensions
 */
export async function principalComponents(
  gpu: Gpu,
  rows: Float32Array,
  dimension: number,
  count: number,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<PrincipalComponents> {
  if (!(count >= 1 && count <= dimension)) {
    throw new ArgumentError(`principal components: ${count} of ${dimension} dimensions`);
  }
  const block = Math.min(dimension, count + SPARE);
  const covariance = scatter(gpu, rows, dimension);
  try {
    const random = new CounterRandom(1, STREAM);
    let directions = Float64Array.from({ length: block * dimension }, () => random.normal());
    orthonormalise(directions, block, dimension);
    for (let k = 0; k < ITERATIONS; k++) {
      directions = await multiply(gpu, covariance, directions, block, dimension);
      orthonormalise(directions, block, dimension);
      onProgress(k + 1, ITERATIONS);
    }
    // Rayleigh-Ritz: within the subspace, the directions themselves.
    const images = await multiply(gpu, covariance, directions, block, dimension);
    const small = new Matrix(block, block);
    for (let a = 0; a < block; a++) {
      for (let b = 0; b <= a; b++) {
        const value = dot(directions, a * dimension, images, b * dimension, dimension);
        small.set(a, b, value);
        small.set(b, a, value);
      }
    }
    const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(small, { assumeSymmetric: true });
    const order = realEigenvalues.map((_, k) => k).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
    const turn = new Float32Array(block * count);
    for (let k = 0; k < count; k++) {
      for (let a = 0; a < block; a++) turn[a * count + k] = eigenvectorMatrix.get(a, order[k]);
    }
    const basis = scope(gpu, () => {
      const all = Tensor.from(gpu, Float32Array.from(directions), [block, dimension]);
      return matmul(all, Tensor.from(gpu, turn, [block, count]), { transposeA: true });
    });
    const result = await basis.read();
    basis.dispose();
    return { basis: result, variances: Float64Array.from(order.slice(0, count), (k) => realEigenvalues[k]) };
  } finally {
    covariance.dispose();
  }
}

/** Rowsᵀ · rows over the number of rows. */
function scatter(gpu: Gpu, rows: Float32Array, dimension: number): Tensor {
  const n = rows.length / dimension;
  let total = keep(Tensor.zeros(gpu, [dimension, dimension]));
  for (let first = 0; first < n; first += ROWS_A_PASS) {
    const count = Math.min(ROWS_A_PASS, n - first);
    const scaled = rows.subarray(first * dimension, (first + count) * dimension).map((value) => value / Math.sqrt(n));
    const next = scope(gpu, () => {
      const x = Tensor.from(gpu, scaled, [count, dimension]);
      return add(total, matmul(x, x, { transposeA: true }));
    });
    total.dispose();
    total = keep(next);
  }
  return total;
}

/** Each row times the symmetric matrix. */
async function multiply(gpu: Gpu, symmetric: Tensor, rows: Float64Array, count: number, dimension: number) {
  const product = scope(gpu, () => matmul(Tensor.from(gpu, Float32Array.from(rows), [count, dimension]), symmetric));
  const values = Float64Array.from(await product.read());
  product.dispose();
  return values;
}

/** Modified Gram-Schmidt on rows, twice: once leaves errors that grow with the spread of variances. */
function orthonormalise(rows: Float64Array, count: number, dimension: number): void {
  for (let k = 0; k < count; k++) {
    const at = k * dimension;
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < k; j++) {
        const before = j * dimension;
        const along = dot(rows, at, rows, before, dimension);
        if (along === 0) continue;
        for (let i = 0; i < dimension; i++) rows[at + i] -= along * rows[before + i];
      }
    }
    const norm = Math.sqrt(dot(rows, at, rows, at, dimension)) || 1;
    for (let i = 0; i < dimension; i++) rows[at + i] /= norm;
  }
}
