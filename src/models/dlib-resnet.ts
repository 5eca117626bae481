import { Conv2d } from '../nn/layers/conv.js';
import { Linear } from '../nn/layers/linear.js';
import { Layer } from '../nn/module.js';
import { add, sub } from '../ops/binary.js';
import { pad } from '../ops/layout.js';
import { avgPool2d, maxPool2d } from '../ops/pool/pool.js';
import { mean } from '../ops/reduce.js';
import { relu } from '../ops/unary.js';
import { Tensor } from '../tensor/tensor.js';
import { Recognizer } from './recognizer.js';

/** Means of the RGB samples, as bytes, that are subtracted. */
const MEAN = [122.782, 117.001, 104.298];

/** x + conv(relu(conv(x))), then ReLU; parts `conv1` and `conv2`. */
class Unit extends Layer {
  protected readonly conv1: Conv2d;
  protected readonly conv2: Conv2d;

  constructor(inputs: number, outputs: number, stride: 1 | 2) {
    super();
    this.conv1 = this.child('conv1', new Conv2d(inputs, outputs, 3, { stride, padding: stride === 1 ? 1 : 0 }));
    this.conv2 = this.child('conv2', new Conv2d(outputs, outputs, 3, { padding: 1 }));
  }

  protected body(x: Tensor): Tensor {
    return this.conv2.forward(relu(this.conv1.forward(x)));
  }

  override forward(x: Tensor): Tensor {
    return relu(add(x, this.body(x)));
  }
}

/** A unit whose first conv halves the picture; its shortcut takes 2×2 averages and adds zeros for missing channels. */
class HalvingUnit extends Unit {
  constructor(inputs: number, outputs: number) {
    super(inputs, outputs, 2);
  }

  override forward(x: Tensor): Tensor {
    const y = this.body(x);
    const shortcut = avgPool2d(x, { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] });
    const [, h, w, c] = shortcut.shape;
    const [, yh, yw, yc] = y.shape;
    const padded = (tensor: Tensor, after: readonly number[]): Tensor =>
      after.some((zeros) => zeros > 0) ? pad(tensor, [0, 0, 0, 0], after) : tensor;
    return relu(add(padded(shortcut, [0, 0, 0, yc - c]), padded(y, [0, h - yh, w - yw, 0])));
  }
}

/** Units in order, by the names that the published weights have. */
const UNITS: readonly (readonly [name: string, inputs: number, outputs: number, halving: boolean])[] = [
  ['conv32_1', 32, 32, false],
  ['conv32_2', 32, 32, false],
  ['conv32_3', 32, 32, false],
  ['conv64_down', 32, 64, true],
  ['conv64_1', 64, 64, false],
  ['conv64_2', 64, 64, false],
  ['conv64_3', 64, 64, false],
  ['conv128_down', 64, 128, true],
  ['conv128_1', 128, 128, false],
  ['conv128_2', 128, 128, false],
  ['conv256_down', 128, 256, true],
  ['conv256_1', 256, 256, false],
  ['conv256_2', 256, 256, false],
  ['conv256_down_out', 256, 256, true],
];

/**
 * The face recognition ResNet of dlib (King 2017, "High quality face recognition with deep metric learning"), a smaller
 * ResNet-34 (He et al. 2015, arXiv 1512.03385) for faces of 150×150. Its affine layers are folded into the convs before.
 */
export class DlibResNet extends Recognizer {
  readonly width = 150;
  readonly height = 150;
  readonly dimension = 128;
  readonly #first: Conv2d;
  readonly #units: readonly Layer[];
  readonly #fc: Linear;

  constructor() {
    super();
    this.#first = this.child('conv32_down', new Conv2d(3, 32, 7, { stride: 2 }));
    this.#units = UNITS.map(([name, inputs, outputs, halving]) =>
      this.child(name, halving ? new HalvingUnit(inputs, outputs) : new Unit(inputs, outputs, 1)),
    );
    this.#fc = this.child('fc', new Linear(256, this.dimension, { bias: false }));
  }

  protected override normalize(x: Tensor): Tensor {
    const average = Tensor.from(
      x.gpu,
      MEAN.map((value) => value / 255),
      [3],
    );
    return sub(x, average);
  }

  protected override forward(x: Tensor): Tensor {
    const first = relu(this.#first.forward(x));
    const pooled = maxPool2d(first, { kernel: [3, 3], stride: [2, 2], padding: [0, 0, 0, 0] });
    const features = this.#units.reduce((y, unit) => unit.forward(y), pooled);
    return this.#fc.forward(mean(features, [1, 2]));
  }
}
