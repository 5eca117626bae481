import { dirname } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { loadRecognizers, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { type FaceSet, openFaceFolder } from '../data/faces/face-set.js';
import { labelFaces } from '../data/faces/identity-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import type { Gpu } from '../gpu/gpu.js';
import { loadKlt } from '../models/klt-file.js';
import { writeRecognizer } from '../models/recognizer-file.js';
import { saveState } from '../nn/state.js';
import { fitHead, type HeadFaces, withFullHead } from '../training/components/fit-head.js';
import { FaceGenerator } from '../training/face-generator.js';
import { checkGenerated, type GeneratedCounts, GeneratedFaces } from '../training/generated-faces.js';
import { DEFAULT_RECOGNITION_TRAINING } from '../training/recognition-config.js';
import { checkTeacher, TeacherTargets } from '../training/teacher-targets.js';
import { openDevice } from './device.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { noteOwn } from './note-own.js';
import { positive } from './numbers.js';
import { claimFile } from './outputs.js';
import { dataFolder, embeddingsFile, recognizerPlaces } from './places.js';
import { startStages } from './progress.js';
import { say } from './terminal.js';
import { type CodecWeights, readGeneratorWeights } from './weights.js';
import { RECOGNIZER_HELP } from './with-recognizer.js';

interface TrainHeadCommand {
  data?: string;
  detector?: string;
  model: string;
  teacher: string;
  ridge: number;
  generated?: GeneratedCounts;
  out: string;
}

/** As in `generated` of the settings of `cameo train recognition`. @throws InvalidArgumentError, which commander reports */
function generatedCounts(text: string): GeneratedCounts {
  const numbers = text.split(',').map(Number);
  if (!/^\d+,\d+,\d+$/.test(text)) throw new InvalidArgumentError('Expected three numbers, as 4000,37000,3000.');
  const [restored, blended, invented] = numbers;
  try {
    return checkGenerated({ restored, blended, invented });
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** Adds `head` to `cameo train`. */
export function addTrainHead(train: Command): void {
  train
    .command('head')
    .description('compute the last layer of a trained recogniser in closed form, from the embeddings of a teacher')
    .option('--data <dir>', 'folder of aligned faces, of which split train is used (default: CAMEO_DATA)')
    .option('--detector <file>', DETECTOR_HELP)
    .option('--model <name>', `a recogniser that \`cameo train recognition\` made. ${RECOGNIZER_HELP}`, 'cameo')
    .option('--teacher <name>', 'the recogniser whose embeddings are the targets', 'mobilefacenet-casia')
    .option(
      '--ridge <x>',
      "what is added to the diagonal of the features' covariance, as a multiple of its mean",
      positive,
      0.5,
    )
    .option(
      '--generated <counts>',
      'also learn from faces that the codec makes: how many it restores, blends from two faces, and invents, multiples of 8, as 4000,37000,3000. They are kept in the folder of the output file, where `cameo train recognition` with the same numbers finds them',
      generatedCounts,
    )
    .requiredOption('-o, --out <file>', 'the recogniser with the new layer')
    .addHelpText(
      'after',
      '\nExample: cameo train head --data out/recognizer/faces --model out/recognizer/run/best.safetensors -o head.safetensors\nTo train it on: cameo train recognition --from head.safetensors, with "head": "full" among the settings of the model',
    )
    .action(run);
}

/** Makes the faces that are not there yet, and has the teacher embed them. */
async function generatedFaces(
  gpu: Gpu,
  weights: CodecWeights,
  { faces, indices, generated, out }: { faces: FaceSet; indices: number[]; generated: GeneratedCounts; out: string },
  teaching: TeacherTargets,
  onProgress: (done: number, total: number) => void,
): Promise<HeadFaces> {
  const { labelled } = await labelFaces(faces);
  const codec = loadKlt(gpu, weights.file);
  const generator = new FaceGenerator(gpu, codec);
  try {
    const from = labelled.length > 0 ? labelled : indices;
    const { seed } = DEFAULT_RECOGNITION_TRAINING;
    const made = new GeneratedFaces(generator, faces, from, generated, seed, dirname(out), weights.modelId);
    const targets = await teaching.ofAllGenerated(made, onProgress);
    return { faces: made, indices: Array.from({ length: made.count }, (_, k) => k), targets };
  } finally {
    generator.dispose();
    codec.dispose();
  }
}

async function run(command: TrainHeadCommand): Promise<void> {
  const { data, detector, model: name, teacher: teacherName, ridge, generated, out } = command;
  const places = recognizerPlaces(dataFolder(data));
  const { description, tensors, modelId, recognizer } = await readRecognizerOf(name, places);
  if (description?.architecture !== 'cameo-face') {
    throw new ArgumentError(`--model ${name}: expected a CameoFace, which this program can train`);
  }
  const teacher = await readRecognizerOf(teacherName, places);
  checkTeacher(teacher, recognizer.dimension);
  const codec = generated && (await readGeneratorWeights());
  const finder = await FaceFinder.forFolder(detector);
  const faces = await openFaceFolder(dataFolder(data), { split: 'train', align: finder.aligner() });
  noteOwn(faces);
  await claimFile(out, [name, teacherName]);
  const gpu = await openDevice();
  const stages = startStages();
  try {
    const indices = await faces.readable((done, total) => stages.update('reading faces', done, total));
    loadRecognizers(gpu, [teacher]);
    const settings = { dimension: recognizer.dimension, views: 1, cache: embeddingsFile(teacher.modelId) } as const;
    const teaching = await TeacherTargets.open(gpu, teacher, faces, settings);
    const targets = await teaching.of(indices, (done, total) =>
      stages.update('embeddings of the teacher', done, total),
    );
    await teaching.save();
    const parts: HeadFaces[] = [{ faces, indices, targets }];
    if (generated && codec) {
      const given = { faces, indices, generated, out };
      const progress = (done: number, total: number) => stages.update('generated faces', done, total);
      parts.push(await generatedFaces(gpu, codec, given, teaching, progress));
    }
    teaching.dispose();
    const model = withFullHead(gpu, description, tensors);
    await fitHead(gpu, model, parts, ridge, stages.update);
    const made = { from: modelId, teacher: teacher.modelId, ridge, faces: indices.length };
    const about = { 'cameo.head': JSON.stringify({ ...made, ...(codec && { generated, codec: codec.modelId }) }) };
    const bytes = writeRecognizer({ ...description, head: 'full' }, await saveState(model), about);
    model.dispose();
    await writeFileAtomic(out, bytes);
    stages.stop();
    say(`${out}: ${bytes.length} bytes`);
  } finally {
    stages.stop();
    finder.close();
    recognizer.dispose();
    teacher.dispose();
    gpu.destroy();
  }
}
