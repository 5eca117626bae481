import { add } from '../../ops/binary.js';
import type { Tensor } from '../../tensor/tensor.js';
import { Layer } from '../module.js';

/** Layers one after the other, named `0`, `1`, … as in PyTorch. */
export class Sequential extends Layer {
  readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    super();
    this.layers = layers.map((layer, k) => this.child(String(k), layer));
  }

  override forward(x: Tensor): Tensor {
    return this.layers.reduce((input, layer) => layer.forward(input), x);
  }
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
