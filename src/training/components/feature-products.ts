import type { Gpu } from '../../gpu/gpu.js';
import { add } from '../../ops/binary.js';
import { slice } from '../../ops/layout.js';
import { matmul } from '../../ops/matmul/matmul.js';
import { keep, scope, Tensor } from '../../tensor/tensor.js';

/** Rows of features in one product. */
const ROWS = 1024;
/** Columns of the matrix of products that one buffer holds, so that no buffer is larger than devices allow. */
const COLUMNS = 1024;

/** Sums over faces of products of features with features and with targets, on the GPU. */
export class FeatureProducts {
  #count = 0;
  #rows = 0;
  readonly #features: Float32Array;
  readonly #targets: Float32Array;
  readonly #means: Float64Array;
  readonly #targetMeans: Float64Array;
  /** By columns, from the diagonal down, since the matrix is symmetric: [size − first, columns]. */
  readonly #blocks: { first: number; sums: Tensor }[] = [];
  #crossed: Tensor;

  /**
   * @param size values of a face's features
   * @param dimension values of a target
   * @param rows and columns in one product, for tests
   */
  constructor(
    private readonly gpu: Gpu,
    private readonly size: number,
    private readonly dimension: number,
    private readonly rows = ROWS,
    columns = COLUMNS,
  ) {
    this.#features = new Float32Array(rows * size);
    this.#targets = new Float32Array(rows * dimension);
    this.#means = new Float64Array(size);
    this.#targetMeans = new Float64Array(dimension);
    for (let first = 0; first < size; first += columns) {
      const sums = keep(Tensor.zeros(gpu, [size - first, Math.min(columns, size - first)]));
      this.#blocks.push({ first, sums });
    }
    this.#crossed = keep(Tensor.zeros(gpu, [size, dimension]));
  }

  /** @param features [faces, size], at most as many as rows in a product @param targets [faces, dimension] */
  add(features: Float32Array, targets: Float32Array): void {
    const { size, dimension } = this;
    const faces = features.length / size;
    if (this.#rows + faces > this.rows) this.#flush();
    this.#features.set(features, this.#rows * size);
    this.#targets.set(targets, this.#rows * dimension);
    for (let at = 0; at < features.length; at++) this.#means[at % size] += features[at];
    for (let at = 0; at < targets.length; at++) this.#targetMeans[at % dimension] += targets[at];
    this.#rows += faces;
    this.#count += faces;
  }

  #flush(): void {
    if (this.#rows === 0) return;
    const { gpu, size, dimension, rows } = this;
    this.#features.fill(0, this.#rows * size);
    this.#targets.fill(0, this.#rows * dimension);
    const all = keep(Tensor.from(gpu, this.#features, [rows, size]));
    const sum = (total: Tensor, product: () => Tensor): Tensor => {
      const next = keep(scope(gpu, () => add(total, product())));
      total.dispose();
      return next;
    };
    for (const block of this.#blocks) {
      const { first, sums } = block;
      block.sums = sum(sums, () => {
        const below = slice(all, [0, first], [rows, size - first]);
        return matmul(below, slice(all, [0, first], [rows, sums.shape[1]]), { transposeA: true });
      });
    }
    this.#crossed = sum(this.#crossed, () =>
      matmul(all, Tensor.from(gpu, this.#targets, [rows, dimension]), { transposeA: true }),
    );
    all.dispose();
    this.#rows = 0;
  }

  /** Covariance of features, [size, size]; that of features and targets, [size, dimension]; and the mean of features. */
  async read(): Promise<{ covariance: Float64Array; crossed: Float64Array; mean: Float64Array }> {
    this.#flush();
    const { size, dimension } = this;
    const n = this.#count;
    const mean = this.#means.map((sum) => sum / n);
    const targetMean = this.#targetMeans.map((sum) => sum / n);
    const covariance = new Float64Array(size * size);
    for (const { first, sums } of this.#blocks) {
      const values = await sums.read();
      const columns = sums.shape[1];
      for (let i = first; i < size; i++) {
        for (let j = first; j < Math.min(first + columns, i + 1); j++) {
          const value = values[(i - first) * columns + j - first] / n - mean[i] * mean[j];
          covariance[i * size + j] = covariance[j * size + i] = value;
        }
      }
    }
    const crossed = Float64Array.from(
      await this.#crossed.read(),
      (value, at) => value / n - mean[Math.floor(at / dimension)] * targetMean[at % dimension],
    );
    return { covariance, crossed, mean };
  }

  dispose(): void {
    for (const { sums } of this.#blocks) sums.dispose();
    this.#crossed.dispose();
  }
}
