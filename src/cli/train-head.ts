import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { loadRecognizers, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { openFaceFolder } from '../data/faces/face-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { writeRecognizer } from '../models/recognizer-file.js';
import { saveState } from '../nn/state.js';
import { fitHead, withFullHead } from '../training/components/fit-head.js';
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
import { RECOGNIZER_HELP } from './with-recognizer.js';

interface TrainHeadCommand {
  data?: string;
  detector?: string;
  model: string;
  teacher: string;
  ridge: number;
  out: string;
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
    .requiredOption('-o, --out <file>', 'the recogniser with the new layer')
    .addHelpText(
      'after',
      '\nExample: cameo train head --data out/recognizer/faces --model out/recognizer/run/best.safetensors -o head.safetensors\nTo train it on: cameo train recognition --from head.safetensors, with "head": "full" among the settings of the model',
    )
    .action(run);
}

async function run({ data, detector, model: name, teacher: teacherName, ridge, out }: TrainHeadCommand): Promise<void> {
  const places = recognizerPlaces(dataFolder(data));
  const { description, tensors, modelId, recognizer } = await readRecognizerOf(name, places);
  if (description?.architecture !== 'cameo-face') {
    throw new ArgumentError(`--model ${name}: expected a CameoFace, which this program can train`);
  }
  const teacher = await readRecognizerOf(teacherName, places);
  checkTeacher(teacher, recognizer.dimension);
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
    teaching.dispose();
    const model = withFullHead(gpu, description, tensors);
    await fitHead(gpu, model, faces, indices, targets, ridge, stages.update);
    const about = {
      'cameo.head': JSON.stringify({ from: modelId, teacher: teacher.modelId, ridge, faces: indices.length }),
    };
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
