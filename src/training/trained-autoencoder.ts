import { latentsFromSymbols } from '../codec/latents.js';
import { packLatentsPng } from '../codec/png/container.js';
import { CheckpointError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { Autoencoder, SYMBOL_RANGE } from '../models/autoencoder.js';
import { readAutoencoder } from '../models/model-file.js';
import type { HostTensors } from '../nn/host-tensor.js';
import { add, mul } from '../ops/binary.js';
import { quantize } from '../ops/quantize.js';
import { sum } from '../ops/reduce.js';
import { affine } from '../ops/unary.js';
import type { Tensor } from '../tensor/tensor.js';
import { type AutoencoderTrainingConfig, checkAutoencoderTraining } from './autoencoder-config.js';
import { type CheckpointFormat, networkIn, parseCheckpoint } from './checkpoint.js';
import type { JointStage } from './joint-config.js';
import { PngRate } from './png-rate.js';
import { largestFirst, sortChannels } from './sort-channels.js';
import type { CodecPass, JointState, StepPlan, Tensors, TrainedCodec } from './trained-codec.js';

/** What is kept of a run beside parameters: the weight of the bits of each rate. */
interface AutoencoderState {
  rateWeights: number[];
}

/** The kind of checkpoint of the training without stages, which the shipped model had. */
export const EARLIER_AUTOENCODER_KEY = 'cameo.codec-checkpoint';

const FORMAT: CheckpointFormat<JointState<AutoencoderTrainingConfig>> = {
  key: 'cameo.autoencoder-checkpoint',
  training: 'autoencoder training',
  earlier: {
    [EARLIER_AUTOENCODER_KEY]:
      'a checkpoint of the earlier training of the autoencoder, which had no stages; a new run can begin with its model.safetensors (--from)',
  },
  check(state) {
    checkAutoencoderTraining(state.config);
    const { rateWeights } = (state.codec ?? {}) as Partial<AutoencoderState>;
    const fit = Array.isArray(rateWeights) && rateWeights.length === state.config.model.rates;
    if (!fit || !rateWeights.every((weight) => weight > 0)) {
      throw new CheckpointError(`step ${state.step}, rate weights [${rateWeights}]`);
    }
    return state;
  },
};
/** The weight of a bit for each pixel that a rate begins with, as a share of the squared error's weight. */
const FIRST_RATE_WEIGHT = 1 / 40;
/** Maximum change of a rate's weight in one visit, in natural-log units. */
const STEERING = 0.02;
/** Weight of the bits that fit the scales of the channels: small, for they change nothing else. */
const SCALE_WEIGHT = 1e-5;
/** What a bit is worth in squared errors of values, over the squared step: of high-resolution theory. */
const BIT_OVER_SQUARED_STEP = Math.LN2 / 6;
/** Faces of a step whose files are made. */
const MEASURED = 2;
const DECODER = /^(decoder\.|logInverseGain|logScale)/;

/** The training config that a checkpoint of the autoencoder was made with. @throws CheckpointError */
export const autoencoderConfigOf = (checkpoint: Uint8Array): AutoencoderTrainingConfig =>
  parseCheckpoint(FORMAT, checkpoint).state.config;

/** The network's weights in a model's file or in a checkpoint, with sorted channels. @throws CheckpointError */
export function autoencoderTensors(file: Uint8Array): HostTensors {
  const tensors = networkIn(FORMAT, file);
  return tensors ? sortChannels(autoencoderConfigOf(file).model, tensors) : readAutoencoder(file).tensors;
}

/**
 * Sizes of the PNG files of faces with the channels in the order of their mean magnitude, as a finished model has them.
 * @param symbols [N,h,w,C], integers
 * @param count of the N faces, the first ones
 */
export function pngBytes(symbols: Float32Array, shape: readonly number[], count: number): number[] {
  const [, h, w, c] = shape;
  const size = h * w * c;
  const magnitude = new Float64Array(c);
  symbols.forEach((symbol, i) => {
    magnitude[i % c] += Math.abs(symbol);
  });
  const order = largestFirst(magnitude);
  return Array.from({ length: count }, (_, n) => {
    const own = Array.from({ length: size }, (_, i) => symbols[n * size + i - (i % c) + order[i % c]]);
    return packLatentsPng(latentsFromSymbols(own, h, w, c), { modelId: '00000000', rate: 0 }).length;
  });
}

/**
 * The autoencoder in training. Step k trains rate k mod rates. The gradient of the bits is that of an estimate of PNG's size
 * (`PngRate`); the weight of a rate's bits is steered until real files have as many bytes as the rate's target.
 */
export class TrainedAutoencoder implements TrainedCodec<AutoencoderTrainingConfig> {
  readonly format = FORMAT;
  readonly network: Autoencoder;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly #png: PngRate;
  #rateWeights: number[];

  constructor(
    gpu: Gpu,
    readonly config: AutoencoderTrainingConfig,
  ) {
    checkAutoencoderTraining(config);
    const { rates } = config.model;
    this.network = new Autoencoder(config.model).initialize(gpu, config.seed);
    this.#png = new PngRate(gpu);
    this.#rateWeights = new Array(rates).fill(FIRST_RATE_WEIGHT * config.errorWeight);
    this.inputs = { errorWeight: [], rateWeight: [] };
  }

  /** Sets the weight of each rate's bits to what squared error asks for, where linear layers make the values. */
  async weighRates(): Promise<void> {
    const { network, config } = this;
    if (!network.global) return;
    for (const [rate, { tensor }] of network.logGain.entries()) {
      // Gains that keep symbols from being clipped are smaller than the others.
      const logGain = Math.max(...(await tensor.read()));
      // Pictures of −1 to 1 have 4 times the squared error, of 3 samples a pixel.
      this.#rateWeights[rate] = (config.errorWeight / 12) * BIT_OVER_SQUARED_STEP * Math.exp(-2 * logGain);
    }
  }

  trains(name: string, { train }: JointStage): boolean {
    return train === 'all' || DECODER.test(name);
  }

  enter({ train }: JointStage): void {
    this.network.train();
    // The encoder is finished then, and works as it will for files.
    if (train === 'decoder') this.network.encoder.eval();
  }

  /** The weight of a rate's bits. */
  rateWeight(rate: number): number {
    return this.#rateWeights[rate];
  }

  async plan(step: number): Promise<StepPlan> {
    const { model, batchSize, errorWeight } = this.config;
    const { height, width, rates } = model;
    const rate = step % rates;
    const inputs = {
      errorWeight: Float32Array.of(errorWeight),
      rateWeight: Float32Array.of(this.#rateWeights[rate] / (batchSize * height * width)),
    };
    return { setting: rate, recording: rate, inputs }; // each rate has gains of its own
  }

  pass(
    x: Tensor,
    inputs: Tensors,
    { quantization, train }: JointStage,
    { recording: rate, stream }: { recording: number; stream: () => number },
  ): CodecPass {
    const { network, config } = this;
    const mode = quantization as 'noise' | 'straightThrough';
    const values = network.analyse(x, rate);
    const symbols = quantize(values, { mode, seed: config.seed, stream, ...SYMBOL_RANGE });
    const restored = network.reconstruct(symbols, rate);
    const rounded = quantize(values, { mode: 'hard', ...SYMBOL_RANGE });
    const { bits, loss } = this.#png.bits(values);
    const scales = affine(network.bits(rounded, rate), SCALE_WEIGHT / config.batchSize);
    const rateLoss = train === 'all' ? add(mul(loss, inputs.rateWeight), scales) : scales;
    return { restored, bits: sum(bits), rateLoss, results: { symbols: rounded } };
  }

  async finish(
    { setting: rate }: StepPlan,
    { train }: JointStage,
    _bits: number,
    { symbols }: Tensors,
  ): Promise<number> {
    const { batchSize, targetBytes } = this.config;
    const sizes = pngBytes(await symbols.read(), symbols.shape, Math.min(MEASURED, batchSize));
    const bytes = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
    if (train === 'all') {
      const excess = Math.max(-1, Math.min(1, bytes / targetBytes[rate] - 1));
      this.#rateWeights[rate] *= Math.exp(STEERING * excess);
    }
    return bytes;
  }

  state(): AutoencoderState {
    return { rateWeights: this.#rateWeights };
  }

  restoreState(state: unknown): void {
    this.#rateWeights = [...(state as AutoencoderState).rateWeights];
  }

  dispose(): void {
    this.#png.dispose();
    this.network.dispose();
  }
}
