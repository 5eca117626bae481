import { checkList, refuse } from '../../common/arguments.js';
import type { Pair } from '../../common/shapes.js';
import { reshape } from '../../ops/layout.js';
import {
  type AvgPool2dOptions,
  avgPool2d,
  maxPool2d,
  type Pool2dAttrs,
  type Pool2dOptions,
  poolAttrs,
} from '../../ops/pool/pool.js';
import { toPair } from '../../ops/shape-checks.js';
import { relu, sigmoid } from '../../ops/unary.js';
import { upsampleBilinear, upsampleNearest } from '../../ops/upsample.js';
import type { Tensor } from '../../tensor/tensor.js';
import { Layer } from '../module.js';

// Layers without parameters: operations that a Sequential can hold.

/** x where x > 0, else 0. */
export class ReLU extends Layer {
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** 1 / (1 + e⁻ˣ). */
export class Sigmoid extends Layer {
  override forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** The largest value of each window of pictures [N, H, W, C]; see `maxPool2d`. */
export class MaxPool2d extends Layer {
  readonly attrs: Pool2dAttrs;

  /** @throws ArgumentError for a bad kernel, stride or padding */
  constructor(options: Pool2dOptions) {
    super();
    this.attrs = poolAttrs('MaxPool2d', options);
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(x, this.attrs);
  }
}

/** The mean of each window of pictures [N, H, W, C]; see `avgPool2d`. */
export class AvgPool2d extends Layer {
  readonly attrs: Pool2dAttrs & { readonly countIncludePad?: boolean };

  /** @throws ArgumentError for a bad kernel, stride or padding */
  constructor(options: AvgPool2dOptions) {
    super();
    this.attrs = poolAttrs('AvgPool2d', options, { countIncludePad: false });
  }

  override forward(x: Tensor): Tensor {
    return avgPool2d(x, this.attrs);
  }
}

/** [N, …] as [N, all others]: what a Linear takes after convolutions. In row-major order, so the channels of a pixel stay together. */
export class Flatten extends Layer {
  override forward(x: Tensor): Tensor {
    return reshape(x, [x.shape[0], x.size / x.shape[0]]);
  }
}

/** [N, …] as [N, …shape], in row-major order. */
export class Reshape extends Layer {
  readonly shape: readonly number[];

  /**
   * @param shape of one element of the batch; one size may be −1 and follows from the others
   * @throws ArgumentError if it is not a list of positive integers, with at most one −1
   */
  constructor(shape: readonly number[]) {
    super();
    checkList('Reshape', 'shape', shape, 'a list of sizes');
    const valid = (size: number): boolean => size === -1 || (Number.isSafeInteger(size) && size >= 1);
    if (!shape.every(valid) || shape.filter((size) => size === -1).length > 1) {
      refuse('Reshape', 'shape', shape, 'positive integers, of which one may be -1');
    }
    this.shape = [...shape];
  }

  override forward(x: Tensor): Tensor {
    return reshape(x, [x.shape[0], ...this.shape]);
  }
}

/** Pictures [N, H, W, C] enlarged to [N, scale·H, scale·W, C]. */
export class Upsample extends Layer {
  readonly scale: Pair;

  /**
   * @param scale positive integers: one for both axes, or [rows, columns]
   * @param mode repeats pixels, or interpolates between their centres
   * @throws ArgumentError
   */
  constructor(
    scale: number | Pair,
    readonly mode: 'nearest' | 'bilinear' = 'nearest',
  ) {
    super();
    if (mode !== 'nearest' && mode !== 'bilinear') refuse('Upsample', 'mode', mode, '"nearest" or "bilinear"');
    this.scale = toPair('Upsample', 'scale', scale);
    for (const size of this.scale) {
      if (!Number.isSafeInteger(size) || size < 1) refuse('Upsample', 'scale', scale, 'positive integers');
    }
  }

  override forward(x: Tensor): Tensor {
    const [rows, columns] = this.scale;
    if (this.mode === 'nearest') return upsampleNearest(x, [rows, columns]);
    return upsampleBilinear(x, [rows * x.shape[1], columns * x.shape[2]]);
  }
}
