import { ArgumentError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { filled } from '../nn/init.js';
import { Module } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import { add, mul, sub } from '../ops/binary.js';
import { logisticBits } from '../ops/bits.js';
import { concat, reshape, slice } from '../ops/layout.js';
import { matmul } from '../ops/matmul/matmul.js';
import { quantize } from '../ops/quantize.js';
import { sum } from '../ops/reduce.js';
import { transpose } from '../ops/transpose.js';
import { affine, clamp, exp } from '../ops/unary.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { SYMBOL_RANGE } from './autoencoder.js';
import { type Band, columnTransform, rowTransform } from './cosine-basis.js';
import { PatchResidual, type PatchResidualConfig } from './patch-residual.js';
import { unitColumns } from './unit-columns.js';

/** The sizes that determine the architecture; the metadata of a weights file holds them. */
export interface KltConfig {
  height: number;
  width: number;
  /** Cosines kept of each plane; even numbers of columns. */
  band: Band;
  /** Components that are symmetric about the middle of the face, and antisymmetric ones. */
  components: readonly [number, number];
  /** The conv nets before the transform and after its inverse. */
  analysis: PatchResidualConfig;
  synthesis: PatchResidualConfig;
  /** Number of quantization indices: the step of each is 2^(1/8) finer than that of the one below. */
  steps: number;
}

export const DEFAULT_KLT: KltConfig = {
  height: 112,
  width: 96,
  band: { luma: [72, 60], chroma: [24, 20] },
  components: [1056, 992],
  analysis: { channels: 32, blocks: 1 },
  synthesis: { channels: 64, blocks: 2 },
  steps: 56,
};

/** What the six bits of a face's header hold. */
const MAX_INDICES = 64;

/** Quantization indices in an octave of the step. */
export const INDICES_PER_OCTAVE = 8;
/** What values multiply by at an index, or between two, over index 0. */
export const gainOf = (qIndex: number): number => 2 ** (qIndex / INDICES_PER_OCTAVE);
/** The gain of index 0: components are quantized to multiples of 4, in units of the range of a sample. */
const FIRST_GAIN = 0.25;

/** The quantization of a pass, as tensors, so that one recorded step works for every index. */
export interface QuantizationInputs {
  /** ln of the gain over that of index 0: [1], or [N,1] with an index for each face. */
  logGain: Tensor;
  /** The index from −1 to 1: [1], or [N,1,1,1]. */
  fineness: Tensor;
}

/** The inputs of a pass for one of `count` indices. @throws ArgumentError for an index that the model does not have */
export function quantizationInputs(qIndex: number, count: number): { logGain: number; fineness: number } {
  if (!Number.isInteger(qIndex) || qIndex < 0 || qIndex >= count) {
    throw new ArgumentError(`quantization index is ${qIndex}; this model has 0 to ${count - 1}`);
  }
  return { logGain: (qIndex * Math.LN2) / INDICES_PER_OCTAVE, fineness: (2 * qIndex) / (count - 1) - 1 };
}

/** Logistic scale of each component at index 0, in steps of that index. */
export const logisticScales = (logScale: Float32Array, logGain: Float32Array): Float64Array =>
  Float64Array.from(logScale, (value, k) => Math.exp(value + logGain[k]));

/** @throws ArgumentError that names the value that is out of range */
export function checkKltConfig(config: KltConfig): KltConfig {
  const check = (name: string, value: number, low: number, high: number, multiple = 1): void => {
    if (!Number.isInteger(value) || value < low || value > high || value % multiple !== 0) {
      const kind = multiple > 1 ? `a multiple of ${multiple}` : 'an integer';
      throw new ArgumentError(`KLT autoencoder: ${name} is ${value}; expected ${kind} from ${low} to ${high}`);
    }
  };
  const { height, width, band, components, analysis, synthesis, steps } = config;
  check('height', height, 8, 1024, 4);
  check('width', width, 8, 1024, 4);
  for (const plane of ['luma', 'chroma'] as const) {
    check(`band.${plane}[0]`, band?.[plane]?.[0], 1, height);
    check(`band.${plane}[1]`, band?.[plane]?.[1], 2, width, 2);
  }
  const half = halfSize(band);
  components.forEach((count, k) => {
    check(`components[${k}]`, count, 1, half);
  });
  for (const [name, net] of [
    ['analysis', analysis],
    ['synthesis', synthesis],
  ] as const) {
    check(`${name}.channels`, net?.channels, 1, 4096);
    check(`${name}.blocks`, net?.blocks, 0, 64);
  }
  const count = components[0] + components[1];
  if (count > 512 && count % 8 !== 0) {
    // They are coded in equal groups, of at most 512 components.
    throw new ArgumentError(
      `KLT autoencoder: ${count} components; expected a multiple of 8 where there are more than 512`,
    );
  }
  check('steps', steps, 2, MAX_INDICES);
  return config;
}

/** Number of cosine coefficients of the symmetric part of a face; the antisymmetric part has as many. */
const halfSize = ({ luma, chroma }: Band): number => (luma[0] * luma[1]) / 2 + chroma[0] * chroma[1];

/**
 * The compression autoencoder for files of a few hundred bytes. CompNet: a conv net corrects the picture, which is then
 * projected on the principal components of aligned faces (the Karhunen-Loève transform, Turk and Pentland 1991, "Eigenfaces
 * for recognition"). These are found in a band of cosines, separately for the left-right symmetric and the antisymmetric part
 * of the face: a mirrored face is a face, so the two parts are uncorrelated, and each component needs half the weights.
 * RecNet: the inverse transform and a deeper conv net, which restores more than a linear transform of so few bytes can. Each
 * component has a learned gain. All share one quantization step, and indices are a factor of 2^(1/8) apart, so one network
 * works for every file size.
 */
export class KltAutoencoder extends Module {
  readonly config: KltConfig;
  /** Mean of the symmetric cosine coefficients; the antisymmetric ones have mean 0. */
  readonly mean: Parameter;
  /** Orthonormal columns: [cosines, components] of each half. */
  readonly basis: readonly [Parameter, Parameter];
  readonly analysisNet: PatchResidual;
  readonly synthesisNet: PatchResidual;
  /** For each component, ln of the gain before rounding at index 0, of a correction after it, and of a logistic scale. */
  readonly logGain: Parameter;
  readonly logRestore: Parameter;
  readonly logScale: Parameter;
  #constants: { row: Tensor; luma: Tensor; chroma: Tensor } | null = null;

  /** @throws ArgumentError for a configuration that describes no network */
  constructor(config: Partial<KltConfig> = {}) {
    super();
    this.config = checkKltConfig({ ...DEFAULT_KLT, ...config });
    const { height, width, band, components, analysis, synthesis } = this.config;
    const half = halfSize(band);
    this.mean = this.buffer('mean', { shape: [half], init: filled(0) });
    this.basis = [
      this.buffer('symmetric', { shape: [half, components[0]], init: unitColumns }),
      this.buffer('antisymmetric', { shape: [half, components[1]], init: unitColumns }),
    ];
    this.analysisNet = this.child('analysis', new PatchResidual(height, width, analysis));
    this.synthesisNet = this.child('synthesis', new PatchResidual(height, width, synthesis));
    const shape = [this.latentCount];
    this.logGain = this.parameter('logGain', { shape, init: filled(Math.log(FIRST_GAIN)) });
    this.logRestore = this.parameter('logRestore', { shape, init: filled(0) });
    this.logScale = this.parameter('logScale', { shape, init: filled(-1) });
  }

  /** Symbols of a face. */
  get latentCount(): number {
    return this.config.components[0] + this.config.components[1];
  }

  /** Uploads constants of the configuration; needed once, before any pass. */
  prepare(gpu: Gpu): this {
    if (this.#constants) return this;
    const { height, width, band } = this.config;
    const columns = band.luma[1] + 2 * band.chroma[1];
    const column = (count: number): Tensor => keep(Tensor.from(gpu, columnTransform(height, count), [height, count]));
    this.#constants = {
      row: keep(Tensor.from(gpu, rowTransform(width, band), [width * 3, columns])),
      luma: column(band.luma[0]),
      chroma: column(band.chroma[0]),
    };
    return this;
  }

  override initialize(gpu: Gpu, seed: number): this {
    this.prepare(gpu);
    return super.initialize(gpu, seed);
  }

  /** Tensors that files do not hold. */
  constantTensors(): Tensor[] {
    return Object.values(this.#ready());
  }

  override dispose(): void {
    for (const tensor of Object.values(this.#constants ?? {})) tensor.dispose();
    this.#constants = null;
    super.dispose();
  }

  #ready() {
    if (!this.#constants) throw new ArgumentError('KLT autoencoder: call prepare(gpu) or initialize(gpu, seed) first');
    return this.#constants;
  }

  /**
   * Cosine coefficients of pictures: those of the symmetric part and those of the antisymmetric part.
   * @param x [N,H,W,3]
   * @returns two of [N, cosines]
   */
  cosines(x: Tensor): [Tensor, Tensor] {
    const { height, width, band } = this.config;
    const { row, luma, chroma } = this.#ready();
    const n = x.shape[0];
    const [lumaColumns, chromaColumns] = [band.luma[1], 2 * band.chroma[1]];
    const rows = matmul(reshape(x, [n * height, width * 3]), row);
    const planes = transpose(reshape(rows, [n, height, -1]), [0, 2, 1]);
    const transform = (first: number, columns: number, basis: Tensor): Tensor => {
      const part = slice(planes, [0, first, 0], [n, columns, height]);
      return reshape(matmul(reshape(part, [n * columns, height]), basis), [n, -1]);
    };
    const grey = transform(0, lumaColumns, luma);
    const colour = transform(lumaColumns, chromaColumns, chroma);
    const halves = (all: Tensor, odd: number): Tensor =>
      slice(all, [0, (odd * all.shape[1]) / 2], [n, all.shape[1] / 2]);
    return [concat([halves(grey, 0), halves(colour, 0)], 1), concat([halves(grey, 1), halves(colour, 1)], 1)];
  }

  /** The inverse of `cosines`; coefficients outside the band are 0. */
  fromCosines([symmetric, antisymmetric]: readonly [Tensor, Tensor]): Tensor {
    const { height, width, band } = this.config;
    const { row, luma, chroma } = this.#ready();
    const n = symmetric.shape[0];
    const greyHalf = (band.luma[0] * band.luma[1]) / 2;
    const restore = (first: number, size: number, columns: number, basis: Tensor): Tensor => {
      const halves = [symmetric, antisymmetric].map((half) => slice(half, [0, first], [n, size]));
      const all = reshape(concat(halves, 1), [n * columns, -1]);
      return reshape(matmul(all, basis, { transposeB: true }), [n, columns, height]);
    };
    const grey = restore(0, greyHalf, band.luma[1], luma);
    const colour = restore(greyHalf, band.chroma[0] * band.chroma[1], 2 * band.chroma[1], chroma);
    const planes = reshape(transpose(concat([grey, colour], 1), [0, 2, 1]), [n * height, -1]);
    return reshape(matmul(planes, row, { transposeB: true }), [n, height, width, 3]);
  }

  /**
   * Faces to components, in units of the range of a sample.
   * @param x [N,H,W,3] in [0, 1]
   * @returns [N, components]
   */
  components(x: Tensor, { fineness }: QuantizationInputs): Tensor {
    const [symmetric, antisymmetric] = this.cosines(this.analysisNet.forward(affine(x, 1, -0.5), fineness));
    return concat(
      [matmul(sub(symmetric, this.mean.tensor), this.basis[0].tensor), matmul(antisymmetric, this.basis[1].tensor)],
      1,
    );
  }

  /** Gain of each component at an index, [components]. */
  #gain({ logGain }: QuantizationInputs): Tensor {
    return exp(add(this.logGain.tensor, logGain));
  }

  /** Faces to the values that are rounded to symbols: [N, components]. */
  analyse(x: Tensor, at: QuantizationInputs): Tensor {
    return mul(this.components(x, at), this.#gain(at));
  }

  /** As `analyse`, but always in steps of index 0; only the conv net uses the index. */
  analyseAtFirst(x: Tensor, at: QuantizationInputs): Tensor {
    return mul(this.components(x, at), exp(this.logGain.tensor));
  }

  /**
   * Values with which `reconstruct` comes closer to the pictures in squared error: it adds the components of what is missing.
   * The values of `analyseAtFirst` also serve recognisers, which costs squared error.
   * @param values [N, components], as of `analyseAtFirst`
   * @returns the same
   */
  refineAtFirst(x: Tensor, values: Tensor, { fineness }: QuantizationInputs): Tensor {
    const restore = sub(this.logRestore.tensor, this.logGain.tensor);
    const restored = this.synthesisNet.forward(this.fromComponents(mul(values, exp(restore))), fineness);
    const [symmetric, antisymmetric] = this.cosines(sub(affine(x, 1, -0.5), restored));
    const missing = concat([matmul(symmetric, this.basis[0].tensor), matmul(antisymmetric, this.basis[1].tensor)], 1);
    return add(values, mul(missing, exp(sub(this.logGain.tensor, this.logRestore.tensor))));
  }

  /** Values to symbols. */
  quantize(values: Tensor, mode: { mode: 'noise' | 'straightThrough' | 'hard'; seed?: number; stream?: () => number }) {
    return quantize(values, { ...mode, ...SYMBOL_RANGE });
  }

  /**
   * Symbols to faces.
   * @param symbols [N, components]; with dependent quantization, their reconstruction values
   * @returns [N,H,W,3], mostly within [0, 1]; `restore` clamps
   */
  reconstruct(symbols: Tensor, at: QuantizationInputs): Tensor {
    return affine(this.reconstructAroundZero(symbols, at), 1, 0.5);
  }

  /** `reconstruct` minus 0.5. */
  reconstructAroundZero(symbols: Tensor, at: QuantizationInputs): Tensor {
    const own = sub(this.logRestore.tensor, add(this.logGain.tensor, at.logGain));
    return this.synthesisNet.forward(this.fromComponents(mul(symbols, exp(own))), at.fineness);
  }

  /** Components to pictures around 0, without the conv net. */
  fromComponents(y: Tensor): Tensor {
    const n = y.shape[0];
    const [first, second] = this.config.components;
    const symmetric = matmul(slice(y, [0, 0], [n, first]), this.basis[0].tensor, { transposeB: true });
    const antisymmetric = matmul(slice(y, [0, first], [n, second]), this.basis[1].tensor, { transposeB: true });
    return this.fromCosines([add(symmetric, this.mean.tensor), antisymmetric]);
  }

  /** `reconstruct`, clamped to [0, 1], for viewing. */
  restore(symbols: Tensor, at: QuantizationInputs): Tensor {
    return clamp(this.reconstruct(symbols, at), 0, 1);
  }

  /** Estimated bits of all symbols of the batch together, []. */
  bits(symbols: Tensor, at: QuantizationInputs): Tensor {
    const scale = add(this.logScale.tensor, add(this.logGain.tensor, at.logGain));
    return sum(logisticBits(symbols, scale));
  }
}
