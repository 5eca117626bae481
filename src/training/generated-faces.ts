import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import { CounterRandom } from '../common/random.js';
import type { FaceSource } from '../data/faces/batches.js';
import { FACE_BYTES, readFace } from '../data/faces/face-pack.js';
import type { FaceSet } from '../data/faces/face-set.js';
import { ensureFolder, writeFileAtomic } from '../data/files/atomic-file.js';
import { type FaceGenerator, GENERATOR_BATCH } from './face-generator.js';

/** Numbers of faces of each kind that the codec makes for training; multiples of 8. */
export interface GeneratedCounts {
  /** Faces as the codec restores them at a few hundred bytes. */
  restored: number;
  /** Faces between two persons. */
  blended: number;
  /** Faces drawn from the codec's own distribution of components. */
  invented: number;
}

export const NO_GENERATED: GeneratedCounts = { restored: 0, blended: 0, invented: 0 };

/** Quantization indices of restored faces: some 150 to 500 bytes. */
const RESTORED_INDICES = [8, 24] as const;
/** The index for the conv nets if nothing is rounded: a fine one, so that they change little. */
const FINE_INDEX = 44;
const STREAM = 0x60000000;
/** Components that are exchanged together. */
const GROUP = 8;

/** @throws ArgumentError that names the count that is none */
export function checkGenerated(counts: GeneratedCounts): GeneratedCounts {
  for (const kind of ['restored', 'blended', 'invented'] as const) {
    const count = counts[kind];
    if (!Number.isInteger(count) || count < 0 || count > 1e6 || count % GENERATOR_BATCH !== 0) {
      const given = JSON.stringify(count);
      throw new ArgumentError(`generated.${kind} is ${given}; expected a multiple of ${GENERATOR_BATCH} from 0 to 1e6`);
    }
  }
  return counts;
}

export const countGenerated = ({ restored, blended, invented }: GeneratedCounts): number =>
  restored + blended + invented;

/** Values between those of two faces, and how: drawn from `random`. `symmetric` of them come first. */
export function blend(a: Float32Array, b: Float32Array, symmetric: number, random: CounterRandom): Float32Array {
  const kind = random.uniform();
  const share = 0.2 + 0.6 * random.uniform();
  if (kind < 0.5) return a.map((value, k) => value + share * (b[k] - value));
  // Another pose: the antisymmetric part is the other person's.
  if (kind < 0.75) return a.map((value, k) => (k < symmetric ? value + share * (b[k] - value) : b[k]));
  // Some groups of components are the other person's.
  const groups = Array.from({ length: Math.ceil(a.length / GROUP) }, () => random.uniform() < share);
  return a.map((value, k) => (groups[Math.floor(k / GROUP)] ? b[k] : value));
}

/** Values drawn from logistic distributions of these scales, somewhat nearer to the mean. */
export function invent(scales: Float64Array, random: CounterRandom): Float32Array {
  const warmth = 0.5 + 0.4 * random.uniform();
  return Float32Array.from(scales, (scale) => {
    const share = Math.max(2 ** -24, random.uniform());
    return warmth * scale * Math.log(share / (1 - share));
  });
}

/**
 * Generated faces by number: restored ones first, then blended, then invented. Each is made when it is first asked for,
 * together with its block of 8, and kept in a file; it depends on its number, the seed, the codec and the faces alone.
 */
export class GeneratedFaces {
  readonly count: number;
  readonly #folder: string;

  /**
   * @param indices of the faces in the set that may be used
   * @param folder where blocks are kept, in a folder of their own for these settings
   * @param codecId identifies the codec
   */
  constructor(
    private readonly generator: FaceGenerator,
    private readonly faces: FaceSet,
    private readonly indices: readonly number[],
    readonly counts: GeneratedCounts,
    private readonly seed: number,
    folder: string,
    codecId: string,
  ) {
    checkGenerated(counts);
    this.count = countGenerated(counts);
    const hash = createHash('sha256').update(JSON.stringify([codecId, counts, seed]));
    for (const index of indices) hash.update(`${faces.entries[index].path}\n`);
    this.#folder = join(folder, `generated-${hash.digest('hex').slice(0, 12)}`);
  }

  /** The face that a restored one was made from; null for others. */
  originalOf(number: number): number | null {
    return number < this.counts.restored ? this.#parents(number)[0] : null;
  }

  #random(number: number): CounterRandom {
    return new CounterRandom(this.seed, STREAM, number * 2 ** 20);
  }

  /** Two faces of the set. */
  #parents(number: number): [number, number] {
    const random = this.#random(number);
    const one = (): number => this.indices[random.int(this.indices.length)];
    return [one(), one()];
  }

  /** RGB bytes of a face. @throws FileError, ArgumentError for a number that does not exist */
  async face(number: number): Promise<Uint8Array> {
    if (!Number.isInteger(number) || number < 0 || number >= this.count) {
      throw new ArgumentError(`generated face ${number}; expected 0 to ${this.count - 1}`);
    }
    const block = Math.floor(number / GENERATOR_BATCH);
    const at = (number % GENERATOR_BATCH) * FACE_BYTES;
    const path = join(this.#folder, `${String(block).padStart(6, '0')}.rgb`);
    if (existsSync(path)) return readFace(path, at);
    const bytes = await this.#make(block * GENERATOR_BATCH);
    await ensureFolder(this.#folder);
    await writeFileAtomic(path, bytes);
    return bytes.slice(at, at + FACE_BYTES);
  }

  /** As many faces, one after the other; those that are not there yet are made. */
  async batch(numbers: ArrayLike<number>): Promise<Uint8Array[]> {
    const faces: Uint8Array[] = [];
    for (const number of Array.from(numbers)) faces.push(await this.face(number));
    return faces;
  }

  /** The same faces, but the originals of restored ones in their place. */
  originals(): FaceSource {
    const one = async (number: number): Promise<Uint8Array> => {
      const original = this.originalOf(number);
      return original === null ? this.face(number) : this.faces.face(original);
    };
    return { count: this.count, batch: (numbers) => Promise.all(Array.from(numbers, one)) };
  }

  async #make(first: number): Promise<Uint8Array> {
    const { generator, counts } = this;
    const numbers = Array.from({ length: GENERATOR_BATCH }, (_, k) => first + k);
    const analyse = async (which: 0 | 1, index: number): Promise<Float32Array[]> =>
      generator.analyse(await this.faces.batch(numbers.map((number) => this.#parents(number)[which])), index);
    // Behind the words that the parents may take.
    const own = (number: number): CounterRandom => new CounterRandom(this.seed, STREAM, number * 2 ** 20 + 256);
    let index = FINE_INDEX;
    let values: Float32Array[];
    if (first < counts.restored) {
      const [low, high] = RESTORED_INDICES;
      index = low + own(first).int(high - low + 1);
      values = (await analyse(0, index)).map((one) => one.map(Math.round));
    } else if (first < counts.restored + counts.blended) {
      const [a, b] = [await analyse(0, index), await analyse(1, index)];
      values = a.map((one, n) => blend(one, b[n], generator.symmetric, own(numbers[n])));
    } else {
      const scales = await generator.scales(index);
      values = numbers.map((number) => invent(scales, own(number)));
    }
    const faces = await generator.synthesise(values, index);
    const bytes = new Uint8Array(GENERATOR_BATCH * FACE_BYTES);
    faces.forEach((pixels, n) => {
      bytes.set(pixels, n * FACE_BYTES);
    });
    return bytes;
  }
}
