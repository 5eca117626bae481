import type { RunMetadata } from '../reports/run-metadata.js';
import type { ComparisonRow } from './compare-codecs.js';
import type { GroupFigures } from './compare-groups.js';
import type { GoalSpec } from './parse-goals.js';

/** The results and metadata of a comparison: the content of its JSON file. */
export interface ComparisonReport extends RunMetadata {
  pairs: { count: number; folds: number; quick: boolean };
  /** Id of the weights of the detector that found the faces; absent if their landmarks were given. */
  detector?: string;
  embedding: string;
  recognizers: { name: string; id: string; seen: boolean }[];
  model: { path: string; id: string; training: unknown };
  /** Id of the shipped autoencoder's weights; absent if it takes no part, as in reports of before. */
  autoencoder?: string;
  /** What rows of one report have in common: see earlier-rows.ts. */
  setting: string;
  /** Other weights of the Cameo codec. */
  besides: { name: string; id: string }[];
  /** The codec that others are compared with; absent: Cameo, as in reports of before. */
  reference?: { codec: string; title: string };
  conditions: ComparisonRow[];
  groups: GroupFigures[];
  /** Target figures for the codec, from the file that `--goals` names. */
  goals?: readonly GoalSpec[];
  /** One face at a time, warm, medians. */
  seconds?: { budget: number; encode: number; decode: number };
}
