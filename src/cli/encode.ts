import { dirname } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { writeFileAtomic } from '../data/atomic-file.js';
import { readLandmarks } from '../data/landmarks.js';
import { BATCH, CodecSession } from './codec-session.js';
import { SUFFIXES } from './compact-kind.js';
import { complain, orComplain } from './complain.js';
import { ArchiveContent, budgetEncoder, type EncodeSettings, pngEncoder } from './face-writer.js';
import { integer, sizeText } from './numbers.js';
import { Outputs } from './outputs.js';
import { type PhotoFace, readPhotoFaces } from './photo-faces.js';
import type { CodecKind } from './weights.js';

/** Bytes of a face where nothing else is asked for. */
const USUAL_BYTES = 500;

interface EncodeOptions {
  out?: string;
  archive?: string;
  bytes?: number;
  container?: EncodeSettings['container'];
  rate?: number;
  landmarks?: string;
  model?: string;
}

/** Adds `cameo encode` to the program. */
export function addEncodeCommand(program: Command): void {
  program
    .command('encode')
    .description('compress faces to small files')
    .argument('<photo...>', 'aligned faces of 96×112 (width×height), or photographs with landmarks; JPEG, PNG, WebP')
    .option('-o, --out <dir>', `folder for the files, NAME${SUFFIXES.file} each; made where it is missing`)
    .option('--archive <file>', `put all faces into this one file, NAME${SUFFIXES.archive}, instead or as well`)
    .option('--bytes <n>', `most bytes of a face (default: ${USUAL_BYTES})`, integer(1, 65536))
    .addOption(
      new Option(
        '--container <kind>',
        `'file'; 'bare', 8 bytes less, NAME${SUFFIXES.bare}; 'png', which other programs open too, NAME${SUFFIXES.png} (default: as the weights have it)`,
      ).choices(['file', 'bare', 'png']),
    )
    .option('--rate <n>', 'for png: which rate of the model; 0, the default, makes the smallest files', integer(0, 15))
    .option('--landmarks <file>', 'JSON file with five landmarks for each face of a photograph')
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else those that are shipped)')
    .addHelpText(
      'after',
      `
Examples:
  cameo encode face.png -o small
  cameo encode holiday.jpg -o small --bytes 300 --landmarks holiday.json
  cameo encode people/*.jpg --archive people${SUFFIXES.archive} --bytes 200
  cameo encode face.png -o small --container png --rate 2

The landmark file, in pixels of the upright picture; left and right as seen in it:
  { "holiday.jpg": [ [[x, y] left eye, [x, y] right eye, [x, y] nose, [x, y] left, [x, y] right corner of the mouth] ] }
A photograph with several faces becomes NAME-1${SUFFIXES.file}, NAME-2${SUFFIXES.file}, …
With --bytes, a PNG gets the highest rate that fits. In an archive, --bytes counts the face and its place in the index, but
not its name. What cannot be read is named on standard error; the rest goes on, and the exit code is 1.`,
    )
    .action(encodePhotos);
}

/**
 * What to make, by the options and the weights.
 * @throws ArgumentError for options that contradict each other or the weights
 */
function settingsOf({ bytes, container, rate, archive }: EncodeOptions, usual: CodecKind): EncodeSettings {
  const chosen = container ?? (rate !== undefined || usual === 'png' ? 'png' : 'file');
  if (rate !== undefined && chosen !== 'png') {
    throw new ArgumentError(`--rate ${rate}: only --container png has rates; --bytes says how large a face may get`);
  }
  if (rate !== undefined && bytes !== undefined) {
    throw new ArgumentError(
      `--rate ${rate} and --bytes ${bytes}: give one of them, each decides how large a file gets`,
    );
  }
  if (archive !== undefined && chosen === 'png') {
    throw new ArgumentError(
      `--archive ${archive}: PNGs do not go into archives, only faces of a model with --bytes do`,
    );
  }
  return { container: chosen, rate, bytes: bytes ?? (chosen === 'png' ? undefined : USUAL_BYTES) };
}

async function encodePhotos(photos: string[], options: EncodeOptions): Promise<void> {
  const { out, archive, landmarks: list } = options;
  if (out === undefined && archive === undefined) {
    throw new ArgumentError("required option '-o, --out <dir>' (or '--archive <file>') not specified");
  }
  const session = await CodecSession.open(options.model);
  const settings = settingsOf(options, session.usualKind);
  const { container } = settings;
  // What makes all impossible is better known before the work.
  const encode = await (container === 'png'
    ? pngEncoder(session, settings)
    : budgetEncoder(session, settings, { files: out !== undefined, archive: archive !== undefined }));
  const landmarks = list === undefined ? undefined : await readLandmarks(list);
  const outputs = out === undefined ? undefined : await Outputs.in(out);
  if (archive !== undefined) await Outputs.in(dirname(archive));
  const content = archive === undefined ? undefined : new ArchiveContent();

  const waiting: (PhotoFace & { output?: string })[] = [];
  const encodeBatch = async (): Promise<void> => {
    const batch = waiting.splice(0, BATCH);
    const encoded = await encode(batch);
    for (const [k, { input, name, output }] of batch.entries()) {
      await orComplain(input, async () => {
        const one = encoded[k];
        if ('error' in one) throw one.error;
        if (one.symbols) content?.add(name, one.symbols);
        if (output === undefined) return;
        await writeFileAtomic(output, one.file);
        console.log(`${input} -> ${output}  ${sizeText(one.file.length)}`);
      });
    }
  };

  try {
    for (const photo of photos) {
      const faces = (await orComplain(photo, () => readPhotoFaces(photo, landmarks, complain))) ?? [];
      for (const face of faces) {
        await orComplain(face.input, () => {
          content?.claim(face.name, face.input);
          waiting.push({ ...face, output: outputs?.claim(`${face.name}${SUFFIXES[container]}`, face.input) });
        });
      }
      while (waiting.length >= BATCH) await encodeBatch();
    }
    if (waiting.length > 0) await encodeBatch();
    if (archive !== undefined && content) await writeArchive(archive, content, session);
  } finally {
    await session.close();
  }
}

async function writeArchive(path: string, content: ArchiveContent, session: CodecSession): Promise<void> {
  if (content.count === 0) throw new ArgumentError(`${path}: not written, for there is no face to put into it`);
  const bytes = await content.pack(session);
  await writeFileAtomic(path, bytes);
  console.log(`${content.count} faces -> ${path}  ${bytes.length} bytes`);
}
