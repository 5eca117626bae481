import { ArgumentError, CheckpointError } from '../../common/errors.js';
import type { HostTensor, HostTensors } from '../../nn/host-tensor.js';
import { crc32 } from '../crc32.js';
import { latentSizeProblem } from '../latents.js';
import { MAX_EIGHTHS } from './fixed-point.js';
import { MEAN_UNITS, SCALE_COUNT, SHAPE_ENTRIES, SHAPE_HALF, shapeProblem } from './symbol-distribution.js';

/*
 * What encoder and decoder know about faces in general. It consists of integers only, and is frozen with the autoencoder whose
 * latents it describes.
 *
 * Quantization index qIndex makes y · 2^(gain[qIndex][c]/8) of the latent y of channel c, which an encoder rounds to a symbol, or to a
 * half step by dependent quantization. The model thinks of y
 * in units: 2^(unit[c]/8) of them make 1, fine enough for every qIndex. So one model serves all indices.
 *
 * Latents are coded channel by channel in the order `order`, each as its map row by row; "coding order" is the index in
 * that sequence, and the first axis of `mean`, `scale`, `shapeClass` and `referenceCount`.
 */

export const MAX_INDICES = 64;
/** 16 octaves */
export const MAX_GAIN = 128;
export const MAX_REFERENCES = 32;
/** Denominator of the weights of the prediction. */
export const WEIGHT_ONE = 4096;
/** Denominator of `predictionGain`. */
export const GAIN_ONE = 64;
/** Values in units are kept within ± this. */
export const MAX_UNITS = 1 << 22;
/** Shapes of a class, by scale: symbols that are mostly 0 see only the tails. */
export const SHAPE_BANDS = 4;
const BAND_STARTS = [0, 16, 28, 44];

/** Where the magnitudes of what is already decoded are gathered for the context; see latent-walk.ts. */
export const CONTEXT_SOURCES = 4;
/** Denominator of `contextWeights`. */
export const CONTEXT_WEIGHT_ONE = 64;
/** An expected magnitude of 1. */
export const CONTEXT_UNIT = 1024;
/** A magnitude is limited to this many times the expected one (or half a step). */
export const MAX_MAGNITUDE = 8 * CONTEXT_UNIT;
/** Columns of `contextTable`: how far, by the context, magnitudes are above the expected ones, in eighths of an octave. */
export const CONTEXT_BUCKETS = 49;
export const CONTEXT_MIDDLE = 24;
/** Rows of `contextTable`: octaves of the scale. */
export const CONTEXT_ROWS = SCALE_COUNT / 8;
/** `magnitudeExpected` is by scale and by the distance of the mean from the nearest integer, in 1/16. */
export const MAGNITUDE_OFFSETS = MEAN_UNITS / 2 + 1;
/** Denominator of `magnitudeWeight`, in {@link CONTEXT_UNIT}. */
export const MAGNITUDE_WEIGHT_ONE = 256;

/** In 1/16 of a step. Half a step farther in, where quantization is dependent, are the borders between half steps. */
export const MIN_DEAD_ZONE = -MEAN_UNITS / 2;
export const MAX_DEAD_ZONE = MEAN_UNITS - 1;

/** The band of a scale. */
export const bandOf: Uint8Array = /* @__PURE__ */ Uint8Array.from(
  { length: SCALE_COUNT },
  (_, k) => BAND_STARTS.filter((s) => s <= k).length - 1,
);

export interface LatentModelFields {
  height: number;
  width: number;
  channels: number;
  /** Number of quantization indices, from coarse to fine. */
  steps: number;
  /** [steps, channels] eighths of an octave */
  gain: Int32Array;
  /** [channels] eighths of an octave */
  unit: Int32Array;
  /** [channels] the channel that is coded first, second, … */
  order: Int32Array;
  /** [latents] in units */
  mean: Int32Array;
  /** [latents] eighths of an octave: the scale of the prediction's error, in units */
  scale: Int32Array;
  /** [latents] */
  shapeClass: Int32Array;
  /** [latents] how many entries of `references` and `weights` belong to a latent */
  referenceCount: Int32Array;
  /** Coding order of the earlier latents that predict a latent. */
  references: Int32Array;
  weights: Int32Array;
  /** [steps, channels] factor of the prediction */
  predictionGain: Int32Array;
  /** [steps, channels] eighths of an octave to add to the scale */
  scaleShift: Int32Array;
  /** [channels, CONTEXT_SOURCES] */
  contextWeights: Int32Array;
  /** [CONTEXT_SOURCES] imagined magnitudes that were as expected, in CONTEXT_UNIT */
  contextPrior: Int32Array;
  /** [CONTEXT_ROWS, CONTEXT_BUCKETS] eighths of an octave to add to the scale */
  contextTable: Int32Array;
  /** [SCALE_COUNT] */
  magnitudeWeight: Int32Array;
  /** [quantizers, SCALE_COUNT, MAGNITUDE_OFFSETS] in CONTEXT_UNIT */
  magnitudeExpected: Int32Array;
  /** [classes · SHAPE_BANDS, SHAPE_ENTRIES] */
  shapes: Int32Array;
  /**
   * [quantizers, 2, SCALE_COUNT] by the scale before the context adjusts it: how much farther from 0 than half a step,
   * one and a half, … the encoder has the border between 0 and ±1, and those beyond, in 1/16 of a step. With two
   * quantizers, quantization is dependent: see dependent.ts.
   */
  deadZone: Int32Array;
}

type Size = 'steps' | 'channels' | 'latents' | 'references' | 'shapes' | 'quantizers' | number;
type FieldName = {
  [K in keyof LatentModelFields]: LatentModelFields[K] extends Int32Array ? K : never;
}[keyof LatentModelFields];

/** Every field with its shape and the least and largest value that it may hold. The order is that of the hash. */
const FIELDS = /* @__PURE__ */ ((): readonly [name: FieldName, shape: Size[], min: number, max: number][] => [
  ['gain', ['steps', 'channels'], -MAX_GAIN, MAX_GAIN],
  ['unit', ['channels'], -4 * MAX_GAIN, 4 * MAX_GAIN],
  ['order', ['channels'], 0, 511],
  ['mean', ['latents'], -MAX_UNITS, MAX_UNITS],
  ['scale', ['latents'], -MAX_EIGHTHS, MAX_EIGHTHS],
  ['shapeClass', ['latents'], 0, 63],
  ['referenceCount', ['latents'], 0, MAX_REFERENCES],
  ['references', ['references'], 0, 65535],
  ['weights', ['references'], -8 * WEIGHT_ONE, 8 * WEIGHT_ONE],
  ['predictionGain', ['steps', 'channels'], 0, 4 * GAIN_ONE],
  ['scaleShift', ['steps', 'channels'], -128, 128],
  ['contextWeights', ['channels', CONTEXT_SOURCES], -1024, 1024],
  ['contextPrior', [CONTEXT_SOURCES], 1, 1 << 20],
  ['contextTable', [CONTEXT_ROWS, CONTEXT_BUCKETS], -SCALE_COUNT, SCALE_COUNT],
  ['magnitudeWeight', [SCALE_COUNT], 0, 1 << 20],
  ['magnitudeExpected', ['quantizers', SCALE_COUNT, MAGNITUDE_OFFSETS], 0, MAX_MAGNITUDE],
  ['shapes', ['shapes', SHAPE_ENTRIES], 0, SHAPE_HALF],
  ['deadZone', ['quantizers', 2, SCALE_COUNT], MIN_DEAD_ZONE, MAX_DEAD_ZONE],
])();
const DIMENSIONS = 'dimensions';

/** A model that has passed all checks: decoding any file with it stays within its arrays. */
export class LatentModel {
  readonly latents: number;
  /** 2 where quantization is dependent. */
  readonly quantizers: number;
  /** Where a latent's references begin; one more entry than latents. */
  readonly referenceStart: Int32Array;
  /** Binds files to this model: CRC-32 of all its integers, and of what it is bound to. */
  readonly id: number;
  /** All ids whose files this model reads: its own, then those of models with the same integers and more exact weights. */
  readonly ids: readonly number[];

  /**
   * @param boundTo CRC-32 of the weights that make and take the latents: the id depends on it, so that files of one
   *   autoencoder are not decoded by another that happens to have the same model
   * @param earlier the same of the weights that these were quantised from
   * @throws CheckpointError that names the field and what is wrong with it
   */
  constructor(
    readonly fields: Readonly<LatentModelFields>,
    boundTo = 0,
    earlier: readonly number[] = [],
  ) {
    const { height, width, channels, steps } = fields;
    const problem = latentSizeProblem(height, width, channels);
    if (problem) throw new CheckpointError(`latent model: ${problem}`);
    if (!Number.isInteger(steps) || steps < 1 || steps > MAX_INDICES) {
      throw new CheckpointError(`latent model: ${steps} quantization indices, must be 1 to ${MAX_INDICES}`);
    }
    this.latents = height * width * channels;
    this.quantizers = quantizersOf(fields);
    for (const [name, , min, max] of FIELDS) {
      const expected = sizesOf(fields)(name).reduce((a, b) => a * b, 1);
      if (fields[name].length !== expected) {
        throw new CheckpointError(`latent model: ${name} has ${fields[name].length} values, must have ${expected}`);
      }
      const wrong = fields[name].findIndex((value) => value < min || value > max);
      if (wrong >= 0) {
        const value = fields[name][wrong];
        throw new CheckpointError(`latent model: ${name}[${wrong}] is ${value}, must be from ${min} to ${max}`);
      }
    }
    this.referenceStart = checkReferences(fields, this.latents);
    checkOrder(fields);
    checkShapes(fields);
    checkDeadZone(fields);
    let crc = crc32(bytesOf(Int32Array.of(height, width, channels, steps)));
    for (const name of this.#named) crc = crc32(bytesOf(fields[name]), crc);
    const idOf = (weights: number): number => (weights === 0 ? crc : crc32(bytesOf(Int32Array.of(weights)), crc));
    this.id = idOf(boundTo);
    this.ids = [this.id, ...earlier.map(idOf)];
  }

  /** Fields that count for the id and are written; a model without dead zones has the id that it had before dead zones existed. */
  get #named(): FieldName[] {
    const names = FIELDS.map(([name]) => name);
    const none = this.quantizers === 1 && this.fields.deadZone.every((width) => width === 0);
    return none ? names.filter((name) => name !== 'deadZone') : names;
  }

  /** The id as messages show it: eight hexadecimal digits. */
  get idText(): string {
    return formatModelId(this.id);
  }

  /** @throws ArgumentError unless the model has quantization index `qIndex` */
  checkIndex(qIndex: number): void {
    const { steps } = this.fields;
    if (!Number.isInteger(qIndex) || qIndex < 0 || qIndex >= steps) {
      throw new ArgumentError(`quantization index is ${qIndex}, this model has 0 to ${steps - 1}`);
    }
  }

  /** The model for a safetensors file: all values are integers that float32 holds. */
  toTensors(): HostTensors {
    const { height, width, channels, steps } = this.fields;
    const tensors: HostTensors = new Map();
    tensors.set(DIMENSIONS, { shape: [4], data: Float32Array.of(height, width, channels, steps) });
    const shapeOf = sizesOf(this.fields);
    for (const name of this.#named) {
      const [first, ...rest] = shapeOf(name);
      const shape = name === 'magnitudeExpected' && first === 1 ? rest : [first, ...rest];
      tensors.set(name, { shape, data: Float32Array.from(this.fields[name]) });
    }
    return tensors;
  }

  /** @throws CheckpointError for tensors that are not those of a model, or contradict each other */
  static fromTensors(
    tensors: ReadonlyMap<string, HostTensor>,
    boundTo = 0,
    earlier: readonly number[] = [],
  ): LatentModel {
    const [height, width, channels, steps] = integers(tensors, DIMENSIONS);
    const fields: Partial<LatentModelFields> = { height, width, channels, steps };
    for (const [name] of FIELDS) {
      const none = name === 'deadZone' && !tensors.has(name);
      fields[name] = none ? new Int32Array(2 * SCALE_COUNT) : integers(tensors, name);
    }
    return new LatentModel(fields as LatentModelFields, boundTo, earlier);
  }
}

export function formatModelId(id: number): string {
  return id.toString(16).padStart(8, '0');
}

function integers(tensors: ReadonlyMap<string, HostTensor>, name: string): Int32Array {
  const tensor = tensors.get(name);
  if (!tensor) throw new CheckpointError(`latent model: the file lacks "${name}"`);
  const wrong = tensor.data.findIndex((value) => !Number.isInteger(value) || Math.abs(value) > 2 ** 24);
  if (wrong >= 0) throw new CheckpointError(`latent model: ${name}[${wrong}] is ${tensor.data[wrong]}, not an integer`);
  return Int32Array.from(tensor.data);
}

const quantizersOf = ({ deadZone }: Readonly<LatentModelFields>): number => (deadZone.length > 2 * SCALE_COUNT ? 2 : 1);

/** The shape of each field's tensor. */
function sizesOf(fields: Readonly<LatentModelFields>): (name: FieldName) => number[] {
  const { height, width, channels, steps } = fields;
  const sizes: Record<string, number> = {
    steps,
    channels,
    latents: height * width * channels,
    references: fields.references.length,
    shapes: Math.ceil(fields.shapes.length / SHAPE_ENTRIES),
    quantizers: quantizersOf(fields),
  };
  const shapes = new Map(
    FIELDS.map(([name, shape]) => [name, shape.map((size) => (typeof size === 'number' ? size : sizes[size]))]),
  );
  return (name) => shapes.get(name)!;
}

function checkReferences(fields: Readonly<LatentModelFields>, latents: number): Int32Array {
  const { referenceCount, references, weights } = fields;
  const start = new Int32Array(latents + 1);
  for (let o = 0; o < latents; o++) start[o + 1] = start[o] + referenceCount[o];
  if (start[latents] !== references.length || weights.length !== references.length) {
    throw new CheckpointError(
      `latent model: ${references.length} references and ${weights.length} weights, but counts sum up to ${start[latents]}`,
    );
  }
  for (let o = 0; o < latents; o++) {
    for (let r = start[o]; r < start[o + 1]; r++) {
      if (references[r] >= o) {
        throw new CheckpointError(`latent model: latent ${o} refers to ${references[r]}, which is not before it`);
      }
    }
  }
  return start;
}

/** Whether the borders of symbols are in order, and those next to 0 on either side of it. */
export const bordersInOrder = (inner: number, outer: number): boolean =>
  inner > MIN_DEAD_ZONE && inner - outer < MEAN_UNITS;

function checkDeadZone({ deadZone }: Readonly<LatentModelFields>): void {
  for (let at = 0; at < deadZone.length; at++) {
    if (Math.floor(at / SCALE_COUNT) % 2 === 1) continue;
    const [inner, outer] = [deadZone[at], deadZone[at + SCALE_COUNT]];
    if (!bordersInOrder(inner, outer)) {
      throw new CheckpointError(`latent model: deadZone[${at}] is ${inner}, and ${outer} beyond; borders cross`);
    }
  }
}

function checkOrder({ channels, order }: Readonly<LatentModelFields>): void {
  if (new Set(order).size !== channels || order.some((c) => c >= channels)) {
    throw new CheckpointError(`latent model: order must name each of ${channels} channels once`);
  }
}

function checkShapes({ shapes, shapeClass }: Readonly<LatentModelFields>): void {
  const count = shapes.length / SHAPE_ENTRIES;
  for (let k = 0; k < count; k++) {
    const problem = shapeProblem(shapes.subarray(k * SHAPE_ENTRIES, (k + 1) * SHAPE_ENTRIES));
    if (problem) throw new CheckpointError(`latent model: shape ${k} ${problem}`);
  }
  const max = shapeClass.reduce((a, b) => Math.max(a, b), 0);
  if (count < (max + 1) * SHAPE_BANDS) {
    throw new CheckpointError(
      `latent model: ${count} shapes; class ${max} needs ${(max + 1) * SHAPE_BANDS} (${SHAPE_BANDS} a class)`,
    );
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
