import { ArgumentError } from '../common/errors.js';
import { BatchNorm } from '../nn/layers/batch-norm.js';
import { Residual, Sequential } from '../nn/layers/containers.js';
import { Conv2d } from '../nn/layers/conv.js';
import { Linear } from '../nn/layers/linear.js';
import { PReLU } from '../nn/layers/prelu.js';
import type { Layer } from '../nn/module.js';
import { reshape } from '../ops/layout.js';
import type { Tensor } from '../tensor/tensor.js';
import { Recognizer } from './recognizer.js';

export interface CameoFaceConfig {
  /** Size of a face in pixels; multiples of 16. */
  width: number;
  height: number;
  /** Values of an embedding. */
  dimension: number;
  /** Channels of the four stages, each of which halves the picture first. */
  channels: readonly [number, number, number, number];
  /** Residual units of each stage. */
  units: readonly [number, number, number, number];
  /** `depthwise` (if not given): a depthwise conv over the whole map and a linear layer. `full`: one linear layer of all its values. */
  head?: 'depthwise' | 'full';
}

const HEADS: unknown[] = [undefined, 'depthwise', 'full'];

export const DEFAULT_CAMEO_FACE: CameoFaceConfig = {
  width: 96,
  height: 112,
  dimension: 128,
  channels: [24, 48, 96, 192],
  units: [0, 1, 1, 1],
};

/** @throws ArgumentError that names the value that is out of range */
export function checkCameoFace(config: CameoFaceConfig): CameoFaceConfig {
  const check = (name: string, value: number, min: number, multiple = 1): void => {
    if (!Number.isInteger(value) || value < min || value > 4096 || value % multiple !== 0) {
      const kind = multiple > 1 ? `a multiple of ${multiple}` : 'an integer';
      throw new ArgumentError(`CameoFace: ${name} is ${value}; expected ${kind} from ${min} to 4096`);
    }
  };
  check('width', config.width, 16, 16);
  check('height', config.height, 16, 16);
  check('dimension', config.dimension, 1);
  for (const [name, min] of [
    ['channels', 1],
    ['units', 0],
  ] as const) {
    if (!Array.isArray(config[name]) || config[name].length !== 4) {
      throw new ArgumentError(`CameoFace: ${name} is ${JSON.stringify(config[name])}; expected four numbers`);
    }
    config[name].forEach((value, k) => {
      check(`${name}[${k}]`, value, min);
    });
  }
  if (!HEADS.includes(config.head)) {
    throw new ArgumentError(`CameoFace: head is ${JSON.stringify(config.head)}; expected depthwise or full`);
  }
  return config;
}

const convNormAct = (inputs: number, outputs: number, stride: number): Layer[] => [
  new Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false }),
  new BatchNorm(outputs),
  new PReLU(outputs),
];

/**
 * Our own small recogniser, meant to be trained on a CPU: 3×3 convs with batch norm and PReLU, as dense convs of step 1
 * are what this engine does fastest there; four stages and residual units as in Sphere20 (arXiv 1704.08063), and the head
 * of MobileFaceNet (arXiv 1804.07573): a depthwise conv over the whole map, then a linear layer, each with batch norm. The
 * other head is a linear layer of the whole map, as in Sphere20, with batch norm.
 */
export class CameoFace extends Recognizer {
  readonly config: CameoFaceConfig;
  readonly #layers: Sequential;
  /** The head of one linear layer: a layer and its batch norm. */
  readonly fullHead: { linear: Linear; norm: BatchNorm } | null;

  /** @throws ArgumentError */
  constructor(config: Partial<CameoFaceConfig> = {}) {
    super();
    this.config = checkCameoFace({ ...DEFAULT_CAMEO_FACE, ...config });
    const { width, height, dimension, channels, units } = this.config;
    const stages = channels.flatMap((outputs, k) => [
      ...convNormAct(k === 0 ? 3 : channels[k - 1], outputs, 2),
      ...Array.from(
        { length: units[k] },
        () => new Residual(new Sequential([...convNormAct(outputs, outputs, 1), ...convNormAct(outputs, outputs, 1)])),
      ),
    ]);
    const top = channels[3];
    const map = [height / 16, width / 16] as const;
    const full = this.config.head === 'full';
    const head = [
      new Conv2d(top, top, [...map], { groups: top, bias: false }),
      new BatchNorm(top),
      new Conv2d(top, dimension, 1, { bias: false }),
      new BatchNorm(dimension),
    ];
    this.#layers = this.child('layers', new Sequential(full ? stages : [...stages, ...head]));
    this.fullHead = full
      ? {
          linear: this.child('head', new Linear(map[0] * map[1] * top, dimension, { bias: false })),
          norm: this.child('headNorm', new BatchNorm(dimension)),
        }
      : null;
  }

  get width(): number {
    return this.config.width;
  }

  get height(): number {
    return this.config.height;
  }

  get dimension(): number {
    return this.config.dimension;
  }

  /**
   * What the head `full` takes: the values of the last map.
   * @param x faces [N,H,W,3] in [0, 1]
   * @returns [N, H/16 · W/16 · channels]
   */
  features(x: Tensor): Tensor {
    return this.#rows(this.normalize(x));
  }

  #rows(x: Tensor): Tensor {
    return reshape(this.#layers.forward(x), [x.shape[0], -1]);
  }

  protected override forward(x: Tensor): Tensor {
    const rows = this.#rows(x);
    return this.fullHead ? this.fullHead.norm.forward(this.fullHead.linear.forward(rows)) : rows;
  }
}
