import type { OpenRecognizer } from '../../data/checkpoints/recognizer-source.js';
import type { FacePair } from '../../data/faces/lfw.js';
import type { Gpu } from '../../gpu/gpu.js';
import { accuracyAt, cosineSimilarity } from '../metrics/verification.js';
import { embedPictures } from '../verification/embed-pictures.js';
import { mcNemar, type PairedComparison } from '../verification/paired.js';
import {
  FAR,
  type ScoredPair,
  scoresByKind,
  type VerificationFigures,
  verificationFigures,
} from '../verification/protocol.js';
import { intervalOf, signProbability } from '../verification/resampled.js';
import { type AllPairsTar, impostorThreshold } from './all-impostors.js';
import { type PairedTar, pairedTar } from './paired-tar.js';
import { PersonBootstrap } from './person-bootstrap.js';

/** Which pictures of a pair are compressed. */
export type Mix = 'both' | 'reference';

/** The verdict of one recogniser on one codec at one budget. */
export interface Verdict {
  recognizer: string;
  mix: Mix;
  figures: VerificationFigures;
  /** At FAR 1e-3 by all mismatched pairs of the pictures, where the protocol lists a few. */
  open: AllPairsTar;
  /** Of each pair, in the order of the pairs. */
  scores: Float32Array;
  /** For `open`, one threshold for each resample of the persons; absent in rows of an older program. */
  thresholds?: Float32Array;
  /** The codec of reference against this one, on the same pairs; absent for itself. */
  against?: {
    accuracy: PairedComparison;
    tar: PairedTar;
    /** For `open`, resampled by persons; only the difference if one of the two is of an older program. */
    open: Pick<PairedTar, 'difference'> & Partial<PairedTar>;
  };
}

export interface JudgeOptions {
  gpu: Gpu;
  pairs: readonly FacePair[];
  /** The aligned face of 96×112 of every picture in the pairs. */
  faces: ReadonlyMap<string, Uint8Array>;
  /** The person of each picture; pictures of different persons make impostor pairs. */
  personOf: (name: string) => string;
  recognizers: readonly OpenRecognizer[];
  mixes: readonly Mix[];
  /** The codec that others are compared with; default: our own. */
  reference?: string;
  /** The embedding of the picture alone, without its mirror image: half the work. */
  single?: boolean;
  /** File for a recogniser's embeddings; null for none. */
  cacheOf: (recognizer: OpenRecognizer, row: string) => string | null;
  onProgress?: (what: string, done: number, total: number) => void;
}

/** What is judged: pictures, and what they are called. */
export interface JudgedCodec {
  codec: string;
  title: string;
  budget: number | null;
}

/** Pairs, and the protocol's labels. */
interface Decided {
  scored: readonly ScoredPair[];
  figures: VerificationFigures;
  /** At FAR 1e-3 by all mismatched pairs, and that of each resample. */
  open: AllPairsTar;
  tars?: Float64Array;
}

/** Our own codec. */
export const OWN = 'cameo';

/** Decides pairs, and remembers how the codec of reference did. */
export class Judge {
  readonly #originals = new Map<string, Map<string, Float32Array>>();
  readonly #reference = new Map<string, Decided>();
  readonly #bootstrap: PersonBootstrap;
  /** Numbers of the persons of the faces, and of the matched pairs. */
  readonly #persons: readonly number[];
  readonly #matched: readonly number[];

  constructor(readonly options: JudgeOptions) {
    const { pairs, faces, personOf } = options;
    const persons = [...faces.keys()].map(personOf);
    this.#bootstrap = new PersonBootstrap(persons);
    this.#persons = persons.map((person) => this.#bootstrap.number(person));
    this.#matched = pairs.filter(({ same }) => same).map(({ a }) => this.#bootstrap.number(personOf(a)));
  }

  /** @param pictures of all faces, in their order */
  async verdicts(judged: JudgedCodec, pictures: readonly Uint8Array[]): Promise<Verdict[]> {
    const { faces, recognizers, pairs } = this.options;
    const mixes: readonly Mix[] = judged.budget === null ? ['both'] : this.options.mixes;
    const verdicts: Verdict[] = [];
    const names = [...faces.keys()];
    for (const opened of recognizers) {
      const embeddings = await this.#embed(opened, judged, pictures);
      for (const mix of mixes) {
        const probes = mix === 'both' ? embeddings : await this.#ofOriginals(opened);
        const scores = Float32Array.from(pairs, ({ a, b }) => cosineSimilarity(embeddings.get(a)!, probes.get(b)!));
        const scored = this.#scored(scores);
        const figures = verificationFigures(scored);
        const [references, others] = [embeddings, probes].map((all) => names.map((name) => all.get(name)!));
        const { threshold, impostors, top } = impostorThreshold(references, others, this.#persons, FAR);
        const { genuine } = scoresByKind(scored);
        const tar = genuine.filter((score) => score >= threshold).length / genuine.length;
        const open = { impostors, threshold, tar };
        const thresholds = this.#bootstrap.thresholds(top, FAR);
        verdicts.push({ recognizer: opened.name, mix, figures, open, scores, thresholds });
      }
    }
    return this.compared(judged, verdicts);
  }

  /** Verdicts with resamples, compared with those on the codec of reference at the same budget, which has to come first. */
  compared({ codec, budget }: JudgedCodec, verdicts: readonly Verdict[]): Verdict[] {
    const { reference = OWN } = this.options;
    return verdicts.map(({ against: _, ...verdict }) => {
      const { recognizer, mix, figures, thresholds } = verdict;
      const scored = this.#scored(verdict.scores);
      const tars = thresholds && this.#bootstrap.tars(scoresByKind(scored).genuine, this.#matched, thresholds);
      const open = tars ? { ...verdict.open, ...intervalOf(tars) } : verdict.open;
      const decided = { scored, figures, open, tars };
      const key = `${recognizer} ${mix} ${budget}`;
      const first = this.#reference.get(key);
      if (codec === reference) this.#reference.set(key, decided);
      if (codec === reference || !first) return { ...verdict, open };
      const against = {
        accuracy: pairedAccuracy(first, decided),
        tar: pairedTar(first.scored, scored),
        open: pairedOpenTar(first, decided),
      };
      return { ...verdict, open, against };
    });
  }

  #scored(scores: Float32Array): ScoredPair[] {
    return this.options.pairs.map(({ same, fold }, k) => ({ score: scores[k], same, fold }));
  }

  async #embed(opened: OpenRecognizer, judged: JudgedCodec, pictures: readonly Uint8Array[]) {
    const { gpu, faces, single, cacheOf, onProgress } = this.options;
    const { codec, title, budget } = judged;
    const what = budget === null ? title : `${title}, ${budget} bytes`;
    const embeddings = await embedPictures(
      gpu,
      opened,
      [...faces.keys()].map((name, k) => ({ name, face: pictures[k] })),
      {
        flip: !single,
        cache: cacheOf(opened, budget === null ? codec : `${codec}-${budget}`),
        onProgress: (done, total) => onProgress?.(`${what}: ${opened.name}`, done, total),
      },
    );
    if (budget === null) this.#originals.set(opened.name, embeddings);
    return embeddings;
  }

  async #ofOriginals(opened: OpenRecognizer): Promise<Map<string, Float32Array>> {
    const known = this.#originals.get(opened.name);
    return known ?? this.#embed(opened, UNCOMPRESSED, [...this.options.faces.values()]);
  }
}

/** The aligned crops as they are. */
export const UNCOMPRESSED: JudgedCodec = { codec: 'uncompressed', title: 'Uncompressed', budget: null };

/** McNemar's test on the decisions of View 2: each fold at the threshold of the others. */
function pairedAccuracy(first: Decided, second: Decided): PairedComparison {
  const decisions = ({ scored, figures }: Decided): boolean[] => {
    const thresholds = new Map(figures.folds.map(({ fold, threshold }) => [fold, threshold]));
    return scored.map(({ score, same, fold }) => accuracyAt(thresholds.get(fold)!, [score], [same]) === 1);
  };
  return mcNemar(decisions(first), decisions(second));
}

/** The same persons are drawn for both, and each has its own threshold in every resample. */
function pairedOpenTar(first: Decided, second: Decided): NonNullable<Verdict['against']>['open'] {
  const difference = first.open.tar - second.open.tar;
  if (!first.tars || !second.tars) return { difference };
  const differences = first.tars.map((tar, k) => tar - second.tars![k]);
  return { difference, ...intervalOf(differences), p: signProbability(differences) };
}
