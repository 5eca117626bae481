import { join } from 'node:path';
import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import type { Split } from '../data/faces/face-listing.js';
import { type FaceSet, openFaceFolder } from '../data/faces/face-set.js';
import { firstFaces, labelFaces } from '../data/faces/identity-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import { gitCommit } from '../evaluation/reports/git-commit.js';
import { percent } from '../evaluation/reports/percent.js';
import { listLines, metadataTexts } from '../evaluation/reports/run-metadata.js';
import { markdownTable, textTable } from '../evaluation/reports/tables.js';
import { type Contender, type ContenderResult, compareNetworks, loadingMs } from '../training/compare-networks.js';
import { DEFAULT_RECOGNITION_TRAINING, type RecognitionTrainingConfig } from '../training/recognition-config.js';
import { checkTeacher, TeacherTargets } from '../training/teacher-targets.js';
import { openDevice } from './device.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { integer, positive } from './numbers.js';
import { Outputs } from './outputs.js';
import { dataFolder, embeddingsFile, recognizerPlaces } from './places.js';
import { print, say } from './terminal.js';

/** Values of the embeddings that are compared. */
const DIMENSION = 128;

interface ArchitecturesOptions {
  data?: string;
  sources?: string;
  teacher: string;
  networks: string;
  facesEach: number;
  seconds: number;
  detector?: string;
  batch: number;
  lr: number;
  out: string;
}

type Sizes = Pick<RecognitionTrainingConfig['model'], 'channels' | 'units'>;

/** Networks by name; a MobileFaceNet has no choices. */
const NETWORKS: Record<string, Sizes | null> = {
  'cameo-20': { channels: [20, 40, 80, 160], units: [0, 1, 1, 1] },
  'cameo-24': { channels: [24, 48, 96, 192], units: [0, 1, 2, 1] },
  'cameo-32': { channels: [32, 64, 96, 192], units: [0, 1, 2, 1] },
  'sphere-16': { channels: [16, 32, 64, 128], units: [1, 2, 4, 1] },
  'sphere-24': { channels: [24, 48, 96, 192], units: [1, 2, 4, 1] },
  'sphere-32': { channels: [32, 64, 128, 256], units: [1, 2, 4, 1] },
  mobilefacenet: null,
};

/** Adds `architectures` to `cameo train`. */
export function addTrainArchitectures(train: Command): void {
  const names = Object.keys(NETWORKS).join(',');
  train
    .command('architectures')
    .description(
      'train several recognisers for the same processor time each, and compare how well they learn from a teacher',
    )
    .option('--data <dir>', 'folder of aligned 96×112 faces with identities (default: CAMEO_DATA, else ../shared/data)')
    .option('--sources <names>', 'use only these sources of the manifest, separated by commas')
    .option('--detector <file>', DETECTOR_HELP)
    .option('--teacher <name>', 'the recogniser whose embeddings are learnt', 'mobilefacenet-casia')
    .option('--networks <names>', `which of ${names}, or sizes such as 20-40-80-160:0-1-1-1 (channels:units)`, names)
    .option('--faces-each <n>', 'maximum number of faces of a person', integer(2, 1e6), 1e6)
    .option('--seconds <n>', 'processor seconds for each, over all threads', positive, 600)
    .option('--batch <n>', 'faces in a step', integer(2, 4096), 32)
    .option('--lr <x>', 'learning rate', positive, 3e-3)
    .option('-o, --out <dir>', 'folder for recognizer-architectures.json and .md', 'results')
    .action(run);
}

/** Of a network by its name, or by its sizes. @throws ArgumentError */
function sizesOf(name: string): Sizes | null {
  if (Object.hasOwn(NETWORKS, name)) return NETWORKS[name];
  if (!/^\d+(-\d+){3}:\d+(-\d+){3}$/.test(name)) {
    throw new ArgumentError(`--networks: "${name}"; expected some of ${Object.keys(NETWORKS).join(', ')}, or sizes`);
  }
  const [channels, units] = name.split(':').map((list) => list.split('-').map(Number));
  return { channels, units } as unknown as Sizes;
}

function contenderOf(name: string, { batch, lr }: ArchitecturesOptions): Contender {
  const sizes = sizesOf(name);
  const defaults = DEFAULT_RECOGNITION_TRAINING;
  const config: RecognitionTrainingConfig = {
    ...defaults,
    architecture: sizes ? 'cameo-face' : 'mobilefacenet',
    model: { ...defaults.model, ...sizes },
    // The number of steps is not known, so the rate is constant; the average of the weights replaces its fall.
    steps: 1e9,
    warmUpSteps: 20,
    batchSize: batch,
    learningRate: lr,
    labelStart: 1e9,
    distillation: 100,
    averageDecay: 0.97,
  };
  return { name, config };
}

async function run(options: ArchitecturesOptions): Promise<void> {
  const contenders = options.networks.split(',').map((name) => contenderOf(name, options));
  const data = dataFolder(options.data);
  const sources = options.sources?.split(',');
  const finder = await FaceFinder.forFolder(options.detector);
  const openFaces = async (split: Split): Promise<FaceSet> => {
    const all = await openFaceFolder(data, { split, sources, align: finder.aligner() });
    return all.subset(firstFaces(all.entries, options.facesEach));
  };
  const faces = await openFaces('train');
  const validationFaces = await openFaces('val');
  const teacher = await readRecognizerOf(options.teacher, recognizerPlaces(data));
  checkTeacher(teacher, DIMENSION);
  const outputs = await Outputs.in(options.out);
  await outputs.reserve(['recognizer-architectures.json', 'recognizer-architectures.md'], [options.teacher]);
  const commit = gitCommit();
  const labelling = await labelFaces(faces);
  const gpu = await openDevice();
  try {
    teacher.load(gpu);
    const settings = { dimension: DIMENSION, views: 1 as const, cache: embeddingsFile(teacher.modelId) };
    const targets = await TeacherTargets.open(gpu, teacher, faces, settings);
    const validationTeacher = await TeacherTargets.open(gpu, teacher, validationFaces, settings);
    await targets.of(labelling.labelled);
    const validationTargets = await validationTeacher.of(await validationFaces.readable());
    await Promise.all([targets.save(), validationTeacher.save()]);
    const results = await compareNetworks({
      ...{ gpu, contenders, faces, labelling, targets, validationFaces, validationTargets },
      budget: options.seconds,
      turn: Math.min(10, options.seconds),
      onProgress: (name, seconds, distance) => say(`${name}: ${seconds.toFixed(0)} s, distance ${distance.toFixed(4)}`),
    });
    const loading = await loadingMs(faces, {
      ...contenders[0].config,
      augment: { ...contenders[0].config.augment, scale: 0.05 },
      degrade: { share: 0.5, covered: 0.1, grey: 0.05 },
    });
    const report = {
      ...runMetadata(gpu.description, commit),
      faces: { training: labelling.labelled.length, validation: validationFaces.count },
      loadingMs: loading,
      config: contenders[0].config,
      results,
    };
    const table = tableOf(results);
    const metadata = [
      `${labelling.labelled.length} faces of ${labelling.identities.length} persons; ${validationFaces.count} held-out faces of others; 1 − cosine to teacher ${teacher.name} alone is learnt`,
      `${options.seconds} processor seconds each (all threads of the process), in turns of 10, batches of ${options.batch}, AdamW at ${options.lr}; the running average of the weights is compared`,
      `Reading, degrading and turning a face takes ${loading.toFixed(1)} ms more, the teacher nothing: its embeddings are cached`,
      ...metadataTexts(report),
    ];
    const path = join(options.out, 'recognizer-architectures');
    await writeFileAtomic(`${path}.json`, `${JSON.stringify(report, null, 2)}\n`);
    await writeFileAtomic(
      `${path}.md`,
      `# Recognisers under equal budgets\n\n${listLines(metadata)}\n\n${markdownTable(table)}\n`,
    );
    print(textTable(table));
    targets.dispose();
    validationTeacher.dispose();
  } finally {
    teacher.dispose();
    finder.close();
    gpu.destroy();
  }
}

const tableOf = (results: readonly ContenderResult[]) => ({
  title: 'Networks',
  columns: [
    'Network',
    'Channels',
    'Units',
    'Parameters',
    'Forward, CPU ms a face',
    'Step, CPU ms a face',
    'Faces seen',
    'Distance, training',
    'Distance, held out',
    'TAR at FAR 1e-2',
    'Accuracy',
  ],
  rows: results.map(({ name, parameters, forwardMs, stepMs, faces, distance, validation }) => [
    name,
    sizesOf(name)?.channels.join('-') ?? '–',
    sizesOf(name)?.units.join('-') ?? '–',
    parameters,
    forwardMs.toFixed(1),
    stepMs.toFixed(1),
    faces,
    distance.toFixed(3),
    validation.distance!.toFixed(3),
    percent(validation.tar2, 1),
    percent(validation.accuracy, 1),
  ]),
  note: 'One seed each. A larger network gains more from a longer run than this one.',
});
