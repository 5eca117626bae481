import { ArgumentError } from '../../common/errors.js';
import type { Interval } from '../verification/resampled.js';

/** The operating point by all impostor pairs of the pictures, with the 95 % interval of TAR over persons. */
export interface AllPairsTar extends Partial<Interval> {
  /** Pairs of pictures of different persons, each once. */
  impostors: number;
  threshold: number;
  /** Share of the protocol's matched pairs that are accepted. */
  tar: number;
}

/** Number of classes from −1 to 1 in which scores are counted; this is the resolution of thresholds. */
const CLASSES = 1 << 18;

/** The lowest score of a class; for a class after the last, more than any score. */
export const thresholdOfClass = (at: number): number => (2 * at) / CLASSES - 1;

/** The lowest class with at most `max` scores in it or above; one after the last if there is none. */
function lowestClass(histogram: Uint32Array, max: number): number {
  let above = 0;
  let lowest = histogram.length;
  while (lowest > 0 && above + histogram[lowest - 1] <= max) above += histogram[--lowest];
  return lowest;
}

/** The mismatched pairs of the highest scores, from the highest on. */
export interface TopImpostors {
  /** Class of each score. */
  classes: Int32Array;
  /** The two persons of each. */
  first: Int32Array;
  second: Int32Array;
  /** The lowest class of which the list has all pairs. */
  floor: number;
}

/** Size of the list: this multiple of the pairs that may be accepted, and at least this many, as resamples need more. */
const SPARE = 4;
const MIN_LENGTH = 4096;

/** Keeps the pairs of the highest scores while all are counted. */
class TopImpostorList {
  readonly histogram = new Uint32Array(CLASSES + 1);
  readonly #columns: readonly Int32Array[];
  #length = 0;
  #floor = 0;

  constructor(readonly max: number) {
    this.#columns = Array.from({ length: 3 }, () => new Int32Array(2 * max));
  }

  add(score: number, first: number, second: number): void {
    const at = Math.max(0, Math.min(CLASSES, Math.floor(((score + 1) / 2) * CLASSES)));
    this.histogram[at]++;
    if (at < this.#floor) return;
    if (this.#length === 2 * this.max) {
      this.#drop();
      if (at < this.#floor) return;
    }
    const [classes, a, b] = this.#columns;
    classes[this.#length] = at;
    a[this.#length] = first;
    b[this.#length++] = second;
  }

  /** Raises the floor until at most `max` pairs are on it or above, and drops the others. */
  #drop(): void {
    this.#floor = lowestClass(this.histogram, this.max);
    const [classes] = this.#columns;
    let kept = 0;
    for (let k = 0; k < this.#length; k++) {
      if (classes[k] < this.#floor) continue;
      for (const column of this.#columns) column[kept] = column[k];
      kept++;
    }
    this.#length = kept;
  }

  sorted(): TopImpostors {
    this.#drop();
    const [classes] = this.#columns;
    const order = Int32Array.from({ length: this.#length }, (_, k) => k).sort((x, y) => classes[y] - classes[x]);
    const [sorted, first, second] = this.#columns.map((column) => order.map((k) => column[k]));
    return { classes: sorted, first, second, floor: this.#floor };
  }
}

/**
 * The lowest threshold at which at most the share `far` of all pairs of different persons is accepted. View 2 lists 3,000
 * mismatched pairs, of which three decide about FAR 1e-3; its pictures make some 29.6 million.
 *
 * @param references embeddings of length 1, one for each picture; each makes a pair with every probe after it
 * @param probes as many, of the same pictures in the same order; the same list where both are alike
 * @param persons number of each picture's person
 * @param far false accept rate, from 0 to below 1
 * @returns it, the number of pairs, and those of the highest scores
 * @throws ArgumentError for lists of unequal length, pictures of one person alone, or values that are not finite
 */
export function impostorThreshold(
  references: readonly Float32Array[],
  probes: readonly Float32Array[],
  persons: readonly number[],
  far: number,
): { threshold: number; impostors: number; top: TopImpostors } {
  const count = references.length;
  if (probes.length !== count || persons.length !== count) {
    throw new ArgumentError(
      `impostorThreshold: ${count} references, ${probes.length} probes and ${persons.length} persons; expected as many of each`,
    );
  }
  const length = references[0]?.length ?? 0;
  const flat = new Float32Array(count * length);
  probes.forEach((probe, k) => {
    flat.set(probe, k * length);
  });
  const person = Int32Array.from(persons);
  const list = new TopImpostorList(Math.max(MIN_LENGTH, Math.ceil((SPARE * far * count * (count - 1)) / 2)));
  let impostors = 0;
  for (let i = 0; i < count; i++) {
    const own = references[i];
    for (let j = i + 1; j < count; j++) {
      if (person[i] === person[j]) continue;
      const at = j * length;
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      let k = 0;
      for (; k + 3 < length; k += 4) {
        s0 += own[k] * flat[at + k];
        s1 += own[k + 1] * flat[at + k + 1];
        s2 += own[k + 2] * flat[at + k + 2];
        s3 += own[k + 3] * flat[at + k + 3];
      }
      for (; k < length; k++) s0 += own[k] * flat[at + k];
      const score = s0 + s1 + s2 + s3;
      if (!(score >= -1.001 && score <= 1.001)) {
        throw new ArgumentError(`impostorThreshold: pictures ${i} and ${j} have score ${score}; expected −1 to 1`);
      }
      list.add(score, person[i], person[j]);
      impostors++;
    }
  }
  if (impostors === 0) throw new ArgumentError('impostorThreshold: no two pictures of different persons');
  const threshold = thresholdOfClass(lowestClass(list.histogram, Math.floor(far * impostors)));
  return { threshold, impostors, top: list.sorted() };
}
