import type { Command } from 'commander';
import { writeFileAtomic } from '../data/atomic-file.js';
import { readLandmarks } from '../data/landmarks.js';
import { BATCH, CodecSession, checkRate, readWeights } from './codec-session.js';
import { complain, orComplain } from './complain.js';
import { integer, sizeText } from './numbers.js';
import { Outputs } from './outputs.js';
import { type PhotoFace, readPhotoFaces } from './photo-faces.js';

/** Compact files are called NAME and this. */
export const COMPACT_SUFFIX = '.cameo.png';

interface EncodeOptions {
  out: string;
  rate: number;
  landmarks?: string;
  model?: string;
}

/** Adds `cameo encode` to the program. */
export function addEncodeCommand(program: Command): void {
  program
    .command('encode')
    .description('compress faces to small files')
    .argument('<photo...>', 'aligned faces of 96×112 (width×height), or photographs with landmarks; JPEG, PNG, WebP')
    .requiredOption('-o, --out <dir>', `folder for the files NAME${COMPACT_SUFFIX}; made where it is missing`)
    .option('--rate <n>', 'which rate of the model; 0 makes the smallest files', integer(0, 15), 0)
    .option('--landmarks <file>', 'JSON file with five landmarks for each face of a photograph')
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else those that are shipped)')
    .addHelpText(
      'after',
      `
Examples:
  cameo encode face.png -o small
  cameo encode holiday.jpg -o small --rate 2 --landmarks holiday.json

The landmark file, in pixels of the upright picture; left and right as seen in it:
  { "holiday.jpg": [ [[x, y] left eye, [x, y] right eye, [x, y] nose, [x, y] left, [x, y] right corner of the mouth] ] }
A photograph with several faces becomes NAME-1${COMPACT_SUFFIX}, NAME-2${COMPACT_SUFFIX}, …
What cannot be read is named on standard error; the rest goes on, and the exit code is 1.`,
    )
    .action(encodePhotos);
}

async function encodePhotos(photos: string[], { out, rate, landmarks: list, model }: EncodeOptions): Promise<void> {
  const weights = await readWeights(model);
  checkRate(weights, rate);
  const landmarks = list === undefined ? undefined : await readLandmarks(list);
  const outputs = await Outputs.in(out);

  const session = new CodecSession(weights);
  const waiting: (PhotoFace & { output: string })[] = [];
  const encodeBatch = async (): Promise<void> => {
    const batch = waiting.splice(0, BATCH);
    const codec = await session.codec();
    const pixels = batch.map((face) => face.pixels);
    const files = await codec.encode(pixels, rate);
    for (const [k, { input, output }] of batch.entries()) {
      await orComplain(input, async () => {
        await writeFileAtomic(output, files[k]);
        console.log(`${input} -> ${output}  ${sizeText(files[k].length)}`);
      });
    }
  };

  try {
    for (const photo of photos) {
      const faces = (await orComplain(photo, () => readPhotoFaces(photo, landmarks, complain))) ?? [];
      for (const face of faces) {
        await orComplain(face.input, () => {
          waiting.push({ ...face, output: outputs.claim(`${face.name}${COMPACT_SUFFIX}`, face.input) });
        });
      }
      while (waiting.length >= BATCH) await encodeBatch();
    }
    if (waiting.length > 0) await encodeBatch();
  } finally {
    await session.close();
  }
}
