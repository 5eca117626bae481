import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import type { ReadRecognizer } from '../data/checkpoints/recognizer-source.js';
import { LandmarkIndex } from '../data/pictures/landmarks.js';
import { percent } from '../evaluation/reports/percent.js';
import { cropSize } from '../evaluation/verification/face-crops.js';
import { FaceFinder } from './face-finder.js';
import { addFaceOptions, type FaceOptions } from './face-options.js';
import { type FaceToCompare, readFaceToCompare } from './face-to-compare.js';
import type { CodecSource } from './given-face.js';
import { JSON_HELP } from './json-output.js';
import { rate } from './numbers.js';
import { readLandmarkInput } from './photo-faces.js';
import { type LfwFigures, type ModelThresholds, readThresholds } from './thresholds.js';
import { RECOGNIZER_HELP, recognizerFor } from './with-recognizer.js';

/** Options of the commands that compare faces. */
export interface CompareOptions extends FaceOptions {
  model: string;
  landmarks?: string;
  far: number;
  json?: boolean;
}

/** Adds them to a command. */
export const addCompareOptions = (command: Command): Command =>
  addFaceOptions(
    command
      .option('--model <name>', RECOGNIZER_HELP, 'cameo')
      .option(
        '--landmarks <file>',
        'JSON file with five landmarks for each face, as for `cameo encode`; without it, the detector finds the faces',
      )
      .option('--far <rate>', 'false accept rate for the decision', rate, 0.001)
      .option('--json', JSON_HELP),
    'largest',
  );

/** Faces, and what compares and judges them; nothing is on a GPU yet. */
export interface FacesToCompare {
  opened: ReadRecognizer;
  /** Whether the embedding of the mirror image is appended. */
  flip: boolean;
  /** Null where none is known. */
  threshold: number | null;
  /** Information on the recogniser. */
  recognizer: { name: string; model: string; lfw: LfwFigures | null };
  /** In the order of the paths; one if they are all the same. */
  faces: FaceToCompare[];
}

/**
 * Reads and checks all that is compared.
 * @throws ArgumentError, FileError, CheckpointError, FormatError, and as `readFaceToCompare`
 */
export async function readFacesToCompare(
  all: readonly string[],
  options: CompareOptions,
  codecs: CodecSource,
): Promise<FacesToCompare> {
  const { model, landmarks: list, far } = options;
  const finder = new FaceFinder(options);
  const paths = [...new Set(all)];
  const named = paths.map((path) => ({ path }));
  const landmarks = list === undefined ? undefined : new LandmarkIndex(await readLandmarkInput(list), named);
  const opened = await recognizerFor(model);
  const known = (await readThresholds())[opened.modelId];
  const threshold = thresholdOf(known, far, opened.name) ?? null;
  const faces: FaceToCompare[] = [];
  try {
    for (const path of paths) {
      faces.push(await readFaceToCompare(path, cropSize(opened.recognizer), { landmarks, finder, codecs }));
    }
  } finally {
    finder.close();
  }
  const recognizer = { name: opened.name, model: opened.modelId, lfw: known?.lfw ?? null };
  return { opened, flip: (known?.embedding ?? 'flip') === 'flip', threshold, recognizer, faces };
}

/** The threshold of a rate; null if none is known. @throws ArgumentError if thresholds are known only for other rates */
function thresholdOf(known: ModelThresholds | undefined, far: number, name: string): number | undefined {
  const rates = Object.keys(known?.thresholds ?? {});
  const threshold = known?.thresholds[String(far)];
  if (rates.length > 0 && threshold === undefined) {
    throw new ArgumentError(`--far ${far}: thresholds of ${name} are known for ${rates.join(', ')}`);
  }
  return threshold;
}

/** One line on how good a recogniser is. */
export function qualityText(lfw: LfwFigures | null): string {
  if (!lfw) return 'how good this recogniser is has not been measured';
  const { pairs, accuracy, standardError, tar, far } = lfw;
  return `how good it is: ${percent(accuracy, 1)} ± ${(100 * standardError).toFixed(1)} of ${pairs} pairs of LFW decided correctly; at a false accept rate of ${far} it accepts ${percent(tar, 1)} of the pairs that show one person`;
}

/** Message if no threshold is known. */
export const NO_THRESHOLD =
  'no threshold is known for this recogniser; `cameo evaluate identities --save-thresholds` finds one';
