import { add } from '../../ops/binary.js';
import type { Tensor } from '../../tensor/tensor.js';
import { Layer } from '../module.js';
import { BatchNorm } from './batch-norm.js';
import { PReLU } from './prelu.js';

/**
 * Layers one after the other, named `0`, `1`, … as in PyTorch. A BatchNorm and the PReLU after it run as one operation,
 * which keeps one activation instead of two.
 */
export class Sequential extends Layer {
  readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    super();
    this.layers = layers.map((layer, k) => this.child(String(k), layer));
  }

  override forward(x: Tensor): Tensor {
    let y = x;
    for (let k = 0; k < this.layers.length; k++) {
      const [layer, next] = [this.layers[k], this.layers[k + 1]];
      if (isExactly(BatchNorm, layer) && isExactly(PReLU, next)) {
        y = layer.forwardPrelu(y, next.weight.tensor);
        k++;
      } else y = layer.forward(y);
    }
    return y;
  }
}

/** Whether a layer is of this class itself: one derived from it may have a forward pass of its own. */
function isExactly<L extends Layer>(type: new (...args: never[]) => L, layer: Layer | undefined): layer is L {
  return layer?.constructor === type;
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
