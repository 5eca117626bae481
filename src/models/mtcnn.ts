import type { Gpu } from '../gpu/gpu.js';
import { Conv2d } from '../nn/layers/conv.js';
import { Linear } from '../nn/layers/linear.js';
import { PReLU } from '../nn/layers/prelu.js';
import { fromPyTorchLayout } from '../nn/layout.js';
import { Layer, Module } from '../nn/module.js';
import { readSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { concat, reshape } from '../ops/layout.js';
import { maxPool2d } from '../ops/pool/pool.js';
import { transpose } from '../ops/transpose.js';
import type { Tensor } from '../tensor/tensor.js';

/*
 * The networks of MTCNN: Zhang et al. 2016, "Joint Face Detection and Alignment using Multitask Cascaded Convolutional
 * Networks", arXiv 1604.02878. They take RGB pixels as (byte − 127.5)/128. Parts are named as in facenet-pytorch, so that
 * its weights load by name.
 *
 * A row of results holds the logits of "no face" and "face"; then the shifts of its left, top, right and bottom, as shares
 * of the window's size; then, of the last network, five landmarks from the window's corner, also in window sizes: five x, five y.
 */

/** Zeros after an axis of `size` so that the last windows of a pooling, which may be cut off, count as well ("ceil mode"). */
const ceilPadding = (size: number, kernel: number, stride: number): number =>
  Math.ceil((size - kernel) / stride) * stride + kernel - size;

/** Max pooling whose last windows may reach over the border, where values never win. */
function maxPoolCeil(x: Tensor, kernel: number, stride: number): Tensor {
  const [, height, width] = x.shape;
  const padding = [0, ceilPadding(height, kernel, stride), 0, ceilPadding(width, kernel, stride)] as const;
  return maxPool2d(x, { kernel, stride, padding });
}

/** Feature maps [N,H,W,C] as rows, columns first, as the published weights expect them. */
function flattenColumns(x: Tensor): Tensor {
  const [batch, height, width, channels] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, height * width * channels]);
}

/** Base of the three: convs or dense layers with a PReLU each, by number. */
abstract class CascadeNet extends Layer {
  /** `convK` and `preluK`. */
  protected conv(k: number, inputs: number, outputs: number, kernel: number): (x: Tensor) => Tensor {
    return this.#withPRelu(k, this.child(`conv${k}`, new Conv2d(inputs, outputs, kernel)), outputs);
  }

  /** `denseK` and `preluK`. */
  protected dense(k: number, inputs: number, outputs: number): (x: Tensor) => Tensor {
    return this.#withPRelu(k, this.child(`dense${k}`, new Linear(inputs, outputs)), outputs);
  }

  #withPRelu(k: number, layer: Layer, outputs: number): (x: Tensor) => Tensor {
    const prelu = this.child(`prelu${k}`, new PReLU(outputs));
    return (x) => prelu.forward(layer.forward(x));
  }
}

/** Pixels of the window that each network looks at. */
export const WINDOWS = { proposal: 12, refine: 24, output: 48 } as const;
/** Pixels from a window of the first network to the next. */
export const PROPOSAL_STRIDE = 2;

/** P-Net: looks at every window of 12×12 pixels, 2 pixels apart. [N,H,W,3] → [N,⌈(H − 2)/2⌉ − 4,⌈(W − 2)/2⌉ − 4,6]. */
export class ProposalNet extends CascadeNet {
  readonly #conv1 = this.conv(1, 3, 10, 3);
  readonly #conv2 = this.conv(2, 10, 16, 3);
  readonly #conv3 = this.conv(3, 16, 32, 3);
  readonly #faces = this.child('conv4_1', new Conv2d(32, 2, 1));
  readonly #boxes = this.child('conv4_2', new Conv2d(32, 4, 1));

  override forward(x: Tensor): Tensor {
    const pooled = maxPoolCeil(this.#conv1(x), 2, 2);
    const features = this.#conv3(this.#conv2(pooled));
    return concat([this.#faces.forward(features), this.#boxes.forward(features)], 3);
  }
}

/** R-Net: [N,24,24,3] → [N,6]. */
export class RefineNet extends CascadeNet {
  readonly #conv1 = this.conv(1, 3, 28, 3);
  readonly #conv2 = this.conv(2, 28, 48, 3);
  readonly #conv3 = this.conv(3, 48, 64, 2);
  readonly #dense4 = this.dense(4, 576, 128);
  readonly #faces = this.child('dense5_1', new Linear(128, 2));
  readonly #boxes = this.child('dense5_2', new Linear(128, 4));

  override forward(x: Tensor): Tensor {
    const first = maxPoolCeil(this.#conv1(x), 3, 2);
    const second = maxPoolCeil(this.#conv2(first), 3, 2);
    const features = this.#dense4(flattenColumns(this.#conv3(second)));
    return concat([this.#faces.forward(features), this.#boxes.forward(features)], 1);
  }
}

/** O-Net: [N,48,48,3] → [N,16], with landmarks. */
export class OutputNet extends CascadeNet {
  readonly #conv1 = this.conv(1, 3, 32, 3);
  readonly #conv2 = this.conv(2, 32, 64, 3);
  readonly #conv3 = this.conv(3, 64, 64, 3);
  readonly #conv4 = this.conv(4, 64, 128, 2);
  readonly #dense5 = this.dense(5, 1152, 256);
  readonly #faces = this.child('dense6_1', new Linear(256, 2));
  readonly #boxes = this.child('dense6_2', new Linear(256, 4));
  readonly #landmarks = this.child('dense6_3', new Linear(256, 10));

  override forward(x: Tensor): Tensor {
    const first = maxPoolCeil(this.#conv1(x), 3, 2);
    const second = maxPoolCeil(this.#conv2(first), 3, 2);
    const third = maxPoolCeil(this.#conv3(second), 2, 2);
    const features = this.#dense5(flattenColumns(this.#conv4(third)));
    return concat(
      [this.#faces, this.#boxes, this.#landmarks].map((layer) => layer.forward(features)),
      1,
    );
  }
}

/** The three networks, with weights as one file: parts `pnet`, `rnet`, `onet`. */
export class Mtcnn extends Module {
  readonly proposal = this.child('pnet', new ProposalNet());
  readonly refine = this.child('rnet', new RefineNet());
  readonly output = this.child('onet', new OutputNet());
}

/**
 * The networks from a safetensors file in PyTorch's layouts, in evaluation mode.
 * @throws CheckpointError for a file that is damaged or of another network
 */
export function loadMtcnn(gpu: Gpu, bytes: Uint8Array): Mtcnn {
  const { tensors } = readSafetensors(bytes);
  const networks = new Mtcnn();
  loadState(networks, fromPyTorchLayout(networks, tensors), gpu);
  networks.eval();
  return networks;
}
