import { checkList, refuse } from '../../common/arguments.js';
import { add } from '../../ops/binary.js';
import { convBatchNormPrelu } from '../../ops/conv/inference.js';
import { isTapeRecording } from '../../tensor/tape.js';
import type { Tensor } from '../../tensor/tensor.js';
import { Layer } from '../module.js';
import { BatchNorm } from './batch-norm.js';
import { Conv2d, ConvTranspose2d } from './conv.js';
import { PReLU } from './prelu.js';

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
export function runInOrder(layers: readonly Layer[], x: Tensor): Tensor {
  let y = x;
  for (let k = 0; k < layers.length; k++) {
    const [layer, next, last] = layers.slice(k, k + 3);
    if (isExactly(BatchNorm, layer) && isExactly(PReLU, next)) {
      y = layer.forwardPrelu(y, next.weight.tensor);
      k++;
    } else if (isPlainConv(layer) && isExactly(BatchNorm, next) && isExactly(PReLU, last) && runsFused(next)) {
      const transposed = isExactly(ConvTranspose2d, layer);
      y = convBatchNormPrelu(y, layer.weight.tensor, next.running(), last.weight.tensor, layer.attrs, { transposed });
      k += 2;
    } else y = layer.forward(y);
  }
  return y;
}

/** Whether a layer is of exactly this class; a derived class may have its own forward pass. */
function isExactly<L extends Layer>(type: new (...args: never[]) => L, layer: Layer | undefined): layer is L {
  return layer?.constructor === type;
}

function isPlainConv(layer: Layer): layer is Conv2d | ConvTranspose2d {
  return (isExactly(Conv2d, layer) || isExactly(ConvTranspose2d, layer)) && layer.bias === null;
}

/** Whether a conv may be fused with this norm; the fused operation has no gradient, and uses running statistics only. */
export const runsFused = (norm: BatchNorm): boolean => !norm.training && !isTapeRecording();

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
