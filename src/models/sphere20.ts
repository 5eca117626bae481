import { Residual, Sequential } from '../nn/layers/containers.js';
import { Conv2d } from '../nn/layers/conv.js';
import { Linear } from '../nn/layers/linear.js';
import { PReLU } from '../nn/layers/prelu.js';
import type { Layer } from '../nn/module.js';
import { reshape } from '../ops/layout.js';
import type { Tensor } from '../tensor/tensor.js';
import { Recognizer } from './recognizer.js';

/** Channels and residual units of the four stages, each of which halves the picture first. */
export const SPHERE20_STAGES: readonly (readonly [channels: number, units: number])[] = [
  [64, 1],
  [128, 2],
  [256, 4],
  [512, 1],
];

const convAct = (inputs: number, outputs: number, stride: number): Layer[] => [
  new Conv2d(inputs, outputs, 3, { stride, padding: 1 }),
  new PReLU(outputs),
];

/**
 * Sphere20, the 20-layer network of the SphereFace and CosFace papers: 3×3 convs with PReLU and residual units, no batch
 * norm, and a fully connected layer to 512 values. Liu et al. 2017, arXiv 1704.08063, table 2.
 */
export class Sphere20 extends Recognizer {
  readonly dimension: number;
  readonly stages: Sequential;
  readonly fc: Linear;

  /**
   * @param dimension number of values of an embedding
   * @param stages those of the paper, or narrower ones
   */
  constructor(
    dimension = 512,
    readonly width = 96,
    readonly height = 112,
    stages = SPHERE20_STAGES,
  ) {
    super();
    this.dimension = dimension;
    const layers = stages.flatMap(([channels, units], k) => [
      ...convAct(k === 0 ? 3 : stages[k - 1][0], channels, 2),
      ...Array.from(
        { length: units },
        () => new Residual(new Sequential([...convAct(channels, channels, 1), ...convAct(channels, channels, 1)])),
      ),
    ]);
    this.stages = this.child('stages', new Sequential(layers));
    const shrink = 2 ** stages.length;
    const [channels] = stages[stages.length - 1];
    this.fc = this.child('fc', new Linear(channels * (height / shrink) * (width / shrink), dimension));
  }

  protected override forward(x: Tensor): Tensor {
    const features = this.stages.forward(x);
    return this.fc.forward(reshape(features, [x.shape[0], features.size / x.shape[0]]));
  }
}
