import { checkList, refuse } from '../../common/arguments.js';
import { add } from '../../ops/binary.js';
import type { Tensor } from '../../tensor/tensor.js';
import { type FusibleLayer, Layer } from '../module.js';

/**
 * Layers one after the other, named `0`, `1`, … as in PyTorch. A BatchNorm and the PReLU after it run as one operation,
 * which keeps one activation instead of two; in evaluation, when no tape records, a conv before them is fused as well.
 */
export class Sequential extends Layer {
  readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    super();
    checkList('Sequential', 'layers', layers, 'an array of layers');
    this.layers = layers.map((layer, k) => {
      if (!(layer instanceof Layer)) refuse('Sequential', `layer ${k}`, layer, 'a layer');
      return this.child(String(k), layer);
    });
  }

  override forward(x: Tensor): Tensor {
    return runInOrder(this.layers, x);
  }
}

/** Runs layers one after the other, fused as `Sequential` says. */
export function runInOrder(layers: readonly FusibleLayer[], x: Tensor): Tensor {
  let y = x;
  for (let k = 0; k < layers.length; k++) {
    const fused = layers[k].forwardFused?.(y, layers.slice(k + 1, k + 3));
    y = fused ? fused.output : layers[k].forward(y);
    if (fused) k += fused.followers;
  }
  return y;
}

/** x + body(x), where the body (named `body`) keeps the shape. He et al. 2016, arXiv 1512.03385. */
export class Residual extends Layer {
  readonly body: Layer;

  constructor(body: Layer) {
    super();
    this.body = this.child('body', body);
  }

  override forward(x: Tensor): Tensor {
    return add(x, this.body.forward(x));
  }
}
