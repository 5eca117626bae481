import { BatchNorm, runsFused } from '../nn/layers/batch-norm.js';
import { Sequential } from '../nn/layers/containers.js';
import { Conv2d } from '../nn/layers/conv.js';
import { Layer } from '../nn/module.js';
import { add, div, sub } from '../ops/binary.js';
import { convBatchNormPrelu, convBatchNormRelu6 } from '../ops/conv/inference.js';
import { reshape } from '../ops/layout.js';
import { relu } from '../ops/unary.js';
import { Tensor } from '../tensor/tensor.js';
import { MOBILEFACENET_STAGES } from './mobilefacenet.js';
import { Recognizer } from './recognizer.js';
import { relu6 } from './relu6.js';

/** Means and standard deviations of ImageNet's RGB samples in [0, 1], by which this network normalises. */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

/** Conv, batch norm, and ReLU unless it is linear; fused into one operation if nothing is trained. */
function convNorm(x: Tensor, conv: Conv2d, norm: BatchNorm, rectified: boolean): Tensor {
  if (!runsFused(norm)) {
    const y = norm.forward(conv.forward(x));
    return rectified ? relu(y) : y;
  }
  // A PReLU whose slope is 0 is a ReLU, and one whose slope is 1 leaves everything as it is.
  const slope = Tensor.from(x.gpu, [rectified ? 0 : 1], [1]);
  return convBatchNormPrelu(x, conv.weight.tensor, norm.running(), slope, conv.attrs);
}

/** Conv without bias and batch norm, parts `0` and `1`, then ReLU6. */
class ConvNormRelu6 extends Layer {
  readonly #conv: Conv2d;
  readonly #norm: BatchNorm;

  constructor(inputs: number, outputs: number, kernel: number, stride = 1, groups = 1) {
    super();
    const padding = (kernel - 1) / 2;
    this.#conv = this.child('0', new Conv2d(inputs, outputs, kernel, { stride, padding, groups, bias: false }));
    this.#norm = this.child('1', new BatchNorm(outputs));
  }

  override forward(x: Tensor): Tensor {
    const [conv, norm] = [this.#conv, this.#norm];
    if (runsFused(norm)) return convBatchNormRelu6(x, conv.weight.tensor, norm.running(), conv.attrs);
    return relu6(norm.forward(conv.forward(x)));
  }
}

/** Two layers in a row with the linear conv and batch norm after them, parts `0` to `3`. */
class Expansion extends Layer {
  readonly #up: ConvNormRelu6;
  readonly #across: ConvNormRelu6;
  readonly #down: Conv2d;
  readonly #norm: BatchNorm;

  constructor(inputs: number, middle: number, outputs: number, stride: number) {
    super();
    this.#up = this.child('0', new ConvNormRelu6(inputs, middle, 1));
    this.#across = this.child('1', new ConvNormRelu6(middle, middle, 3, stride, middle));
    this.#down = this.child('2', new Conv2d(middle, outputs, 1, { bias: false }));
    this.#norm = this.child('3', new BatchNorm(outputs));
  }

  override forward(x: Tensor): Tensor {
    return convNorm(this.#across.forward(this.#up.forward(x)), this.#down, this.#norm, false);
  }
}

/** Inverted residual, part `conv`: 1×1 up, depthwise 3×3, 1×1 down without activation. */
class InvertedResidual extends Layer {
  readonly #conv: Layer;
  readonly #residual: boolean;

  constructor(inputs: number, outputs: number, stride: number, expansion: number) {
    super();
    this.#residual = stride === 1 && inputs === outputs;
    this.#conv = this.child('conv', new Expansion(inputs, inputs * expansion, outputs, stride));
  }

  override forward(x: Tensor): Tensor {
    const y = this.#conv.forward(x);
    return this.#residual ? add(x, y) : y;
  }
}

/** Depthwise 3×3 and pointwise conv, each with batch norm and ReLU. */
class Separable extends Layer {
  readonly #depthwise: Conv2d;
  readonly #pointwise: Conv2d;
  readonly #norms: readonly [BatchNorm, BatchNorm];

  constructor(channels: number) {
    super();
    this.#depthwise = this.child(
      'depthwise',
      new Conv2d(channels, channels, 3, { padding: 1, groups: channels, bias: false }),
    );
    this.#pointwise = this.child('pointwise', new Conv2d(channels, channels, 1, { bias: false }));
    this.#norms = [this.child('bn1', new BatchNorm(channels)), this.child('bn2', new BatchNorm(channels))];
  }

  override forward(x: Tensor): Tensor {
    const y = convNorm(x, this.#depthwise, this.#norms[0], true);
    return convNorm(y, this.#pointwise, this.#norms[1], true);
  }
}

/** Depthwise conv over the whole map, and batch norm. */
class GlobalDepthwise extends Layer {
  readonly #depthwise: Conv2d;
  readonly #norm: BatchNorm;

  constructor(channels: number, size: number) {
    super();
    this.#depthwise = this.child('depthwise', new Conv2d(channels, channels, size, { groups: channels, bias: false }));
    this.#norm = this.child('bn', new BatchNorm(channels));
  }

  override forward(x: Tensor): Tensor {
    return convNorm(x, this.#depthwise, this.#norm, false);
  }
}

/**
 * MobileFaceNet (Chen et al. 2018, arXiv 1804.07573) for faces of 112×112 with ReLU6 in its bottlenecks in place of PReLU,
 * and samples normalised as for ImageNet. Parts are named as in the PyTorch implementation whose weights are published.
 */
export class MobileFaceNetRelu6 extends Recognizer {
  readonly width = 112;
  readonly height = 112;
  readonly dimension = 128;
  readonly #layers: readonly Layer[];
  readonly #norm: BatchNorm;

  constructor() {
    super();
    const blocks: Layer[] = [];
    let inputs = 64;
    for (const [t, c, n, s] of MOBILEFACENET_STAGES) {
      for (let k = 0; k < n; k++) {
        blocks.push(new InvertedResidual(inputs, c, k === 0 ? s : 1, t));
        inputs = c;
      }
    }
    this.#layers = [
      this.child('conv1', new ConvNormRelu6(3, 64, 3, 2)),
      this.child('dw_conv', new Separable(64)),
      this.child('features', new Sequential(blocks)),
      this.child('conv2', new ConvNormRelu6(inputs, 512, 1)),
      this.child('gdconv', new GlobalDepthwise(512, 7)),
      this.child('conv3', new Conv2d(512, this.dimension, 1)),
    ];
    this.#norm = this.child('bn', new BatchNorm(this.dimension));
  }

  protected override normalize(x: Tensor): Tensor {
    const [mean, deviation] = [MEAN, DEVIATION].map((values) => Tensor.from(x.gpu, values, [3]));
    return div(sub(x, mean), deviation);
  }

  protected override forward(x: Tensor): Tensor {
    const y = this.#layers.reduce((z, layer) => layer.forward(z), x);
    return this.#norm.forward(reshape(y, [x.shape[0], this.dimension]));
  }
}
