import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { LandmarkIndex, readLandmarks } from '../data/landmarks.js';
import { cosine } from '../evaluation/metrics/verification.js';
import { embedPictures } from '../evaluation/verification/embed-pictures.js';
import { rate } from './numbers.js';
import { readThresholds } from './thresholds.js';
import { RECOGNIZER_HELP, withRecognizer } from './with-recognizer.js';

interface VerifyOptions {
  model: string;
  landmarks?: string;
  far: number;
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
    .action(verify);
}

async function verify(a: string, b: string, options: VerifyOptions): Promise<void> {
  const paths = [...new Set([a, b])];
  const named = paths.map((path) => ({ path }));
  const landmarks = options.landmarks ? new LandmarkIndex(await readLandmarks(options.landmarks), named) : undefined;
  const pictures = paths.map((path) => {
    const faces = landmarks?.of(path);
    if (faces && faces.length !== 1) {
      throw new ArgumentError(`${path}: the landmark file lists ${faces.length} faces; expected one to compare`);
    }
    return { name: path, path, landmarks: faces?.[0] };
  });
  const saved = await readThresholds();
  await withRecognizer(options.model, undefined, async (gpu, opened) => {
    const known = saved[opened.modelId];
    const threshold = known?.thresholds[String(options.far)];
    if (known && threshold === undefined) {
      const rates = Object.keys(known.thresholds).join(', ');
      throw new ArgumentError(`--far ${options.far}: thresholds of ${opened.name} are known for ${rates}`);
    }
    const flip = (known?.embedding ?? 'flip') === 'flip';
    const embeddings = await embedPictures(gpu, opened, pictures, { batch: 1, flip });
    const similarity = cosine(embeddings.get(a)!, embeddings.get(b)!);
    console.log(`similarity ${similarity.toFixed(4)} (cosine; ${opened.name}, weights ${opened.modelId})`);
    if (threshold === undefined) {
      console.log(
        'no threshold is known for this recogniser: `cameo evaluate identities --save-thresholds` finds them',
      );
      return;
    }
    const decision = similarity >= threshold ? 'the same person' : 'not the same person';
    console.log(`${decision}: threshold ${threshold.toFixed(4)} at a false accept rate of ${options.far}`);
  });
}
