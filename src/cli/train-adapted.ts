import type { Command } from 'commander';
import { FaceCodec } from '../codec/face-codec.js';
import { checkBudget } from '../codec/face-target.js';
import { ArgumentError } from '../common/errors.js';
import { RECOGNIZER_NAMES, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { type FaceSet, openFaceFolder } from '../data/faces/face-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { EncodingCache } from '../evaluation/codecs/encoding-cache.js';
import { FOREIGN_CODECS } from '../evaluation/codecs/index.js';
import { tryCodecs } from '../evaluation/codecs/try-codecs.js';
import { baselineEncoder, cameoEncoder, type FaceEncoder } from '../evaluation/comparison/face-encoders.js';
import { alignedFaceCrop, cropSize } from '../evaluation/verification/face-crops.js';
import { writeRecognizer } from '../models/recognizer-file.js';
import { saveState } from '../nn/state.js';
import { adaptRecognizer, type RestoredFaces } from '../training/adapt-recognizer.js';
import { openDevice } from './device.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { stopOnInterrupt } from './interrupt.js';
import { noteOwn } from './note-own.js';
import { integer, positive } from './numbers.js';
import { claimFile } from './outputs.js';
import { dataFolder, encodingsFolder, recognizerPlaces } from './places.js';
import { startStages } from './progress.js';
import { say } from './terminal.js';
import { expectKind, readWeights, weightsPath } from './weights.js';

interface AdaptedCommand {
  data?: string;
  recognizer: string;
  codec: string;
  bytes: number;
  model?: string;
  detector?: string;
  faces: number;
  steps: number;
  batch: number;
  lr: number;
  seed: number;
  out: string;
}

/** Of the validation part of the faces. */
const VALIDATION_FACES = 96;

/** Adds `adapted` to `cameo train`. */
export function addTrainAdapted(train: Command): void {
  const codecs = ['cameo', ...FOREIGN_CODECS.map(({ name }) => name)];
  train
    .command('adapted')
    .description('tune a recogniser to the faces that one codec restores, for `evaluate codecs`')
    .option('--data <dir>', 'folder of aligned faces (default: CAMEO_DATA)')
    .option('--detector <file>', DETECTOR_HELP)
    .option('--recognizer <name>', `one of ${RECOGNIZER_NAMES.join(', ')}, or a safetensors file`, 'mobilefacenet-ms1m')
    .requiredOption('--codec <name>', `one of ${codecs.join(', ')}`)
    .option('--bytes <n>', 'maximum bytes of a face', integer(1, 65536), 300)
    .option('--model <file>', 'weights of the Cameo codec (default: CAMEO_MODEL, else the shipped weights)')
    .option('--faces <n>', 'training faces', integer(1, 1_000_000), 1000)
    .option('--steps <n>', 'training steps', integer(1, 1_000_000), 120)
    .option('--batch <n>', 'faces in a step', integer(1, 1024), 16)
    .option('--lr <x>', 'peak learning rate of Adam', positive, 2e-4)
    .option('--seed <n>', 'of the order of faces', integer(0, 2 ** 32 - 1), 1)
    .requiredOption('-o, --out <file>', 'the adapted recogniser, a safetensors file')
    .addHelpText('after', '\nExample: cameo train adapted --codec webp --bytes 300 -o out/adapted/webp-300.safetensors')
    .action(run);
}

async function run(options: AdaptedCommand): Promise<void> {
  const { codec: name, bytes, faces: limit, out } = options;
  const baseline = FOREIGN_CODECS.find((codec) => codec.name === name);
  if (!baseline && name !== 'cameo') throw new ArgumentError(`--codec ${name}: no such codec; see --help`);
  const folder = dataFolder(options.data);
  const finder = await FaceFinder.forFolder(options.detector);
  const align = finder.aligner();
  const parts = {
    training: await openFaceFolder(folder, { split: 'train', limit, align }),
    validation: await openFaceFolder(folder, { split: 'val', limit: VALIDATION_FACES, align }),
  };
  const weights = baseline ? null : await readWeights(weightsPath(options.model, 'codec'));
  noteOwn(parts.training);
  for (const set of Object.values(parts)) await set.batch([0]); // throws if no face can be read
  const opened = await readRecognizerOf(options.recognizer, recognizerPlaces());
  const { recognizer, description } = opened;
  if (!description)
    throw new ArgumentError(`--recognizer ${options.recognizer}: files of this network cannot be written`);
  const size = cropSize(recognizer);
  if (weights) checkBudget(expectKind(weights, 'codec').file.tables.model, bytes, 'bare');
  if (baseline) await tryCodecs([baseline]);
  await claimFile(out, [options.recognizer, weights?.path]);
  const gpu = await openDevice();
  const stop = stopOnInterrupt();
  const stages = startStages();
  let codec: FaceCodec | undefined;
  try {
    opened.load(gpu);
    const cache = new EncodingCache(encodingsFolder());
    codec = weights ? FaceCodec.fromKlt(gpu, expectKind(weights, 'codec').file) : undefined;
    const encoder = codec ? cameoEncoder(codec, cache) : baselineEncoder(baseline!, cache, stop.signal);
    const onProgress = (what: string, done: number, total: number): void => {
      stop.signal.throwIfAborted();
      stages.update(what, done, total);
    };
    const restore = async (set: FaceSet, what: string): Promise<RestoredFaces> => {
      const { originals, restored } = await restoredFaces(set, encoder, bytes, what, onProgress);
      const crops = (faces: readonly Uint8Array[]) => faces.map((face) => alignedFaceCrop(face, size));
      return { originals: crops(originals), restored: crops(restored) };
    };
    const training = await restore(parts.training, 'training faces');
    const validation = await restore(parts.validation, 'validation faces');
    const { steps, batch: batchSize, lr: learningRate, seed } = options;
    const settings = { steps, batchSize, learningRate, seed };
    const { signal } = stop;
    const adapted = await adaptRecognizer({ gpu, recognizer, training, validation, ...settings, signal, onProgress });
    stages.stop();
    const metadata = {
      'cameo.adapted': JSON.stringify({
        from: opened.modelId,
        codec: name,
        bytes,
        faces: limit,
        ...settings,
        ...adapted,
      }),
    };
    await writeFileAtomic(out, writeRecognizer(description, await saveState(recognizer), metadata));
    const distance = `1 − cos of validation faces ${adapted.before.toFixed(4)} before, ${adapted.after.toFixed(4)} after`;
    say(`${out}: ${opened.name} adapted to ${encoder.title} at ${bytes} B, ${distance}`);
    opened.dispose();
  } finally {
    stages.stop();
    stop.release();
    codec?.dispose();
    finder.close();
    gpu.destroy();
  }
}

/** Faces for which the codec has a file, and those files decoded. @throws ArgumentError if it has no file at all */
async function restoredFaces(
  set: FaceSet,
  encoder: FaceEncoder,
  bytes: number,
  what: string,
  onProgress: (what: string, done: number, total: number) => void,
): Promise<RestoredFaces> {
  const all = await set.batch(await set.readable());
  const encoded = await encoder.encodeAll(all, bytes, (done, total) => onProgress(what, done, total));
  const fitting = [...all.keys()].filter((k) => encoded[k] !== null);
  if (fitting.length === 0) throw new ArgumentError(`${encoder.title} makes no file of ${bytes} bytes for any ${what}`);
  return { originals: fitting.map((k) => all[k]), restored: fitting.map((k) => encoded[k]!.rgb) };
}
