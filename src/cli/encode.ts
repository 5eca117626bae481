import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { ArchiveWriter } from '../data/archive-writer.js';
import { DoneList } from '../data/done-list.js';
import { readLandmarks } from '../data/landmarks.js';
import { PICTURE_FORMATS } from '../data/picture-format.js';
import { WriterLock } from '../data/writer-lock.js';
import { CodecSession } from './codec-session.js';
import { SUFFIXES } from './compact-kind.js';
import { encodePictures, picturesOf, type Targets } from './encode-run.js';
import { budgetEncoder, type EncodeSettings, holderOf, pngEncoder } from './face-writer.js';
import { integer } from './numbers.js';
import { Outputs } from './outputs.js';
import { startProgress } from './progress.js';
import { note, say, warn } from './terminal.js';
import { stopOnInterrupt } from './training-run.js';
import type { CodecKind } from './weights.js';

/** Bytes of a face where nothing else is asked for. */
const USUAL_BYTES = 500;
/** In the folder of the files while a run is under way: which of them are finished. */
const DONE = '.cameo-encode';

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
    .argument(
      '<photo...>',
      `aligned faces of 96×112 (width×height), or photographs with landmarks; ${PICTURE_FORMATS}, or folders of them`,
    )
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
  cameo encode people --archive people${SUFFIXES.archive}
  cameo encode face.png -o small --container png --rate 2

The landmark file, in pixels of the upright picture; left and right as seen in it:
  { "holiday.jpg": [ [[x, y] left eye, [x, y] right eye, [x, y] nose, [x, y] left, [x, y] right corner of the mouth] ] }
A key is the path of the picture, its path below the folder that was given, or the end of its path.
A photograph with several faces becomes NAME-1${SUFFIXES.file}, NAME-2${SUFFIXES.file}, …
Of a folder, all pictures in it and below are taken, in natural order; what lies in ann/1.png is called ann/1.
With --bytes, a PNG gets the highest rate that fits. In an archive, --bytes counts the face and its place in the index, but
not its name. What cannot be read is named on standard error; the rest goes on, and the exit code is 1.
Ctrl-C or SIGTERM stop it (exit code 130). Whatever stopped it, the same command goes on after the faces that are finished;
until then those of an archive are in FILE${SUFFIXES.archive}.part, which \`cameo info\` and \`cameo decode\` read.`,
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
  const { out, archive: path, landmarks: list } = options;
  if (out === undefined && path === undefined) {
    throw new ArgumentError("required option '-o, --out <dir>' (or '--archive <file>') not specified");
  }
  const session = await CodecSession.open(options.model);
  const settings = settingsOf(options, session.usualKind);
  const stop = stopOnInterrupt('stopping after these faces …');
  const { signal } = stop;
  const device = {
    signal,
    onLost: ({ message }: Error) => note(`${message}: going on with a new one`),
  };
  // What makes all impossible is better known before the work.
  const { container, bytes } = settings;
  const holder = holderOf(container, { files: out !== undefined, archive: path !== undefined });
  const encoder = await (container === 'png'
    ? pngEncoder(session, settings, device)
    : budgetEncoder(session, { container, maxBytes: bytes! }, holder, device));
  let archive: ArchiveWriter | undefined;
  let lock: WriterLock | undefined;
  let files: Targets['files'];
  let bar: ReturnType<typeof startProgress> | undefined;
  let reached = 0;
  let total = 0;
  try {
    const landmarks = list === undefined ? undefined : await readLandmarks(list);
    if (out !== undefined) {
      const outputs = await Outputs.in(out);
      lock = await WriterLock.take(join(out, `${DONE}.lock`), out);
      files = { outputs, suffix: SUFFIXES[container], done: await DoneList.open(join(out, DONE), encoder.facts) };
    }
    if (path !== undefined) {
      await Outputs.in(dirname(path));
      const { model } = (await session.weights('budget')).file.tables;
      archive = await ArchiveWriter.open(path, { model, maxBytes: bytes!, holder });
    }
    const pictures = await picturesOf(photos);
    total = pictures.all.length;
    // A line for each file, but of folders, which may hold very many, and of archives, whose faces have none.
    const lines = files !== undefined && !pictures.folders;
    if (!lines) bar = startProgress(total, 'pictures');
    const counts = await encodePictures(pictures.all, { files, archive }, encoder, {
      landmarks,
      signal,
      onPicture: (done) => bar?.update((reached = done)),
      onFile: (line) => {
        if (lines) say(line);
      },
    });
    bar?.stop();
    await files?.done.remove();
    const before = counts.resumed === 0 ? '' : `  (${counts.resumed} were finished before)`;
    if (files && !lines) say(`${counts.encoded + counts.resumed} faces -> ${out}${before}`);
    if (archive) {
      const { count } = archive;
      say(`${count} faces -> ${path}  ${await archive.finish()} bytes${before}`);
    }
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    bar?.stop();
    warn(`stopped after ${reached} of ${total} pictures; the same command goes on from there`);
    process.exitCode = 130;
  } finally {
    bar?.stop();
    stop.release();
    encoder.close();
    await archive?.close();
    await files?.done.close();
    await lock?.release();
    await session.close();
  }
}
