import { CameoError } from '../../common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import { pictureSsim, psnr } from '../metrics/picture-quality.js';
import { type FaceEncoder, isAsked, type RestoredFace, standIn } from './face-encoders.js';
import { Judge, type JudgeOptions, OWN, UNCOMPRESSED, type Verdict } from './judge.js';

/** When and how a row was measured. */
export interface RowOrigin {
  commit: string | null;
  date: string;
  device: string;
  command: string;
}

/** One codec at one budget. */
export interface ComparisonRow {
  codec: string;
  title: string;
  /** Version of the encoder; another version may give other files. */
  version: string;
  run: RowOrigin;
  /** null: the aligned crops as they are. */
  budget: number | null;
  faces: number;
  /** Faces without a fitting file; if they are more than one in a hundred, there is no verdict. */
  missing: number;
  /** Means over the faces that have a file. */
  bytes: number;
  bpp: number;
  psnr: number;
  ssim: number;
  /** Mean bytes of the same symbols in our own container, if the files are PNGs of our symbols. */
  ownBytes?: number;
  /** Of each face, in the order of the faces; NaN without a file. */
  psnrs: number[];
  verdicts: Verdict[];
}

export interface Comparison {
  conditions: ComparisonRow[];
  /** Restored faces of one budget, by codec, for contact sheets. */
  samples: Map<string, (RestoredFace | null)[]>;
}

export interface CompareCodecsOptions extends JudgeOptions {
  /** Those at a budget where the codec of reference is, too, are compared with it. */
  encoders: readonly FaceEncoder[];
  /** Codecs of earlier rows, which encode the few faces that are shown; a row without its codec shows none. */
  earlierEncoders?: readonly FaceEncoder[];
  budgets: readonly number[];
  /** The budget whose restored faces are kept. */
  sampleBudget: number;
  /** Metadata of this run, for its rows. */
  run: RowOrigin;
  /** Rows of an earlier run with the same pictures, pairs and recognisers: they are kept, and not measured again. */
  earlier?: readonly ComparisonRow[];
  /** Called and awaited after each row, with all rows so far, including earlier rows that are still to come. */
  onRow?: (row: ComparisonRow, known: readonly ComparisonRow[]) => Promise<void> | void;
}

/** If a larger share of faces has no file, the codec is left out at that budget. */
const MAX_MISSING = 0.01;

/**
 * Compresses the faces of verification pairs with every codec at every budget, and lets every recogniser decide the pairs.
 * If a few faces have no file, a grey picture replaces them. Earlier rows are put among the new ones.
 */
export async function compareCodecs(options: CompareCodecsOptions): Promise<Comparison> {
  const run = new ComparisonRun(options);
  await run.addUncompressed();
  const { earlier = [], reference = OWN } = options;
  const referenceFirst = (a: string, b: string): number => Number(b === reference) - Number(a === reference);
  for (const budget of rising([...options.budgets, ...earlier.map((one) => one.budget)])) {
    const asked = options.budgets.includes(budget) ? options.encoders.filter((one) => isAsked(one, budget)) : [];
    const kept = earlier.filter((one) => one.budget === budget).map(({ codec }) => codec);
    // The codec that all others are compared with comes first.
    const names = [...new Set([...asked.map(({ name }) => name), ...kept])].sort(referenceFirst);
    for (const name of names) {
      const encoder = asked.find((one) => one.name === name);
      const before = run.known(name, budget, encoder !== undefined);
      if (before) await run.addKept(before);
      else await run.addMeasured(encoder!, budget);
    }
  }
  return { conditions: run.conditions, samples: run.samples };
}

/** The rows so far, and the faces that are shown of them. */
class ComparisonRun {
  readonly conditions: ComparisonRow[] = [];
  readonly samples = new Map<string, (RestoredFace | null)[]>();
  readonly #originals: readonly Uint8Array[];
  readonly #judge: Judge;
  /** Indices of the faces that are shown: the first row decides. */
  #shown: readonly number[] = [];

  constructor(private readonly options: CompareCodecsOptions) {
    this.#originals = [...options.faces.values()];
    this.#judge = new Judge(options);
  }

  /** The row of an earlier run; an incomplete one is not used if its codec is measured in this run. */
  known(codec: string, budget: number | null, asked: boolean): ComparisonRow | undefined {
    const { earlier = [], sampleBudget } = this.options;
    return earlier.find(
      (one) => one.codec === codec && one.budget === budget && (isWhole(one, sampleBudget) || !asked),
    );
  }

  async addUncompressed(): Promise<void> {
    const before = this.known(UNCOMPRESSED.codec, null, true);
    if (before) return this.#add(before);
    const originals = this.#originals;
    const pictures = originals.map((rgb) => ({ size: rgb.length, rgb }));
    const row = describe({ ...UNCOMPRESSED, version: '', run: this.options.run }, pictures, originals);
    row.verdicts = await this.#judge.verdicts(UNCOMPRESSED, originals);
    return this.#add(row);
  }

  /** Adds a row of an earlier run. */
  async addKept(before: ComparisonRow): Promise<void> {
    if (before.budget === this.options.sampleBudget) {
      this.#choose(before);
      await this.#showKept(before);
    }
    await this.#add({ ...before, verdicts: this.#judge.compared(before, before.verdicts) });
  }

  async addMeasured(encoder: FaceEncoder, budget: number): Promise<void> {
    const { sampleBudget, run, onProgress } = this.options;
    const originals = this.#originals;
    const { name: codec, title, version } = encoder;
    const encoded = await encoder.encodeAll(originals, budget, (done, total) =>
      onProgress?.(`${title}, ${budget} bytes`, done, total),
    );
    const row = describe({ codec, title, budget, version, run }, encoded, originals);
    if (budget === sampleBudget) {
      // Only the dozen faces that are shown are kept, not a copy of all faces for each codec.
      this.#choose(row);
      this.#show(title, (k) => encoded[k]);
    }
    if (row.missing <= MAX_MISSING * originals.length) {
      const pictures = encoded.map((one) => one?.rgb ?? standIn(originals[0].length));
      row.verdicts = await this.#judge.verdicts(row, pictures);
    }
    await this.#add(row);
  }

  async #add(row: ComparisonRow): Promise<void> {
    this.conditions.push(row);
    const done = new Set(this.conditions.map(({ codec, budget }) => `${codec} ${budget}`));
    const toCome = (this.options.earlier ?? []).filter(({ codec, budget }) => !done.has(`${codec} ${budget}`));
    await this.options.onRow?.(row, [...this.conditions, ...toCome]);
  }

  #choose({ psnrs }: ComparisonRow): void {
    if (this.#shown.length === 0) this.#shown = sampleFaces(psnrs);
  }

  /** Keeps the restored faces that are shown. */
  #show(title: string, of: (k: number) => RestoredFace | null): void {
    const all = new Array<RestoredFace | null>(this.#originals.length).fill(null);
    for (const k of this.#shown) all[k] = of(k);
    this.samples.set(title, all);
  }

  /** The faces to show of an earlier row are made again if its codec is available. */
  async #showKept({ codec, title }: ComparisonRow): Promise<void> {
    const { encoders, earlierEncoders = [], sampleBudget, onProgress } = this.options;
    const encoder = [...encoders, ...earlierEncoders].find(({ name }) => name === codec);
    if (!encoder || this.#shown.length === 0) return;
    const some = this.#shown.map((k) => this.#originals[k]);
    try {
      const encoded = await encoder.encodeAll(some, sampleBudget, (done, total) =>
        onProgress?.(`${title}, faces to show`, done, total),
      );
      this.#show(title, (k) => encoded[this.#shown.indexOf(k)]);
    } catch (error) {
      // A codec that is not installed must not stop the others.
      if (!(error instanceof CameoError)) throw error;
    }
  }
}

/** False for a row of an older program that lacks fields of this one; such rows are measured again if asked for. */
const isWhole = ({ codec, budget, psnrs, verdicts }: ComparisonRow, sampleBudget: number): boolean =>
  verdicts.every(({ thresholds }) => thresholds) && (codec !== OWN || budget !== sampleBudget || psnrs.length > 0);

const rising = (budgets: readonly (number | null)[]): number[] =>
  [...new Set(budgets.filter((budget) => budget !== null))].sort((a, b) => a - b);

/** How many faces of each kind are shown. */
export const SHOWN_FACES = 4;

/** Best, median and worst faces, by the PSNR that the first codec gives them; those without a file come last. */
export function facesToShow(psnrs: readonly number[]): { best: number[]; median: number[]; worst: number[] } {
  const value = (k: number): number => (Number.isNaN(psnrs[k]) ? -Infinity : psnrs[k]);
  const order = [...psnrs.keys()].sort((a, b) => value(b) - value(a));
  const some = (from: number): number[] => order.slice(Math.max(0, from), Math.max(0, from) + SHOWN_FACES);
  return {
    best: some(0),
    median: some((order.length >> 1) - SHOWN_FACES / 2),
    worst: some(order.length - SHOWN_FACES),
  };
}

const sampleFaces = (psnrs: readonly number[]): number[] => [...new Set(Object.values(facesToShow(psnrs)).flat())];

function describe(
  what: Pick<ComparisonRow, 'codec' | 'title' | 'budget' | 'version' | 'run'>,
  encoded: readonly (RestoredFace | null)[],
  originals: readonly Uint8Array[],
): ComparisonRow {
  const { budget } = what;
  let [count, bytes, ssims, ownBytes] = [0, 0, 0, 0];
  const psnrs = encoded.map((one, k) => {
    if (!one) return Number.NaN;
    count++;
    bytes += one.size;
    ownBytes += one.ownSize ?? 0;
    ssims += budget === null ? 1 : pictureSsim(originals[k], one.rgb, FACE_WIDTH, FACE_HEIGHT, 3);
    return budget === null ? Infinity : psnr(originals[k], one.rgb);
  });
  const mean = psnrs.filter((value) => !Number.isNaN(value)).reduce((sum, value) => sum + value, 0) / count;
  return {
    ...what,
    faces: encoded.length,
    missing: encoded.length - count,
    bytes: bytes / count,
    bpp: (8 * bytes) / count / (FACE_WIDTH * FACE_HEIGHT),
    psnr: mean,
    ssim: ssims / count,
    ...(ownBytes > 0 && ownBytes !== bytes ? { ownBytes: ownBytes / count } : {}),
    psnrs: budget === null ? [] : psnrs,
    verdicts: [],
  };
}
