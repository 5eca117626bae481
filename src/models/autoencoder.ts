import { ArgumentError } from '../common/errors.js';
import { filled } from '../nn/init.js';
import { BatchNorm } from '../nn/layers/batch-norm.js';
import { Residual, Sequential } from '../nn/layers/containers.js';
import { Conv2d, ConvTranspose2d } from '../nn/layers/conv.js';
import { PReLU } from '../nn/layers/prelu.js';
import { type Layer, Module } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import { add, mul, sub } from '../ops/binary.js';
import { logisticBits } from '../ops/bits.js';
import { quantize } from '../ops/quantize.js';
import { sum } from '../ops/reduce.js';
import { affine, clamp, exp } from '../ops/unary.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkGlobalConfig, type GlobalConfig, GlobalLayers } from './global-layers.js';

/** The sizes that determine the architecture; the metadata of a weights file holds them. */
export interface AutoencoderConfig {
  /** Picture size; each stage halves it, so both must be divisible by 2^stages. */
  height: number;
  width: number;
  /** Channels after each stride-2 conv of the encoder; the decoder mirrors them. */
  stages: number[];
  /** Channels of the compact representation. */
  latentChannels: number;
  /** Residual blocks at the smallest size, on each side. */
  residualBlocks: number;
  /** Number of rates that the one network serves, 0 the lowest. */
  rates: number;
  /** Linear layers, which the convs correct; 0 features, or absent as in earlier files: none. */
  global?: GlobalConfig;
}

export const DEFAULT_AUTOENCODER: AutoencoderConfig = {
  height: 112,
  width: 96,
  stages: [16, 32, 64, 128],
  latentChannels: 32,
  residualBlocks: 1,
  rates: 3,
  global: { features: 0, blocks: 0, importance: false },
};

/** Symbols are kept within a signed byte, so that an 8-bit picture can hold them. */
export const SYMBOL_RANGE = { min: -127, max: 127 } as const;

/** How values are rounded: noise for training, straight-through for fine-tuning, hard for encoding. */
export interface QuantizationMode {
  mode: 'noise' | 'straightThrough' | 'hard';
  seed?: number;
  /** A function is called in each run of a recorded step. */
  stream?: number | (() => number);
}

const normAct = (channels: number): Layer[] => [new BatchNorm(channels), new PReLU(channels)];

/** A layer that changes nothing until it is trained. */
const silent = { init: filled(0) };

function residualBlock(channels: number): Layer {
  return new Residual(
    new Sequential([
      new Conv2d(channels, channels, 3, { padding: 1, bias: false }),
      ...normAct(channels),
      new Conv2d(channels, channels, 3, { padding: 1, bias: false }),
      new BatchNorm(channels),
    ]),
  );
}

/**
 * The compression autoencoder. CompNet (`encoder`): stride-2 convs, each with batch norm and PReLU, then residual blocks
 * and a conv to the compact map; RecNet (`decoder`) mirrors it with stride-2 transposed convs. The framework is that of
 * Bian et al., arXiv 1907.01714; its layers are not public, so these are our own.
 *
 * With `global`, linear layers do most of the work (`GlobalLayers`): the encoder adds to the features of patches, and the
 * decoder to the picture that the transposed layers restore. Both start at 0.
 *
 * Faces are aligned, so the map has a mean for each position (`latentMean`), taken off before rounding. One network
 * serves several rates by a gain for each channel before rounding and its own inverse after (Cui et al., arXiv
 * 2003.02012). Rate estimates are those of a zero-mean logistic distribution for each rate and channel.
 */
export class Autoencoder extends Module {
  readonly config: AutoencoderConfig;
  readonly encoder: Sequential;
  readonly decoder: Sequential;
  readonly global: GlobalLayers | null;
  readonly latentMean: Parameter;
  /** Logarithms of the gains, of the inverse gains, and of the scales of the distributions, by rate: [C] each. */
  readonly logGain: Parameter[];
  readonly logInverseGain: Parameter[];
  readonly logScale: Parameter[];

  /** @throws ArgumentError for a configuration that describes no network */
  constructor(config: Partial<AutoencoderConfig> = {}) {
    super();
    this.config = checkConfig({ ...DEFAULT_AUTOENCODER, ...config });
    const { stages, latentChannels, residualBlocks, rates } = this.config;
    const global = this.config.global?.features ? this.config.global : null;
    const top = stages.at(-1)!;
    const [h, w] = this.latentSize;
    // What the convs make and restore: the compact map, or the features that it is made from.
    const inner = global?.features ?? latentChannels;
    const blocks = (): Layer[] => Array.from({ length: residualBlocks }, () => residualBlock(top));

    const down: Layer[] = stages.flatMap((channels, k) => {
      const kernel = k === 0 ? 5 : 3;
      const padding = (kernel - 1) / 2;
      const conv = new Conv2d(k === 0 ? 3 : stages[k - 1], channels, kernel, { stride: 2, padding, bias: false });
      return [conv, ...normAct(channels)];
    });
    this.encoder = this.child(
      'encoder',
      new Sequential([...down, ...blocks(), new Conv2d(top, inner, 3, { padding: 1, ...(global && silent) })]),
    );

    const up: Layer[] = [...stages].reverse().flatMap((channels, k) => {
      const last = k === stages.length - 1;
      const outputs = last ? 3 : stages[stages.length - 2 - k];
      const options = { stride: 2, padding: 1, bias: last, ...(global && last && silent) };
      const conv = new ConvTranspose2d(channels, outputs, 4, options);
      const fine =
        global && k === stages.length - 3 ? Array.from({ length: global.blocks }, () => residualBlock(outputs)) : [];
      return last ? [conv] : [conv, ...normAct(outputs), ...fine];
    });
    this.decoder = this.child(
      'decoder',
      new Sequential([new Conv2d(inner, top, 3, { padding: 1, bias: false }), ...normAct(top), ...blocks(), ...up]),
    );

    const patch = 2 ** stages.length;
    const linear = global && new GlobalLayers([h, w], patch, inner, latentChannels, global.importance);
    this.global = linear ? this.child('global', linear) : null;
    this.latentMean = this.parameter('latentMean', { shape: [h, w, latentChannels], init: filled(0) });
    const perRate = (name: string, value: (rate: number) => number): Parameter[] =>
      Array.from({ length: rates }, (_, rate) =>
        this.parameter(`${name}${rate}`, { shape: [latentChannels], init: filled(value(rate)) }),
      );
    // Each rate starts with steps 1.6 times finer than the one below.
    const start = (rate: number): number => 0.5 + 0.47 * rate;
    this.logGain = perRate('logGain', start);
    this.logInverseGain = perRate('logInverseGain', (rate) => -start(rate));
    this.logScale = perRate('logScale', (rate) => start(rate) - 0.5);
  }

  /** [height, width] of the compact map. */
  get latentSize(): [number, number] {
    const { height, width, stages } = this.config;
    return [height / 2 ** stages.length, width / 2 ** stages.length];
  }

  /**
   * Faces to the compact map before rounding, in units of the rate's steps: which `compress` quantizes.
   * @param x [N,H,W,3] in [0, 1]
   * @param rate index of the rate
   * @returns [N,h,w,C]
   */
  analyse(x: Tensor, rate: number): Tensor {
    this.#checkRate(rate);
    const centred = affine(x, 2, -1);
    let map = this.encoder.forward(centred);
    if (this.global) map = this.global.project(add(this.global.featuresOf(centred), map));
    return mul(sub(map, this.latentMean.tensor), exp(this.logGain[rate].tensor));
  }

  /**
   * Faces to symbols.
   * @param x [N,H,W,3] in [0, 1]
   * @param rate index of the rate
   * @returns [N,h,w,C]; integers in [−127, 127] unless the mode is noise
   */
  compress(x: Tensor, rate: number, quantization: QuantizationMode = { mode: 'hard' }): Tensor {
    return quantize(this.analyse(x, rate), { ...quantization, ...SYMBOL_RANGE });
  }

  /**
   * Symbols to faces.
   * @param symbols [N,h,w,C]
   * @returns [N,H,W,3], mostly within [0, 1]; `restore` clamps
   */
  reconstruct(symbols: Tensor, rate: number): Tensor {
    this.#checkRate(rate);
    const y = add(mul(symbols, exp(this.logInverseGain[rate].tensor)), this.latentMean.tensor);
    if (!this.global) return affine(this.decoder.forward(y), 0.5, 0.5);
    const features = this.global.featuresFrom(y);
    return affine(add(this.global.picturesFrom(features), this.decoder.forward(features)), 0.5, 0.5);
  }

  /** `reconstruct`, clamped to [0, 1], for viewing. */
  restore(symbols: Tensor, rate: number): Tensor {
    return clamp(this.reconstruct(symbols, rate), 0, 1);
  }

  /** Estimated bits of all symbols of the batch together, []. */
  bits(symbols: Tensor, rate: number): Tensor {
    this.#checkRate(rate);
    return sum(logisticBits(symbols, this.logScale[rate].tensor));
  }

  #checkRate(rate: number): void {
    if (!Number.isInteger(rate) || rate < 0 || rate >= this.config.rates) {
      throw new ArgumentError(`rate is ${rate}; this model has rates 0 to ${this.config.rates - 1}`);
    }
  }
}

function checkConfig(config: AutoencoderConfig): AutoencoderConfig {
  const { height, width, stages, latentChannels, residualBlocks, rates, global } = config;
  const positive = (name: string, value: number, max: number): void => {
    if (!Number.isInteger(value) || value < 1 || value > max) {
      throw new ArgumentError(`autoencoder: ${name} is ${value}; expected an integer from 1 to ${max}`);
    }
  };
  if (!Array.isArray(stages) || stages.length < 1 || stages.length > 6) {
    throw new ArgumentError(`autoencoder: stages is ${JSON.stringify(stages)}; expected 1 to 6 numbers of channels`);
  }
  for (const channels of stages) positive('a stage', channels, 4096);
  positive('latentChannels', latentChannels, 512);
  positive('rates', rates, 16);
  if (!Number.isInteger(residualBlocks) || residualBlocks < 0 || residualBlocks > 64) {
    throw new ArgumentError(`autoencoder: residualBlocks is ${residualBlocks}; expected an integer from 0 to 64`);
  }
  for (const [name, extent] of [
    ['height', height],
    ['width', width],
  ] as const) {
    positive(name, extent, 4096);
    if (extent % 2 ** stages.length !== 0) {
      throw new ArgumentError(`autoencoder: ${name} ${extent} is not divisible by 2^${stages.length}, its stages`);
    }
  }
  const positions = (height * width) / 4 ** stages.length;
  if (global?.features) checkGlobalConfig(global, latentChannels * positions, positions);
  return config;
}
