import { ArgumentError } from '../common/errors.js';
import { filled } from '../nn/init.js';
import { Module } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import { add, div, mul, sub } from '../ops/binary.js';
import { conv2d, convTranspose2d } from '../ops/conv/conv.js';
import { reshape } from '../ops/layout.js';
import { matmul } from '../ops/matmul/matmul.js';
import { transpose } from '../ops/transpose.js';
import type { Tensor } from '../tensor/tensor.js';
import { unitColumns } from './unit-columns.js';

/** Sizes of the linear layers whose kernels cover a whole patch, and the whole face. */
export interface GlobalConfig {
  /** Features of a patch; 0 for a network without these layers. */
  features: number;
  /** Residual blocks of the decoder at a quarter of the picture's size. */
  blocks: number;
  /** Whether features are weighed by how much a recogniser looks at them; absent as in earlier files: no. */
  importance?: boolean;
}

/** @throws ArgumentError that names the value that is out of range */
export function checkGlobalConfig(
  { features, blocks, importance }: GlobalConfig,
  values: number,
  positions: number,
): void {
  const check = (name: string, value: number, low: number, high: number): void => {
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new ArgumentError(`autoencoder: global.${name} is ${value}; expected an integer from ${low} to ${high}`);
    }
  };
  check('features', features, 1, 1024);
  check('blocks', blocks, 0, 64);
  if (importance !== undefined && typeof importance !== 'boolean') {
    throw new ArgumentError(`autoencoder: global.importance is ${JSON.stringify(importance)}; expected true or false`);
  }
  if (values > features * positions) {
    throw new ArgumentError(
      `autoencoder: the compact map has ${values} values, more than the ${features * positions} features of a face; expected fewer latentChannels`,
    );
  }
}

/**
 * The linear layers of the autoencoder, and their inverses with the same weights. A convolution with stride `patch` makes the features of
 * each patch. A convolution whose kernel covers all of them makes the values of the compact map; it is computed as a matrix product. Both
 * kernels are orthonormal: they are found in closed form (`fitGlobalLayers`), and training does not change them. In between, features may
 * be multiplied by weights, so that the steps of quantization are finer where a recogniser looks.
 */
export class GlobalLayers extends Module {
  /** [patch, patch, 3, features] */
  readonly patches: Parameter;
  /** Mean of the features of faces, [h, w, features]. */
  readonly mean: Parameter;
  /** Weights of features, [h, w, features]; null for 1. */
  readonly weight: Parameter | null;
  /** Columns in the order of falling variance, one channel of the map after the other: [h · w · features, C · h · w]. */
  readonly basis: Parameter;

  /**
   * @param size of the map of features, and of the compact map
   * @param patch pixels, each way
   * @param features of a patch
   * @param channels of the compact map
   * @param weighed whether features have weights
   */
  constructor(
    private readonly size: readonly [height: number, width: number],
    private readonly patch: number,
    private readonly features: number,
    private readonly channels: number,
    weighed = false,
  ) {
    super();
    const [h, w] = size;
    this.patches = this.buffer('patches', { shape: [patch, patch, 3, features], init: unitColumns, layout: 'conv' });
    this.mean = this.buffer('mean', { shape: [h, w, features], init: filled(0) });
    this.weight = weighed ? this.buffer('weight', { shape: [h, w, features], init: filled(1) }) : null;
    this.basis = this.buffer('basis', { shape: [h * w * features, channels * h * w], init: unitColumns });
  }

  /** Pictures [N,H,W,3] to features [N,h,w,features]. */
  featuresOf(x: Tensor): Tensor {
    return conv2d(x, this.patches.tensor, null, { stride: this.patch });
  }

  /** Features to values of the compact map in the order of the basis, [N, C · h · w]. */
  #values(features: Tensor): Tensor {
    const centred = sub(features, this.mean.tensor);
    const weighed = this.weight ? mul(centred, this.weight.tensor) : centred;
    return matmul(reshape(weighed, [features.shape[0], -1]), this.basis.tensor);
  }

  /** Pictures to values of the compact map, one channel after the other, [N, C · h · w]. */
  valuesOf(x: Tensor): Tensor {
    return this.#values(this.featuresOf(x));
  }

  /** Features to the compact map, [N,h,w,C]. */
  project(features: Tensor): Tensor {
    const [n] = features.shape;
    const [h, w] = this.size;
    const values = this.#values(features);
    return reshape(transpose(reshape(values, [n, this.channels, h * w]), [0, 2, 1]), [n, h, w, this.channels]);
  }

  /** The inverse of `project`, within what the map holds. */
  featuresFrom(values: Tensor): Tensor {
    const [n] = values.shape;
    const [h, w] = this.size;
    const rows = transpose(reshape(values, [n, h * w, this.channels]), [0, 2, 1]);
    const weighed = reshape(matmul(reshape(rows, [n, -1]), this.basis.tensor, { transposeB: true }), [
      n,
      h,
      w,
      this.features,
    ]);
    return add(this.weight ? div(weighed, this.weight.tensor) : weighed, this.mean.tensor);
  }

  /** Features to pictures. */
  picturesFrom(features: Tensor): Tensor {
    return convTranspose2d(features, this.patches.tensor, null, { stride: this.patch });
  }
}
