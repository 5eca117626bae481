import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import type { OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { MAX_PICTURE_BYTES } from '../data/pictures/image.js';
import { LandmarkIndex } from '../data/pictures/landmarks.js';
import { cosineSimilarity } from '../evaluation/metrics/verification.js';
import { embedPictures, type FacePicture } from '../evaluation/verification/embed-pictures.js';
import { cropSize, faceCrop } from '../evaluation/verification/face-crops.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { rate } from './numbers.js';
import { readLandmarkInput } from './photo-faces.js';
import { inputName, readInput } from './stdin.js';
import { print } from './terminal.js';
import { type ModelThresholds, readThresholds } from './thresholds.js';
import { RECOGNIZER_HELP, recognizerFor, withRecognizer } from './with-recognizer.js';

interface VerifyOptions {
  model: string;
  landmarks?: string;
  far: number;
  json?: boolean;
}

/** Adds `cameo verify` to the program. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify <a> <b>')
    .description(
      'how alike two faces are to a recogniser, and whether that is one person at the chosen false accept rate',
    )
    .option('--model <name>', RECOGNIZER_HELP, 'cameo')
    .option(
      '--landmarks <file>',
      'JSON with five landmarks a photograph, as for `cameo encode`; aligned 112×96 faces need none',
    )
    .option('--far <rate>', 'false accept rate of the decision', rate, 0.001)
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      `
One of the pictures, or the landmarks, may be "-": standard input.
Keys of --json: a, b, recognizer { name, model }, similarity, far, threshold and same (null where no threshold is known), errors`,
    )
    .action(async (a: string, b: string, options: VerifyOptions) => {
      if (options.json) beginJson('verify');
      await verify(a, b, options);
    });
}

/** The pictures, read and seen to be faces. @throws ImageError, ArgumentError */
async function readPictures(
  paths: readonly string[],
  landmarks: LandmarkIndex | undefined,
  { recognizer }: OpenRecognizer,
): Promise<FacePicture[]> {
  const pictures: FacePicture[] = [];
  for (const path of paths) {
    const name = inputName(path);
    const faces = landmarks?.of(path);
    if (faces && faces.length !== 1) {
      throw new ArgumentError(`${name}: the landmark file lists ${faces.length} faces; expected one to compare`);
    }
    const bytes = await readInput(path, MAX_PICTURE_BYTES);
    await faceCrop(bytes, name, cropSize(recognizer), faces?.[0]);
    pictures.push({ name, bytes, landmarks: faces?.[0] });
  }
  return pictures;
}

/** The threshold of a rate, where any are known. @throws ArgumentError where those of other rates are */
function thresholdOf(known: ModelThresholds | undefined, far: number, name: string): number | undefined {
  const threshold = known?.thresholds[String(far)];
  if (known && threshold === undefined) {
    const rates = Object.keys(known.thresholds).join(', ');
    throw new ArgumentError(`--far ${far}: thresholds of ${name} are known for ${rates}`);
  }
  return threshold;
}

async function verify(a: string, b: string, { model, landmarks: list, far }: VerifyOptions): Promise<void> {
  const paths = [...new Set([a, b])];
  const named = paths.map((path) => ({ path }));
  const landmarks = list === undefined ? undefined : new LandmarkIndex(await readLandmarkInput(list), named);
  const opened = await recognizerFor(model);
  const known = (await readThresholds())[opened.modelId];
  const threshold = thresholdOf(known, far, opened.name);
  const pictures = await readPictures(paths, landmarks, opened);
  await withRecognizer(opened, async (gpu) => {
    const flip = (known?.embedding ?? 'flip') === 'flip';
    const embeddings = await embedPictures(gpu, opened, pictures, { batch: 1, flip });
    const similarity = cosineSimilarity(embeddings.get(inputName(a))!, embeddings.get(inputName(b))!);
    const same = threshold === undefined ? null : similarity >= threshold;
    const recognizer = { name: opened.name, model: opened.modelId };
    tell({ a: inputName(a), b: inputName(b), recognizer, similarity, far, threshold: threshold ?? null, same });
  });
}

interface Verdict {
  a: string;
  b: string;
  recognizer: { name: string; model: string };
  similarity: number;
  far: number;
  threshold: number | null;
  same: boolean | null;
}

function tell(verdict: Verdict): void {
  if (addJson({ ...verdict })) return;
  const { similarity, recognizer, threshold, same, far } = verdict;
  print(`similarity ${similarity.toFixed(4)} (cosine; ${recognizer.name}, weights ${recognizer.model})`);
  if (threshold === null) {
    print('no threshold is known for this recogniser: `cameo evaluate identities --save-thresholds` finds them');
    return;
  }
  const decision = same ? 'the same person' : 'not the same person';
  print(`${decision}: threshold ${threshold.toFixed(4)} at a false accept rate of ${far}`);
}
