import { accuracyAt, cosine } from '../../common/verification.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../data/align.js';
import type { FacePair } from '../../data/lfw.js';
import type { OpenRecognizer } from '../../data/recognizer-source.js';
import type { Gpu } from '../../gpu/gpu.js';
import { psnr, ssim } from '../metrics.js';
import { embedPictures } from '../verification/embed-pictures.js';
import { mcNemar, type PairedComparison } from '../verification/paired.js';
import { type ScoredPair, type VerificationFigures, verificationFigures } from '../verification/protocol.js';
import { accepted, impostorThreshold, type OpenTar, pairedOpenTar } from './all-impostors.js';
import { type EncodedFace, type FaceEncoder, isAsked } from './face-encoders.js';
import { FAR, type PairedTar, pairedTar } from './paired-tar.js';

/** Which pictures of a pair are compressed. */
export type Mix = 'both' | 'reference';

/** What one recogniser says of one codec at one budget. */
export interface Verdict {
  recognizer: string;
  mix: Mix;
  figures: VerificationFigures;
  /** At FAR 1e-3 by all mismatched pairs of the pictures, where the protocol lists a few. */
  open: OpenTar;
  /** Of our own codec against this one, on the same pairs; absent for our own. */
  against?: {
    accuracy: PairedComparison;
    tar: PairedTar;
    open: ReturnType<typeof pairedOpenTar>;
  };
}

/** One codec at one budget. */
export interface Condition {
  codec: string;
  title: string;
  /** null: the aligned crops as they are. */
  budget: number | null;
  faces: number;
  /** Faces of which no file fits; with more than one in a hundred there is no verdict. */
  missing: number;
  /** Means over the faces that have a file. */
  bytes: number;
  bpp: number;
  psnr: number;
  ssim: number;
  /** Of the same symbols in our own container, mean; where the files are PNGs of our symbols. */
  ownBytes?: number;
  /** Of each face, in the order of the faces; NaN without a file. */
  psnrs: number[];
  verdicts: Verdict[];
}

export interface Comparison {
  conditions: Condition[];
  /** Restored faces of one budget, by codec, for contact sheets. */
  samples: Map<string, (EncodedFace | null)[]>;
}

export interface CompareOptions {
  gpu: Gpu;
  pairs: readonly FacePair[];
  /** The aligned face of 96×112 of every picture in the pairs. */
  faces: ReadonlyMap<string, Uint8Array>;
  /** Whose picture it is: pictures of different persons are mismatched pairs. */
  personOf: (name: string) => string;
  /** Those after the one named 'cameo', if any, are compared with it. */
  encoders: readonly FaceEncoder[];
  budgets: readonly number[];
  recognizers: readonly OpenRecognizer[];
  mixes: readonly Mix[];
  /** The embedding of the picture alone, without its mirror image: half the work. */
  single?: boolean;
  /** File for a recogniser's embeddings; null for none. */
  cacheOf: (recognizer: OpenRecognizer, condition: string) => string | null;
  /** The budget whose restored faces are kept. */
  sampleBudget: number;
  onProgress?: (what: string, done: number, total: number) => void;
  /** After each codec and budget; waited for. */
  onCondition?: (condition: Condition) => Promise<void> | void;
}

/** More faces without a file than this share, and a codec is not asked at that budget. */
const MOST_MISSING = 0.01;

/**
 * Compresses the faces of verification pairs with every codec at every budget, and lets every recogniser decide the pairs.
 * Where a file is missing for a few faces, a grey picture stands in.
 */
export async function compareCodecs(options: CompareOptions): Promise<Comparison> {
  const { faces, encoders, budgets, sampleBudget, onProgress = () => {} } = options;
  const names = [...faces.keys()];
  const originals = names.map((name) => faces.get(name)!);
  const conditions: Condition[] = [];
  const samples = new Map<string, (EncodedFace | null)[]>();
  let shown = new Set<number>();
  const judge = new Judge(options);

  const plain = originals.map((rgb) => ({ size: rgb.length, rgb }));
  const uncompressed = describe('uncompressed', 'Uncompressed', null, plain, originals);
  uncompressed.verdicts = await judge.verdicts(null, 'uncompressed', 'Uncompressed', originals, ['both']);
  conditions.push(uncompressed);
  await options.onCondition?.(uncompressed);

  for (const budget of budgets) {
    for (const encoder of encoders.filter((one) => isAsked(one, budget))) {
      const encoded = await encoder.encodeAll(originals, budget, (done, total) =>
        onProgress(`${encoder.title}, ${budget} bytes`, done, total),
      );
      const condition = describe(encoder.name, encoder.title, budget, encoded, originals);
      if (budget === sampleBudget) {
        // A dozen faces are shown: those are kept, and not a copy of all for each codec.
        if (shown.size === 0) shown = sampleFaces(condition.psnrs);
        samples.set(
          encoder.title,
          encoded.map((one, k) => (shown.has(k) ? one : null)),
        );
      }
      if (condition.missing <= MOST_MISSING * names.length) {
        const pictures = encoded.map((one) => one?.rgb ?? new Uint8Array(originals[0].length).fill(128));
        condition.verdicts = await judge.verdicts(
          budget,
          `${encoder.name}-${budget}`,
          `${encoder.title}, ${budget} bytes`,
          pictures,
          options.mixes,
          encoder.name === 'cameo',
        );
      }
      conditions.push(condition);
      await options.onCondition?.(condition);
    }
  }
  return { conditions, samples };
}

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

const sampleFaces = (psnrs: readonly number[]): Set<number> => new Set(Object.values(facesToShow(psnrs)).flat());

function describe(
  codec: string,
  title: string,
  budget: number | null,
  encoded: readonly (EncodedFace | null)[],
  originals: readonly Uint8Array[],
): Condition {
  let [count, bytes, ssims, ownBytes] = [0, 0, 0, 0];
  const psnrs = encoded.map((one, k) => {
    if (!one) return Number.NaN;
    count++;
    bytes += one.size;
    ownBytes += one.ownSize ?? 0;
    ssims += budget === null ? 1 : ssim(originals[k], one.rgb, FACE_WIDTH, FACE_HEIGHT, 3);
    return budget === null ? Infinity : psnr(originals[k], one.rgb);
  });
  const mean = psnrs.filter((value) => !Number.isNaN(value)).reduce((sum, value) => sum + value, 0) / count;
  return {
    codec,
    title,
    budget,
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

/** Pairs, and what the protocol says of them. */
interface Decided {
  scored: readonly ScoredPair[];
  figures: VerificationFigures;
  /** Matched pairs that are accepted at FAR 1e-3 by all mismatched pairs. */
  accepted: readonly boolean[];
}

/** Decides pairs, and remembers how our own codec did. */
class Judge {
  readonly #originals = new Map<string, Map<string, Float32Array>>();
  readonly #own = new Map<string, Decided>();

  constructor(readonly options: CompareOptions) {}

  async verdicts(
    budget: number | null,
    condition: string,
    what: string,
    pictures: readonly Uint8Array[],
    mixes: readonly Mix[],
    own = false,
  ): Promise<Verdict[]> {
    const { gpu, faces, personOf, recognizers, single, cacheOf, pairs, onProgress } = this.options;
    const verdicts: Verdict[] = [];
    const names = [...faces.keys()];
    const persons = names.map(personOf);
    for (const opened of recognizers) {
      const embeddings = await embedPictures(
        gpu,
        opened,
        names.map((name, k) => ({ name, face: pictures[k] })),
        {
          flip: !single,
          cache: cacheOf(opened, condition),
          onProgress: (done, total) => onProgress?.(`${what}: ${opened.name}`, done, total),
        },
      );
      if (budget === null) this.#originals.set(opened.name, embeddings);
      for (const mix of mixes) {
        const probes = mix === 'both' ? embeddings : this.#originals.get(opened.name)!;
        const scored = pairs.map(({ a, b, same, fold }) => ({
          score: cosine(embeddings.get(a)!, probes.get(b)!),
          same,
          fold,
        }));
        const [references, others] = [embeddings, probes].map((all) => names.map((name) => all.get(name)!));
        const { threshold, impostors } = impostorThreshold(references, others, persons, FAR);
        const matched = accepted(scored, threshold);
        const tar = matched.filter((one) => one).length / matched.length;
        const decided = { scored, figures: verificationFigures(scored), accepted: matched };
        const verdict: Verdict = {
          recognizer: opened.name,
          mix,
          figures: decided.figures,
          open: { impostors, threshold, tar },
        };
        const key = `${opened.name} ${mix} ${budget}`;
        const ours = this.#own.get(key);
        if (own) this.#own.set(key, decided);
        else if (ours) {
          verdict.against = {
            accuracy: pairedAccuracy(ours, decided),
            tar: pairedTar(ours.scored, scored),
            open: pairedOpenTar(ours.accepted, matched),
          };
        }
        verdicts.push(verdict);
      }
    }
    return verdicts;
  }
}

/** McNemar's test on the decisions of View 2: each fold at the threshold of the others. */
function pairedAccuracy(first: Decided, second: Decided): PairedComparison {
  const decisions = ({ scored, figures }: Decided): boolean[] => {
    const thresholds = new Map(figures.folds.map(({ fold, threshold }) => [fold, threshold]));
    return scored.map(({ score, same, fold }) => accuracyAt(thresholds.get(fold)!, [score], [same]) === 1);
  };
  return mcNemar(decisions(first), decisions(second));
}
