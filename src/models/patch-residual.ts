import { filled, heNormal } from '../nn/init.js';
import { Residual, Sequential } from '../nn/layers/containers.js';
import { Conv2d, ConvTranspose2d } from '../nn/layers/conv.js';
import { PReLU } from '../nn/layers/prelu.js';
import { Module } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import { add, broadcastTo, mul } from '../ops/binary.js';
import { isTapeRecording } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

export interface PatchResidualConfig {
  /** Channels at a quarter of the picture's size. */
  channels: number;
  /** Residual blocks of two 3×3 convs. */
  blocks: number;
}

const STRIDE = 4;

/**
 * A picture and a correction of it: patches of 4×4 pixels become vectors, residual blocks work on them, and a transposed
 * conv with overlapping 8×8 kernels adds the result to the picture. A learned vector for each position tells the convs
 * where in the aligned face they are, and one vector, times a number, tells them how finely the picture was quantized. The last
 * layer starts at 0, so an untrained net changes nothing. No batch norm: a picture must not depend on others.
 */
export class PatchResidual extends Module {
  readonly #in: Sequential;
  readonly #body: Sequential;
  readonly #out: ConvTranspose2d;
  readonly position: Parameter;
  readonly fineness: Parameter;

  constructor(height: number, width: number, { channels, blocks }: PatchResidualConfig) {
    super();
    const conv = (gain = 1): Conv2d =>
      new Conv2d(channels, channels, 3, { padding: 1, init: heNormal((9 * channels) / gain ** 2) });
    this.#in = this.child('in', new Sequential([new Conv2d(3, channels, STRIDE, { stride: STRIDE })]));
    this.position = this.parameter('position', {
      shape: [height / STRIDE, width / STRIDE, channels],
      init: filled(0),
    });
    // The name that the tensor has in weights files.
    this.fineness = this.parameter('coarseness', { shape: [channels], init: filled(0) });
    const block = (): Residual => new Residual(new Sequential([conv(), new PReLU(channels), conv(0.3)]));
    this.#body = this.child(
      'body',
      new Sequential([new PReLU(channels), ...Array.from({ length: blocks }, block), new PReLU(channels)]),
    );
    this.#out = this.child(
      'out',
      new ConvTranspose2d(channels, 3, 2 * STRIDE, { stride: STRIDE, padding: STRIDE / 2, init: filled(0) }),
    );
  }

  /**
   * @param x [N,H,W,3]
   * @param fineness one number, [1], or one for each picture, [N,1,1,1]
   * @returns [N,H,W,3]
   */
  forward(x: Tensor, fineness: Tensor): Tensor {
    const patches = this.#in.forward(x);
    const { tensor: position } = this.position;
    const finely = mul(this.fineness.tensor, fineness);
    // Without a gradient, one pass over the patches in place of two gives the same bits.
    const told = isTapeRecording()
      ? add(add(patches, position), finely)
      : broadcastTo('tell patches', 'x0 + x1 + x2', [patches, position, finely], patches.shape);
    return add(x, this.#out.forward(this.#body.forward(told)));
  }
}
