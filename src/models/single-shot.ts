import { ArgumentError, CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import { sizeOf } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkFiniteTensors, type HostTensors } from '../nn/host-tensor.js';
import type { Initializer } from '../nn/init.js';
import { Sequential } from '../nn/layers/containers.js';
import { Layer } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import { readSafetensors, readSafetensorsMetadata, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { add } from '../ops/binary.js';
import { conv2d } from '../ops/conv/conv.js';
import { concat, reshape } from '../ops/layout.js';
import { upsampleNearest } from '../ops/upsample.js';
import type { Tensor } from '../tensor/tensor.js';
import { convNormAct, convResidual } from './conv-blocks.js';
import { withoutRefiner } from './landmark-refiner.js';

/** Sizes of a single-shot detector. */
export interface SingleShotConfig {
  /** Channels at 1/2 and 1/4 of the picture's size. */
  stem: readonly [number, number];
  /** Channels at 1/8, 1/16 and 1/32. */
  width: number;
}

export const DEFAULT_SINGLE_SHOT: SingleShotConfig = { stem: [16, 24], width: 48 };

/** Pixels from a cell to the next, in each of the three maps. */
export const CELL_STRIDES = [8, 16, 32] as const;

/** Width and height of pictures are multiples of this. */
export const SINGLE_SHOT_MULTIPLE = 32;

/**
 * Values of a cell: the logit of a face; then its box, as centre (x, y) from the cell's own centre in strides, and the
 * logarithms of width and height in strides; then five landmarks (x, y), also from the cell's centre in strides.
 */
export const CELL_VALUES = 15;

/** The score logit that a network starts with: a face in one of 100 cells. Lin et al. 2017, arXiv 1708.02002, section 4.1. */
const FIRST_LOGIT = -4.6;

/** @throws ArgumentError that names the value that is out of range */
export function checkSingleShot(config: SingleShotConfig): SingleShotConfig {
  const { stem, width } = config;
  if (!Array.isArray(stem) || stem.length !== 2) {
    throw new ArgumentError(`detector: stem is ${JSON.stringify(stem)}; expected two numbers of channels`);
  }
  for (const [name, value] of [
    ['stem[0]', stem[0]] as const,
    ['stem[1]', stem[1]] as const,
    ['width', width] as const,
  ]) {
    if (!Number.isInteger(value) || value < 1 || value > 1024) {
      throw new ArgumentError(`detector: ${name} is ${JSON.stringify(value)}; expected an integer from 1 to 1024`);
    }
  }
  return config;
}

/**
 * A face detector that sees a picture once. It has features at strides 8, 16 and 32, with the coarse ones added to the finer
 * ones, and no anchors: each cell predicts whether there is a face, its box, and five landmarks. It resembles YuNet (Wu et al. 2023,
 * Machine Intelligence Research 20(5)), but has dense 3×3 convs, which this engine computes faster than depthwise ones,
 * each with batch norm and PReLU.
 *
 * [N,H,W,3] with (byte − 127.5)/128, H and W multiples of 32 → [N,cells,15], the maps one after the other, rows first:
 * see {@link CELL_VALUES}.
 */
export class SingleShotDetector extends Layer {
  readonly config: SingleShotConfig;
  readonly #stages: readonly Layer[];
  readonly #merges: readonly Layer[];
  readonly #heads: readonly Layer[];

  /** @throws ArgumentError */
  constructor(config: Partial<SingleShotConfig> = {}) {
    super();
    this.config = checkSingleShot({ ...DEFAULT_SINGLE_SHOT, ...config });
    const { stem, width } = this.config;
    const stages = [
      [
        ...convNormAct(3, stem[0], 2),
        ...convNormAct(stem[0], stem[1], 2),
        ...convNormAct(stem[1], width, 2),
        convResidual(width, 1),
      ],
      [...convNormAct(width, width, 2), convResidual(width, 2)],
      [...convNormAct(width, width, 2), convResidual(width, 2)],
    ];
    this.#stages = stages.map((layers, k) => this.child(`stage${k}`, new Sequential(layers)));
    this.#merges = [0, 1].map((k) => this.child(`merge${k}`, new Sequential(convNormAct(width, width))));
    this.#heads = CELL_STRIDES.map((_, k) => this.child(`head${k}`, new Head(width)));
  }

  override forward(x: Tensor): Tensor {
    const fine = this.#stages[0].forward(x);
    const middle = this.#stages[1].forward(fine);
    const coarse = this.#stages[2].forward(middle);
    const mergedMiddle = this.#merges[1].forward(add(middle, upsampleNearest(coarse, 2)));
    const mergedFine = this.#merges[0].forward(add(fine, upsampleNearest(mergedMiddle, 2)));
    return concat(
      [mergedFine, mergedMiddle, coarse].map((features, k) => this.#heads[k].forward(features)),
      1,
    );
  }
}

/** A 3×3 conv: [N,H,W,channels] → [N,H·W,15]. Parameters `weight` and `bias`. */
class Head extends Layer {
  readonly #weight: Parameter;
  readonly #bias: Parameter;

  constructor(channels: number) {
    super();
    const shape = [3, 3, channels, CELL_VALUES];
    this.#weight = this.parameter('weight', { shape, init: headWeights, layout: 'conv' });
    this.#bias = this.parameter('bias', { shape: [CELL_VALUES], init: headBias });
  }

  override forward(x: Tensor): Tensor {
    const [batch, height, width] = x.shape;
    const values = conv2d(x, this.#weight.tensor, this.#bias.tensor, { padding: 1 });
    return reshape(values, [batch, height * width, CELL_VALUES]);
  }
}

/** Small, so that the first scores are those of the bias: standard deviation 0.01. */
const headWeights: Initializer = (shape, random) =>
  Float32Array.from({ length: sizeOf(shape) }, () => 0.01 * random.normal());

const headBias: Initializer = ([size]) => Float32Array.from({ length: size }, (_, k) => (k === 0 ? FIRST_LOGIT : 0));

const KEY = 'cameo.detector';

/** A detector's weights as a safetensors file, with its sizes (and other text) in the metadata. */
export function writeSingleShot(
  config: SingleShotConfig,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return writeSafetensors(tensors, new Map(Object.entries({ ...metadata, [KEY]: JSON.stringify(config) })));
}

/** Whether a safetensors file is one that `writeSingleShot` made. @throws CheckpointError for no safetensors file */
export const isSingleShot = (bytes: Uint8Array): boolean => readSafetensorsMetadata(bytes).has(KEY);

/**
 * The detector of a file that `writeSingleShot` made, on a GPU and in evaluation mode.
 * @throws CheckpointError for a file that is damaged or of another network
 */
export function loadSingleShot(gpu: Gpu, bytes: Uint8Array): SingleShotDetector {
  const { tensors, metadata } = readSafetensors(bytes);
  const text = metadata.get(KEY);
  if (text === undefined) throw new CheckpointError(`not a detector: metadata "${KEY}" is missing`);
  checkFiniteTensors(tensors);
  const network = describedNetwork(text);
  loadState(network, withoutRefiner(tensors), gpu);
  network.eval();
  return network;
}

function describedNetwork(text: string): SingleShotDetector {
  try {
    return new SingleShotDetector(parseProgramJson(text, 'it') as SingleShotConfig);
  } catch (cause) {
    throw new CheckpointError(`metadata "${KEY}" describes no detector: ${(cause as Error).message}`, { cause });
  }
}
