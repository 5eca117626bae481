import { BatchNorm } from '../nn/layers/batch-norm.js';
import { runInOrder, Sequential } from '../nn/layers/containers.js';
import { Conv2d, type ConvLayerOptions } from '../nn/layers/conv.js';
import { PReLU } from '../nn/layers/prelu.js';
import { Layer } from '../nn/module.js';
import { add } from '../ops/binary.js';
import { reshape } from '../ops/layout.js';
import type { Tensor } from '../tensor/tensor.js';
import { Recognizer } from './recognizer.js';

/** Stages of bottlenecks: expansion t, channels c, number n, stride s of the first. Table 1 of the paper, from row 3. */
export const MOBILEFACENET_STAGES: readonly (readonly [t: number, c: number, n: number, s: number])[] = [
  [2, 64, 5, 2],
  [4, 128, 1, 2],
  [2, 128, 6, 1],
  [4, 128, 1, 2],
  [2, 128, 2, 1],
];

/** Conv without bias, batch norm, and PReLU unless it is linear; parts `conv`, `bn`, `prelu`. */
class ConvBlock extends Layer {
  readonly #layers: Layer[];

  constructor(
    inputs: number,
    outputs: number,
    kernel: number | [number, number],
    options: ConvLayerOptions,
    act = true,
  ) {
    super();
    const conv = this.child('conv', new Conv2d(inputs, outputs, kernel, { ...options, bias: false }));
    const bn = this.child('bn', new BatchNorm(outputs));
    this.#layers = [conv, bn, ...(act ? [this.child('prelu', new PReLU(outputs))] : [])];
  }

  override forward(x: Tensor): Tensor {
    return runInOrder(this.#layers, x);
  }
}

/** Inverted residual: 1×1 up, depthwise 3×3, 1×1 down without activation. */
class Bottleneck extends Layer {
  readonly #conv: Layer;
  readonly #residual: boolean;

  constructor(inputs: number, outputs: number, stride: number, expansion: number) {
    super();
    const middle = inputs * expansion;
    this.#residual = stride === 1 && inputs === outputs;
    this.#conv = this.child(
      'conv',
      new Sequential([
        new Conv2d(inputs, middle, 1, { bias: false }),
        new BatchNorm(middle),
        new PReLU(middle),
        new Conv2d(middle, middle, 3, { stride, padding: 1, groups: middle, bias: false }),
        new BatchNorm(middle),
        new PReLU(middle),
        new Conv2d(middle, outputs, 1, { bias: false }),
        new BatchNorm(outputs),
      ]),
    );
  }

  override forward(x: Tensor): Tensor {
    const y = this.#conv.forward(x);
    return this.#residual ? add(x, y) : y;
  }
}

/**
 * MobileFaceNet with PReLU: Chen et al. 2018, "MobileFaceNets", arXiv 1804.07573. Parts are named as in the PyTorch
 * implementation whose weights are in wide use (`conv1`, `dw_conv1`, `blocks.K.conv.J`, `conv2`, `linear7`, `linear1`), so
 * that a state dict of it loads by name.
 */
export class MobileFaceNet extends Recognizer {
  readonly dimension = 128;
  /** All layers in order: two convs, the bottlenecks, the 1×1 conv, the depthwise conv over the whole map, the linear layer. */
  readonly parts: readonly Layer[];

  /** @param width and height in pixels, multiples of 16: 112×112 in the paper */
  constructor(
    readonly width = 96,
    readonly height = 112,
  ) {
    super();
    const blocks: Layer[] = [];
    let inputs = 64;
    for (const [t, c, n, s] of MOBILEFACENET_STAGES) {
      for (let k = 0; k < n; k++) {
        blocks.push(new Bottleneck(inputs, c, k === 0 ? s : 1, t));
        inputs = c;
      }
    }
    this.parts = [
      this.child('conv1', new ConvBlock(3, 64, 3, { stride: 2, padding: 1 })),
      this.child('dw_conv1', new ConvBlock(64, 64, 3, { padding: 1, groups: 64 })),
      ...this.child('blocks', new Sequential(blocks)).layers,
      this.child('conv2', new ConvBlock(inputs, 512, 1, {})),
      this.child('linear7', new ConvBlock(512, 512, [height / 16, width / 16], { groups: 512 }, false)),
      this.child('linear1', new ConvBlock(512, this.dimension, 1, {}, false)),
    ];
  }

  /**
   * The output of each part; the last one has the values of the embeddings.
   * @param x faces [N,H,W,3] in [0, 1]
   * @param given outputs of another such network: each part then takes the one before it, instead of this network's own
   * @returns [N,H/2,W/2,64], …, [N,1,1,128]
   * @throws ShapeError for faces or maps of another size
   */
  maps(x: Tensor, given?: readonly Tensor[]): Tensor[] {
    const maps: Tensor[] = [];
    for (const [k, part] of this.parts.entries()) {
      maps.push(part.forward(k === 0 ? this.normalize(x) : (given ?? maps)[k - 1]));
    }
    return maps;
  }

  protected override forward(x: Tensor): Tensor {
    return reshape(runInOrder(this.parts, x), [x.shape[0], this.dimension]);
  }
}
