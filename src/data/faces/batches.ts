import { ArgumentError } from '../../common/errors.js';
import { CounterRandom } from '../../common/random.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import {
  checkDegradation,
  DEGRADATION_WORDS,
  type Degradation,
  degrade,
  planDegradation,
} from '../pictures/degrade.js';
import type { FaceEntry } from './face-listing.js';
import { FACE_BYTES } from './face-pack.js';

/** Random changes of training faces. A value of 0 (false) switches a change off. */
export interface Augmentation {
  /** mirror left and right, every second time on average */
  flip: boolean;
  /** shift by up to this many pixels each way, edge pixels repeated */
  shift: number;
  /** add up to ± this to all pixels, in units of the range [0, 1] */
  brightness: number;
  /** multiply the distance from mid-grey by a factor from 1 − this to 1 + this */
  contrast: number;
  /** turn about the centre by up to this many degrees each way, sampled bilinearly, edge pixels repeated */
  rotate: number;
  /** enlarge or reduce about the centre by a factor of up to 1 ± this */
  scale: number;
}

export const DEFAULT_AUGMENTATION: Augmentation = {
  flip: true,
  shift: 2,
  brightness: 0.04,
  contrast: 0.08,
  rotate: 0,
  scale: 0,
};
export const NO_AUGMENTATION: Augmentation = { flip: false, shift: 0, brightness: 0, contrast: 0, rotate: 0, scale: 0 };

/** Faces by index: a FaceSet, or faces that are made when they are asked for. */
export interface FaceSource {
  readonly count: number;
  /** RGB bytes of 112×96 of each. */
  batch(indices: ArrayLike<number>): Promise<Uint8Array[]>;
}

export interface FaceBatchesOptions {
  /** faces in the set */
  count: number;
  batchSize: number;
  /** unsigned 32-bit integer */
  seed: number;
  /** what differs from DEFAULT_AUGMENTATION */
  augment?: Partial<Augmentation>;
  /** How often faces are degraded; never when absent. */
  degrade?: Degradation;
  /**
   * Relative frequencies of the faces: `count` numbers ≥ 0. With weights, faces are drawn independently; without, each comes
   * once in an epoch.
   */
  weights?: ArrayLike<number>;
}

/** Which faces make up the batch of one step, and how each is changed. */
export interface BatchPlan {
  step: number;
  /** completed passes through the set before the batch's first face (with weights: as many as it would have been) */
  epoch: number;
  indices: Uint32Array;
  flip: boolean[];
  /** shift to the right and downwards, pixels */
  dx: Int32Array;
  dy: Int32Array;
  brightness: Float64Array;
  contrast: Float64Array;
  /** turn, radians */
  angle: Float64Array;
  /** enlargement about the centre */
  scale: Float64Array;
}

/** Streams of the seed used here; those of other uses of the same seed must differ. */
const SHUFFLE_STREAM = 0x40000000; // plus the epoch
const DRAW_STREAM = 0x80000000;
const AUGMENT_STREAM = 0x80000001;
const DEGRADE_STREAM = 0x80000002;
const MAX_EPOCH = 0x3fffffff;
/** Words of the random sequence reserved for each face drawn. */
const WORDS_PER_FACE = 8;

/**
 * Batches of faces in random order with random changes. The batch of a step depends on seed and step alone, so that
 * training which resumes at a step sees what it would have seen without the interruption.
 *
 * The order is that of one endless sequence of epochs, each a Fisher–Yates shuffle of the set; batch k takes items
 * k·batchSize … (k + 1)·batchSize − 1, so a batch can reach over the end of an epoch and none is smaller.
 *
 * @throws ArgumentError for options out of range
 */
export class FaceBatches {
  readonly count: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly augment: Augmentation;
  readonly degrade: Degradation | undefined;
  readonly #cumulative: Float64Array | undefined;
  /** Orders of the last epochs asked for; a batch needs more than one at an epoch's end. */
  readonly #orders = new Map<number, Uint32Array>();

  constructor({ count, batchSize, seed, augment, degrade, weights }: FaceBatchesOptions) {
    checkInteger('count', count, 1, 2 ** 32);
    checkInteger('batchSize', batchSize, 1, 2 ** 20);
    checkInteger('seed', seed, 0, 2 ** 32 - 1);
    this.count = count;
    this.batchSize = batchSize;
    this.seed = seed;
    this.augment = { ...DEFAULT_AUGMENTATION, ...augment };
    checkInteger('augment.shift', this.augment.shift, 0, FACE_WIDTH - 1);
    checkFraction('augment.brightness', this.augment.brightness);
    checkFraction('augment.contrast', this.augment.contrast);
    if (!(this.augment.rotate >= 0 && this.augment.rotate <= 45)) {
      throw new ArgumentError(`FaceBatches: augment.rotate is ${this.augment.rotate}; expected 0 to 45 degrees`);
    }
    if (!(this.augment.scale >= 0 && this.augment.scale <= 0.5)) {
      throw new ArgumentError(`FaceBatches: augment.scale is ${this.augment.scale}; expected 0 to 0.5`);
    }
    this.degrade = degrade && checkDegradation(degrade);
    if (weights) this.#cumulative = cumulate(weights, count);
  }

  /**
   * The batch of global step `step` (from 0).
   * @throws ArgumentError for a step that is not an integer ≥ 0
   */
  plan(step: number): BatchPlan {
    checkInteger('step', step, 0, Math.floor(Number.MAX_SAFE_INTEGER / (WORDS_PER_FACE * this.batchSize)) - 1);
    const n = this.batchSize;
    const first = step * n;
    const plan: BatchPlan = {
      step,
      epoch: Math.floor(first / this.count),
      indices: new Uint32Array(n),
      flip: new Array(n).fill(false),
      dx: new Int32Array(n),
      dy: new Int32Array(n),
      brightness: new Float64Array(n),
      contrast: new Float64Array(n).fill(1),
      angle: new Float64Array(n),
      scale: new Float64Array(n),
    };
    const { flip, shift, brightness, contrast, rotate, scale } = this.augment;
    for (let i = 0; i < n; i++) {
      plan.indices[i] = this.#index(first + i);
      // Every number is drawn, used or not, so that switching one change off does not affect the others.
      const random = new CounterRandom(this.seed, AUGMENT_STREAM, (first + i) * WORDS_PER_FACE);
      const draws = Array.from({ length: 7 }, () => random.uniform());
      plan.flip[i] = flip && draws[0] < 0.5;
      plan.dx[i] = Math.floor(draws[1] * (2 * shift + 1)) - shift;
      plan.dy[i] = Math.floor(draws[2] * (2 * shift + 1)) - shift;
      plan.brightness[i] = (2 * draws[3] - 1) * brightness;
      plan.contrast[i] = 1 + (2 * draws[4] - 1) * contrast;
      plan.angle[i] = ((2 * draws[5] - 1) * rotate * Math.PI) / 180;
      plan.scale[i] = 1 + (2 * draws[6] - 1) * scale;
    }
    return plan;
  }

  /**
   * The pixels of the batch of a step: float32 [batchSize, 112, 96, 3] in [0, 1]; and its faces as they are in the set, in bytes.
   * @throws ImageError when the set has no readable face; ArgumentError when its count differs from that given here
   */
  async load(
    faces: FaceSource,
    step: number,
  ): Promise<{ plan: BatchPlan; images: Float32Array; originals: readonly Uint8Array[] }> {
    if (faces.count !== this.count) {
      throw new ArgumentError(`FaceBatches: a set of ${faces.count} faces; expected ${this.count}`);
    }
    const plan = this.plan(step);
    const originals = await faces.batch(plan.indices);
    return { plan, images: assembleBatch(await this.#degraded(originals, step), plan), originals };
  }

  async #degraded(faces: readonly Uint8Array[], step: number): Promise<readonly Uint8Array[]> {
    const { degrade: options, seed, batchSize } = this;
    if (!options) return faces;
    return Promise.all(
      faces.map((face, i) => {
        const random = new CounterRandom(seed, DEGRADE_STREAM, (step * batchSize + i) * DEGRADATION_WORDS);
        return degrade(face, planDegradation(options, random));
      }),
    );
  }

  #index(position: number): number {
    if (this.#cumulative) {
      const random = new CounterRandom(this.seed, DRAW_STREAM, position * WORDS_PER_FACE);
      return drawWeighted(this.#cumulative, random);
    }
    return this.#order(Math.floor(position / this.count))[position % this.count];
  }

  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      checkInteger('epoch', epoch, 0, MAX_EPOCH);
      order = Uint32Array.from({ length: this.count }, (_, i) => i);
      new CounterRandom(this.seed, SHUFFLE_STREAM + epoch).shuffle(order);
      if (this.#orders.size >= 2) this.#orders.delete(this.#orders.keys().next().value!);
      this.#orders.set(epoch, order);
    }
    return order;
  }
}

/**
 * Weights for FaceBatches by the source of each face: faces of a source that is not named get 1.
 * @throws ArgumentError for a source that no face has, probably a misspelt name
 */
export function sourceWeights(entries: readonly FaceEntry[], bySource: Readonly<Record<string, number>>): Float64Array {
  const known = new Set(entries.map((entry) => entry.source));
  for (const source of Object.keys(bySource)) {
    if (!known.has(source)) {
      throw new ArgumentError(
        `sourceWeights: no face of source "${source}"; the set has ${[...known].sort().join(', ')}`,
      );
    }
  }
  return Float64Array.from(entries, ({ source }) => (Object.hasOwn(bySource, source) ? bySource[source] : 1));
}

/**
 * Faces as bytes (112·96·3 each) to float32 [faces, 112, 96, 3] in [0, 1], changed as the plan says.
 * @throws ArgumentError when the number of faces or their size does not fit
 */
export function assembleBatch(faces: readonly Uint8Array[], plan: BatchPlan): Float32Array {
  if (faces.length !== plan.indices.length) {
    throw new ArgumentError(`assembleBatch: ${faces.length} faces; expected ${plan.indices.length}`);
  }
  const out = new Float32Array(faces.length * FACE_BYTES);
  const levels = new Float32Array(256);
  faces.forEach((face, i) => {
    if (face.length !== FACE_BYTES) {
      throw new ArgumentError(`assembleBatch: face ${i} has ${face.length} bytes; expected ${FACE_BYTES}`);
    }
    for (let v = 0; v < 256; v++) {
      const changed = (v / 255 - 0.5) * plan.contrast[i] + 0.5 + plan.brightness[i];
      levels[v] = Math.min(1, Math.max(0, changed));
    }
    const target = out.subarray(i * FACE_BYTES, (i + 1) * FACE_BYTES);
    const move = { flip: plan.flip[i], dx: plan.dx[i], dy: plan.dy[i], angle: plan.angle[i], scale: plan.scale[i] };
    if (move.angle === 0 && move.scale === 1) copyFace(face, target, levels, move);
    else turnFace(face, target, levels, move);
  });
  return out;
}

/** How one face of a batch is moved: as in BatchPlan. */
interface Move {
  flip: boolean;
  dx: number;
  dy: number;
  angle: number;
  scale: number;
}

/** A face that is not turned, pixel by pixel. */
function copyFace(face: Uint8Array, out: Float32Array, levels: Float32Array, { flip, dx, dy }: Move): void {
  for (let y = 0, at = 0; y < FACE_HEIGHT; y++) {
    const row = clampIndex(y - dy, FACE_HEIGHT) * FACE_WIDTH;
    for (let x = 0; x < FACE_WIDTH; x++) {
      const column = clampIndex(x - dx, FACE_WIDTH);
      const from = (row + (flip ? FACE_WIDTH - 1 - column : column)) * 3;
      for (let c = 0; c < 3; c++) out[at++] = levels[face[from + c]];
    }
  }
}

/** Like copyFace, but first turned by `angle` and enlarged by `scale` about the centre of the face, between pixels bilinearly. */
function turnFace(
  face: Uint8Array,
  out: Float32Array,
  levels: Float32Array,
  { flip, dx, dy, angle, scale }: Move,
): void {
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  const [centreX, centreY] = [(FACE_WIDTH - 1) / 2, (FACE_HEIGHT - 1) / 2];
  for (let y = 0, at = 0; y < FACE_HEIGHT; y++) {
    for (let x = 0; x < FACE_WIDTH; x++) {
      const [u, v] = [x - dx - centreX, y - dy - centreY];
      const turned = cos * u + sin * v;
      const column = Math.min(FACE_WIDTH - 1, Math.max(0, centreX + (flip ? -turned : turned)));
      const row = Math.min(FACE_HEIGHT - 1, Math.max(0, centreY - sin * u + cos * v));
      const [left, top] = [Math.floor(column), Math.floor(row)];
      const [fx, fy] = [column - left, row - top];
      const right = clampIndex(left + 1, FACE_WIDTH) - left;
      const upper = (top * FACE_WIDTH + left) * 3;
      const lower = (clampIndex(top + 1, FACE_HEIGHT) * FACE_WIDTH + left) * 3;
      for (let c = 0; c < 3; c++) {
        const above = levels[face[upper + c]] * (1 - fx) + levels[face[upper + 3 * right + c]] * fx;
        const below = levels[face[lower + c]] * (1 - fx) + levels[face[lower + 3 * right + c]] * fx;
        out[at++] = above * (1 - fy) + below * fy;
      }
    }
  }
}

function clampIndex(i: number, n: number): number {
  return Math.min(n - 1, Math.max(0, i));
}

function cumulate(weights: ArrayLike<number>, count: number): Float64Array {
  if (weights.length !== count) throw new ArgumentError(`FaceBatches: ${weights.length} weights; expected ${count}`);
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    if (!(weights[i] >= 0) || weights[i] === Infinity) {
      throw new ArgumentError(`FaceBatches: weight ${i} is ${weights[i]}; expected a number ≥ 0`);
    }
    sums[i] = sum += weights[i];
  }
  if (!(sum > 0) || sum === Infinity) throw new ArgumentError(`FaceBatches: the weights add up to ${sum}`);
  return sums;
}

/** Inverse of the cumulative distribution at a uniform number of 53 bits: the first index whose sum exceeds it. */
function drawWeighted(sums: Float64Array, random: CounterRandom): number {
  const uniform = ((random.word() >>> 5) * 2 ** 26 + (random.word() >>> 6)) * 2 ** -53;
  const target = uniform * sums[sums.length - 1];
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle] > target) high = middle;
    else low = middle + 1;
  }
  return low;
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new ArgumentError(`FaceBatches: ${name} is ${value}; expected an integer from ${min} to ${max}`);
  }
}

function checkFraction(name: string, value: number): void {
  if (!(value >= 0 && value < 1)) {
    throw new ArgumentError(`FaceBatches: ${name} is ${value}; expected a number from 0 to below 1`);
  }
}
