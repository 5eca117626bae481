import { ArgumentError } from '../../common/errors.js';
import type { OpenRecognizer } from '../../data/checkpoints/recognizer-source.js';
import type { Gpu } from '../../gpu/gpu.js';
import { similarities } from '../metrics/gallery.js';
import {
  type IdentificationFigures,
  identificationAt,
  type ProbeSearch,
  probeSearch,
} from '../metrics/identification.js';
import { embedPictures } from '../verification/embed-pictures.js';
import { type Interval, intervalOf, signProbability } from '../verification/resampled.js';
import { type FaceEncoder, isAsked, standIn } from './face-encoders.js';
import { type JudgedCodec, OWN, UNCOMPRESSED } from './judge.js';
import { PersonBootstrap } from './person-bootstrap.js';

/** The false positive identification rate at which FNIR is given. */
export const FPIR = 1e-2;

/** Which pictures are the gallery, and which are searched for in it. */
export interface IdentificationSplit {
  /** The first picture of each person, in the order of the persons. */
  gallery: string[];
  /** Every other picture, of persons with two or more: their mate is in the gallery. */
  mated: string[];
  /** The one picture of each person who has no other: its search leaves the person out of the gallery. */
  unmated: string[];
}

/**
 * @param names of pictures, in any order of persons
 * @throws ArgumentError if no person has two pictures, or there is one person alone
 */
export function identificationSplit(names: readonly string[], personOf: (name: string) => string): IdentificationSplit {
  const byPerson = new Map<string, string[]>();
  for (const name of [...names].sort()) byPerson.set(personOf(name), [...(byPerson.get(personOf(name)) ?? []), name]);
  const persons = [...byPerson.values()];
  const split = {
    gallery: persons.map(([first]) => first),
    mated: persons.flatMap(([, ...others]) => others),
    unmated: persons.filter(({ length }) => length === 1).flat(),
  };
  if (persons.length > 1 && split.mated.length > 0) return split;
  throw new ArgumentError(
    `identification: ${names.length} pictures of ${persons.length} persons; expected two persons or more, one of them with two pictures`,
  );
}

/** A share with its 95 % interval, persons resampled. */
export type ResampledShare = Interval & { value: number };

/** First minus second, with its interval and the two-sided p-value; persons resampled, the same ones for both. */
export type ResampledDifference = Interval & { difference: number; p: number };

/** How well persons are found in a gallery of pictures that one codec has restored. */
export interface IdentificationRow extends JudgedCodec {
  /** Of the codec; '' for none. */
  version: string;
  /** Mean of the gallery's files; null where they are not compressed. */
  bytes: number | null;
  /** Faces of the gallery without a file; a grey picture replaces each. */
  missing: number;
  rankOne: ResampledShare;
  fnir: ResampledShare;
  /** The rate that was reached; at most the wanted one. */
  fpir: number;
  threshold: number;
  /** Our own codec at the same bytes minus this one; absent for our own, and if it was not measured. */
  against?: { rankOne: ResampledDifference; fnir: ResampledDifference };
}

export interface IdentificationOptions {
  gpu: Gpu;
  /** The aligned face of 96×112 of every picture. */
  faces: ReadonlyMap<string, Uint8Array>;
  personOf: (name: string) => string;
  split: IdentificationSplit;
  encoders: readonly FaceEncoder[];
  /** Bytes a face. */
  budgets: readonly number[];
  recognizer: OpenRecognizer;
  /** The embedding of the picture alone, without its mirror image. */
  single?: boolean;
  /** File for embeddings; null for none. */
  cacheOf: (row: string) => string | null;
  onProgress?: (what: string, done: number, total: number) => void;
  onRow?: (row: IdentificationRow) => void;
}

/** Figures of every resample. */
interface Resampled {
  rankOne: Float64Array;
  fnir: Float64Array;
}

/**
 * Searches photographs in galleries with one picture of each person: uncompressed, and as each codec restores it at each budget. The probes
 * are never compressed.
 * @returns the uncompressed gallery first, then by budget, our own codec before the others
 */
export async function compareIdentification(options: IdentificationOptions): Promise<IdentificationRow[]> {
  const run = new IdentificationRun(options);
  await run.embedProbes();
  const { encoders, budgets } = options;
  await run.addUncompressed();
  for (const budget of [...budgets].sort((a, b) => a - b)) {
    const asked = encoders.filter((one) => isAsked(one, budget));
    for (const encoder of asked.sort((a, b) => Number(b.name === OWN) - Number(a.name === OWN))) {
      await run.addCodec(encoder, budget);
    }
  }
  return run.rows;
}

class IdentificationRun {
  readonly rows: IdentificationRow[] = [];
  readonly #bootstrap: PersonBootstrap;
  /** Number of each person's face in the gallery, which is that of the person in the bootstrap. */
  readonly #numbers: Map<string, number>;
  readonly #own = new Map<number, { row: IdentificationRow; resampled: Resampled }>();
  #probes: ReadonlyMap<string, Float32Array> = new Map();

  constructor(private readonly options: IdentificationOptions) {
    const persons = options.split.gallery.map(options.personOf);
    this.#bootstrap = new PersonBootstrap(persons);
    this.#numbers = new Map(persons.map((person) => [person, this.#bootstrap.number(person)]));
  }

  async embedProbes(): Promise<void> {
    const { mated, unmated } = this.options.split;
    const names = [...mated, ...unmated];
    this.#probes = await this.#embed(names, this.#originals(names), 'probes', UNCOMPRESSED.codec);
  }

  async addUncompressed(): Promise<void> {
    const { gallery } = this.options.split;
    await this.#add({ ...UNCOMPRESSED, version: '', bytes: null, missing: 0 }, this.#originals(gallery));
  }

  async addCodec(encoder: FaceEncoder, budget: number): Promise<void> {
    const { name: codec, title, version } = encoder;
    const { split, onProgress } = this.options;
    const originals = this.#originals(split.gallery);
    const encoded = await encoder.encodeAll(originals, budget, (done, total) =>
      onProgress?.(`${title}, ${budget} bytes`, done, total),
    );
    const made = encoded.filter((one) => one !== null);
    const bytes = made.length === 0 ? null : made.reduce((sum, { size }) => sum + size, 0) / made.length;
    const pictures = encoded.map((one) => one?.rgb ?? standIn(originals[0].length));
    await this.#add({ codec, title, budget, version, bytes, missing: encoded.length - made.length }, pictures);
  }

  #originals(names: readonly string[]): Uint8Array[] {
    return names.map((name) => this.options.faces.get(name)!);
  }

  async #add(
    what: Pick<IdentificationRow, 'codec' | 'title' | 'budget' | 'version' | 'bytes' | 'missing'>,
    pictures: readonly Uint8Array[],
  ): Promise<void> {
    const { split, onRow } = this.options;
    const { codec, budget, title } = what;
    const isCompressed = budget !== null;
    const label = isCompressed ? `${title}, ${budget} bytes` : `${title} gallery`;
    const gallery = await this.#embed(split.gallery, pictures, label, isCompressed ? `${codec}-${budget}` : codec);
    const { searches, persons } = this.#search(split.gallery.map((name) => gallery.get(name)!));
    const figures = identificationAt(searches, FPIR);
    const once = figures();
    const resampled = this.#resample(figures, persons);
    const share = (key: keyof Resampled): ResampledShare => ({ value: once[key], ...intervalOf(resampled[key]) });
    const { fpir, threshold } = once;
    const row: IdentificationRow = { ...what, rankOne: share('rankOne'), fnir: share('fnir'), fpir, threshold };
    if (isCompressed) this.#compare(row, resampled, budget);
    this.rows.push(row);
    onRow?.(row);
  }

  /** Every probe against every face of the gallery. @returns searches, and the number of the person of each */
  #search(gallery: readonly Float32Array[]): { searches: ProbeSearch[]; persons: Int32Array } {
    const { split, personOf } = this.options;
    const flat = new Float32Array(gallery.length * gallery[0].length);
    gallery.forEach((face, k) => {
      flat.set(face, k * face.length);
    });
    const names = [...split.mated, ...split.unmated];
    const persons = Int32Array.from(names, (name) => this.#numbers.get(personOf(name))!);
    const scores = new Float32Array(gallery.length);
    const searches = names.map((name, k) =>
      probeSearch(similarities(this.#probes.get(name)!, flat, scores), persons[k], k < split.mated.length),
    );
    return { searches, persons };
  }

  /** The gallery stays the same; a search counts as often as the person of its probe is drawn. */
  #resample(figures: ReturnType<typeof identificationAt>, persons: Int32Array): Resampled {
    const all: IdentificationFigures[] = this.#bootstrap.draws.map((drawn) =>
      figures(persons.map((person) => drawn[person])),
    );
    return {
      rankOne: Float64Array.from(all, ({ rankOne }) => rankOne),
      fnir: Float64Array.from(all, ({ fnir }) => fnir),
    };
  }

  #compare(row: IdentificationRow, resampled: Resampled, budget: number): void {
    if (row.codec === OWN) {
      this.#own.set(budget, { row, resampled });
      return;
    }
    const own = this.#own.get(budget);
    if (!own) return;
    const against = (key: keyof Resampled): ResampledDifference => {
      const differences = own.resampled[key].map((value, k) => value - resampled[key][k]);
      const difference = own.row[key].value - row[key].value;
      return { difference, ...intervalOf(differences), p: signProbability(differences) };
    };
    row.against = { rankOne: against('rankOne'), fnir: against('fnir') };
  }

  #embed(names: readonly string[], pictures: readonly Uint8Array[], what: string, row: string) {
    const { gpu, recognizer, single, cacheOf, onProgress } = this.options;
    return embedPictures(
      gpu,
      recognizer,
      names.map((name, k) => ({ name, face: pictures[k] })),
      {
        flip: !single,
        cache: cacheOf(row),
        onProgress: (done, total) => onProgress?.(`${what}: ${recognizer.name}`, done, total),
      },
    );
  }
}
