import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { ArchiveWriter } from '../data/archives/archive-writer.js';
import { parseShard, type Shard, shardOfEnvironment, shardText } from '../data/archives/shards.js';
import { DoneList } from '../data/files/done-list.js';
import { WriterLock } from '../data/files/writer-lock.js';
import { PICTURE_FORMATS } from '../data/pictures/picture-format.js';
import { CodecSession } from './codec-session.js';
import { SUFFIXES } from './compact-kind.js';
import {
  type EncodeCounts,
  encodePictures,
  picturesOf,
  picturesOfShard,
  type Targets,
  type WrittenFile,
} from './encode-run.js';
import { FaceFinder } from './face-finder.js';
import { addFaceOptions, checkFaceOptions, type FaceOptions } from './face-options.js';
import {
  autoencoderEncoder,
  codecEncoder,
  countedContainer,
  DEFAULT_BYTES,
  type EncodeSettings,
  warnOfFewBytes,
} from './face-writer.js';
import { stopOnInterrupt } from './interrupt.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { integer, sizeText } from './numbers.js';
import { Outputs, refuseInput } from './outputs.js';
import { readLandmarkInput } from './photo-faces.js';
import { startProgress } from './progress.js';
import { DASH } from './stdin.js';
import { note, STDOUT_NAME, say, takeStdoutForData, warn, writeData } from './terminal.js';
import type { CodecKind } from './weights.js';

/** Name of the list of finished files, in their folder during a run. */
const DONE = '.cameo-encode';

interface EncodeOptions extends FaceOptions {
  out?: string;
  archive?: string;
  bytes?: number;
  container?: EncodeSettings['container'];
  rate?: number;
  landmarks?: string;
  model?: string;
  shard?: string;
  json?: boolean;
}

/** Adds `cameo encode` to the program. */
export function addEncodeCommand(program: Command): void {
  const command = program
    .command('encode')
    .description('compress the faces of photographs to small files')
    .argument(
      '<photo...>',
      `photographs, in which faces are found, or aligned faces of 96×112 (width×height); ${PICTURE_FORMATS}, or folders of them; "-": standard input`,
    )
    .option(
      '-o, --out <dir>',
      `folder for the files, NAME${SUFFIXES.file} each, made if it is missing; "-": one file to standard output`,
    )
    .option(
      '--archive <file>',
      `put all faces into one archive, NAME${SUFFIXES.archive}, instead of or in addition to --out`,
    )
    .option('--bytes <n>', `maximum bytes of a face (default: ${DEFAULT_BYTES})`, integer(1, 65536))
    .addOption(
      new Option(
        '--container <kind>',
        `'file'; 'bare', 8 bytes smaller, NAME${SUFFIXES.bare}; 'png', which other programs can open, NAME${SUFFIXES.png} (default: chosen by the weights)`,
      ).choices(['file', 'bare', 'png']),
    )
    .option('--rate <n>', 'for png: the rate of the model; 0, the default, gives the smallest files', integer(0, 15))
    .option(
      '--landmarks <file>',
      'JSON file with five landmarks for each face of a photograph; the detector is then not used',
    )
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else the shipped weights)')
    .option(
      '--shard <n/count>',
      "only this share of the pictures, as 2/8, chosen by a hash of their names; 'auto': by Slurm's or Kubernetes' variables",
    )
    .option('--json', `the summary as ${JSON_HELP}`);
  addFaceOptions(command, 'all')
    .addHelpText(
      'after',
      `
Examples:
  cameo encode holiday.jpg -o small --bytes 300
  cameo encode holiday.jpg -o small --faces largest
  cameo encode holiday.jpg -o small --landmarks holiday.json
  cameo encode people/*.jpg --archive people${SUFFIXES.archive} --bytes 200
  cameo encode people --archive people${SUFFIXES.archive}
  cameo encode people --archive people-2${SUFFIXES.archive} --shard 2/8
  cameo encode face.png -o small --container png --rate 2
  cameo encode - -o - < face.png > face${SUFFIXES.file}

The landmark file, in pixels of the upright picture, with left and right as seen in the picture:
  { "holiday.jpg": [ [[x, y] left eye, [x, y] right eye, [x, y] nose, [x, y] left, [x, y] right corner of the mouth] ] }
A key is the path of the picture, its path below the folder that was given, or the end of its path.
A photograph with several faces becomes NAME-1${SUFFIXES.file}, NAME-2${SUFFIXES.file}, … from left to right; with --faces largest, NAME${SUFFIXES.file}.
A picture of 96×112 that is not listed counts as an aligned face. Faces that are small, blurred, turned far or cut off get a warning.
In a folder, all pictures are taken, also those of folders below it, in natural order; the face of ann/1.png is called ann/1.
Pictures that Cameo itself wrote into a folder are left out.
With --bytes, a PNG gets the highest rate that fits. In an archive, --bytes counts the face and its entry in the index, but not its name.
A file that cannot be read is named on standard error; the others are still encoded, and the exit code is 1.
Ctrl-C and SIGTERM stop the command (exit code 130). The same command then goes on after the finished faces, also after a crash;
until then, the faces of an archive are in FILE${SUFFIXES.archive}.part, which \`cameo info\` and \`cameo decode\` can read.
With --shard, each shard needs an archive or a folder of its own, and \`cameo merge\` joins the archives. Every shard gets the same pictures to choose from.
A shard to which no picture belongs writes an archive without faces. --shard auto reads SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT and SLURM_ARRAY_TASK_MIN,
or JOB_COMPLETION_INDEX and CAMEO_SHARDS, the number of shards.
Keys of --json: pictures (those of the shard), shard (as "2/8", or null), leftOut, encoded, resumed, out, files [{ input, output, bytes }] of pictures given by name,
archive { path, faces, bytes } or null, warnings [{ input, kind, message }] if there are any, errors; if the run was stopped: stopped, pictures, reached.`,
    )
    .action(encodePhotos);
}

/**
 * The outputs, by the options and the weights.
 * @throws ArgumentError for options that contradict each other or the weights
 */
function settingsOf({ bytes, container, rate, archive }: EncodeOptions, defaultKind: CodecKind): EncodeSettings {
  const chosen = container ?? (rate !== undefined || defaultKind === 'autoencoder' ? 'png' : 'file');
  if (rate !== undefined && chosen !== 'png') {
    throw new ArgumentError(`--rate ${rate}: only --container png has rates; use --bytes to limit the size of a face`);
  }
  if (rate !== undefined && bytes !== undefined) {
    throw new ArgumentError(
      `--rate ${rate} and --bytes ${bytes}: give only one of them, as each decides the size of a file`,
    );
  }
  if (archive !== undefined && chosen === 'png') {
    throw new ArgumentError(
      `--archive ${archive}: an archive cannot hold PNGs, only faces of a model with a byte budget`,
    );
  }
  return { container: chosen, rate, bytes: bytes ?? (chosen === 'png' ? undefined : DEFAULT_BYTES) };
}

/** The share of --shard; undefined without it. @throws ArgumentError */
function shardOption({ shard }: EncodeOptions): Shard | undefined {
  if (shard === undefined) return undefined;
  return shard === 'auto' ? shardOfEnvironment(process.env) : parseShard(shard);
}

/** @throws ArgumentError for places where faces cannot be written */
async function checkPlaces(photos: readonly string[], { out, archive, landmarks, model, shard, json }: EncodeOptions) {
  if (out === undefined && archive === undefined) {
    throw new ArgumentError("required option '-o, --out <dir>' (or '--archive <file>') not specified");
  }
  if (out === DASH && shard !== undefined) {
    throw new ArgumentError(`-o ${DASH} and --shard ${shard}: a shard may have no picture; give a folder or --archive`);
  }
  if (archive === DASH) {
    throw new ArgumentError(
      `--archive ${DASH}: an archive has to be a file, so that a stopped run can go on; give its name`,
    );
  }
  if (out === DASH) {
    if (json) throw new ArgumentError(`-o ${DASH} and --json: ${STDOUT_NAME} can take only one of them`);
    const several = photos.length > 1 || (await stat(photos[0]).catch(() => null))?.isDirectory();
    if (several) throw new ArgumentError(`-o ${DASH}: ${STDOUT_NAME} can take the file of only one picture`);
    takeStdoutForData();
  }
  if (archive !== undefined) await refuseInput(archive, [...photos, landmarks, model]);
}

/** The pictures that were named, and which of them this run encodes. */
async function picturesToEncode(photos: readonly string[], shard: Shard | undefined) {
  const { all: listed, folders, own } = await picturesOf(photos);
  if (own > 0) note(`left out ${own} pictures that Cameo wrote; to encode them again, give their names`);
  const all = shard ? picturesOfShard(listed, shard) : listed;
  if (shard && all.length === 0) note(`no picture of ${listed.length} belongs to shard ${shardText(shard)}`);
  return { listed, all, folders, own };
}

interface OpenTargets extends Targets {
  /** Of the folder of the files. */
  lock?: WriterLock;
}

/** What the faces become, and how. */
async function encoderFor(session: CodecSession, options: EncodeOptions, signal: AbortSignal) {
  const settings = settingsOf(options, session.defaultKind);
  const device = { signal, onLost: ({ message }: Error) => note(`${message}: going on with a new one`) };
  const { container, bytes } = settings;
  if (container !== 'png') warnOfFewBytes(bytes!);
  const counted = countedContainer(container, {
    files: options.out !== undefined,
    archive: options.archive !== undefined,
  });
  const encoder = await (container === 'png'
    ? autoencoderEncoder(session, settings, device)
    : codecEncoder(session, { container, maxBytes: bytes! }, counted, device));
  return { encoder, settings, counted };
}

/** Opens the outputs one after the other, so that the open ones can be closed. */
async function openTargets(
  targets: OpenTargets,
  session: CodecSession,
  photos: readonly string[],
  { out, archive: path, landmarks, model: weights }: EncodeOptions,
  { encoder, settings, counted }: Awaited<ReturnType<typeof encoderFor>>,
): Promise<void> {
  const suffix = SUFFIXES[settings.container];
  if (out === DASH) targets.stream = writeData;
  else if (out !== undefined) {
    const outputs = await Outputs.in(out);
    outputs.protect([...photos, landmarks, weights]);
    targets.lock = await WriterLock.take(join(out, `${DONE}.lock`), out);
    targets.files = { outputs, suffix, done: await DoneList.open(join(out, DONE), encoder.settings) };
  }
  if (path !== undefined) {
    await Outputs.in(dirname(path));
    const { model } = (await session.weights('codec')).file.tables;
    targets.archive = await ArchiveWriter.open(path, { model, maxBytes: settings.bytes!, container: counted });
  }
}

async function encodePhotos(photos: string[], options: EncodeOptions): Promise<void> {
  if (options.json) beginJson('encode');
  checkFaceOptions(options);
  await checkPlaces(photos, options);
  const { landmarks: list } = options;
  const shard = shardOption(options);
  const session = await CodecSession.open(options.model);
  const finder = new FaceFinder(options);
  const stop = stopOnInterrupt('stopping after the current faces …');
  const { signal } = stop;
  const targets: OpenTargets = {};
  let bar: ReturnType<typeof startProgress> | undefined;
  let reached = 0;
  let total = 0;
  try {
    const work = await encoderFor(session, options, signal);
    const landmarks = list === undefined ? undefined : await readLandmarkInput(list);
    await openTargets(targets, session, photos, options, work);
    const pictures = await picturesToEncode(photos, shard);
    total = pictures.all.length;
    targets.files?.outputs.protect(pictures.listed.map(({ path }) => path));
    // Prints a line for each file, but not for folders, which may hold very many, nor for archives, whose faces have no files.
    const lines = targets.files !== undefined && !pictures.folders;
    if (!lines) bar = startProgress(total, 'pictures');
    const written: WrittenFile[] = [];
    const counts = await encodePictures(pictures.all, targets, work.encoder, {
      landmarks,
      listed: pictures.listed,
      finder,
      onPicture: (done) => bar?.update((reached = done)),
      onFile: (file) => {
        if (!pictures.folders) written.push(file);
        if (lines) say(`${file.input} -> ${file.output}  ${sizeText(file.bytes)}`);
      },
    });
    bar?.stop();
    await targets.files?.done.remove();
    addJson({ pictures: total, shard: shard ? shardText(shard) : null, leftOut: pictures.own });
    addJson({ ...counts, out: options.out ?? null, files: written, archive: null }); // finishing the archive may fail
    const archive = targets.archive && {
      faces: targets.archive.count,
      bytes: await targets.archive.finish({ allowEmpty: total === 0 }),
    };
    tellSummary(options, counts, archive, lines);
    if (archive) addJson({ archive: { path: options.archive, ...archive } });
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    bar?.stop();
    addJson({ stopped: true, pictures: total, reached });
    warn(`stopped after ${reached} of ${total} pictures; the same command goes on from there`);
    process.exitCode = 130;
  } finally {
    bar?.stop();
    stop.release();
    await targets.archive?.close();
    await targets.files?.done.close();
    await targets.lock?.release();
    finder.close();
    await session.close();
  }
}

function tellSummary(
  { out, archive: path }: EncodeOptions,
  { encoded, resumed }: EncodeCounts,
  archive: { faces: number; bytes: number } | undefined,
  lines: boolean,
): void {
  const before = resumed === 0 ? '' : `  (${resumed} of them from an earlier run)`;
  if (out !== undefined && out !== DASH && !lines) say(`${encoded + resumed} faces -> ${out}${before}`);
  if (archive) say(`${archive.faces} faces -> ${path}  ${archive.bytes} bytes${before}`);
}
