import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { loadKlt } from '../codec/klt-file.js';
import { readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { labelReportText } from '../data/faces/identity-set.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { percent } from '../evaluation/reports/percent.js';
import { LazyDevice } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import type { KltAutoencoder } from '../models/klt-autoencoder.js';
import { LOSSES, type LossSpec } from '../ops/margin-loss.js';
import {
  DEFAULT_RECOGNITION_TRAINING,
  facesInStep,
  type RecognitionTrainingConfig,
} from '../training/recognition-config.js';
import { RecognitionTrainer } from '../training/recognition-trainer.js';
import { readCheckpoint } from '../training/train-codec.js';
import { trainRecognition } from '../training/train-recognition.js';
import type { TrainingLog } from '../training/training-log.js';
import { openDevice } from './device.js';
import { noteOwn } from './note-own.js';
import { refuseInput } from './outputs.js';
import { dataFolder, embeddingsFile, recognizerPlaces } from './places.js';
import { type Progress, startBar, startStages } from './progress.js';
import { say } from './terminal.js';
import {
  checkpointOf,
  checkResumed,
  number,
  RESUME_HELP,
  readSettings,
  STEPS_HELP,
  settingsGiven,
  stackedPlots,
  stopOnInterrupt,
  tellOutcome,
} from './training-run.js';
import { expectKind, readWeights, type WeightsOf, weightsPath } from './weights.js';

interface TrainRecognitionCommand {
  data?: string;
  sources?: string;
  out: string;
  config?: string;
  loss?: LossSpec['loss'];
  s?: number;
  m?: number;
  steps?: number;
  batch?: number;
  seed?: number;
  lr?: number;
  balanced?: boolean;
  teacher?: string;
  distillation?: number;
  unlabelled?: number;
  validateOn?: string;
  checkpointEvery?: number;
  resume?: boolean;
}

/** Margins usual for each loss. */
export const USUAL_MARGINS: Record<LossSpec['loss'], Omit<LossSpec, 'loss'>> = {
  cosface: { s: 30, m: 0.35, lambda: 0 },
  arcface: { s: 30, m: 0.5, lambda: 0 },
  sphereface: { s: 1, m: 4, lambda: 5 },
  normface: { s: 30, m: 0, lambda: 0 },
  softmax: { s: 1, m: 0, lambda: 0 },
};

const FORMAT = '{value}/{total}  loss {loss}  teacher {distance}  {speed} images/s  left {eta_formatted}';

/** Adds `recognition` to `cameo train`. */
export function addTrainRecognition(train: Command): void {
  train
    .command('recognition')
    .description('train a face recogniser on a folder of aligned 112×96 faces with identities')
    .option(
      '--data <dir>',
      'folder with a manifest.tsv, or with a folder an identity (default: CAMEO_DATA, else ../shared/data)',
    )
    .option('--sources <names>', 'only faces of these sources of the manifest, separated by commas')
    .option('-o, --out <dir>', 'where checkpoint, log, plot and models go', 'out/recognition')
    .option('--config <file>', 'JSON with any of the settings that the run prints')
    .addOption(new Option('--loss <name>', 'loss on the labels').choices(LOSSES))
    .option('--s <x>', 'scale of the logits', number)
    .option('--m <x>', 'margin: cosine (cosface), radians (arcface), factor 1 to 4 (sphereface)', number)
    .option('--steps <n>', STEPS_HELP, number)
    .option('--batch <n>', 'labelled faces a step', number)
    .option('--seed <n>', 'seed of weights, order and changes of pictures', number)
    .option('--lr <x>', 'peak learning rate', number)
    .option('--balanced', 'draw every identity as often as any other')
    .option('--teacher <name>', 'also learn the embeddings of this recogniser (a name or a safetensors file)')
    .option('--distillation <x>', 'weight of the distance to the teacher (default 10 with a teacher)', number)
    .option('--unlabelled <n>', 'faces without label a step, for the teacher alone', number)
    .option('--validate-on <names>', 'validation looks at faces of these sources only (default: as --sources)')
    .option('--checkpoint-every <n>', 'steps between checkpoints and validations (default: one epoch)', number)
    .option('--resume', RESUME_HELP)
    .addHelpText(
      'after',
      '\nExample: cameo train recognition --data faces --loss cosface --m 0.35 -o out/recognition\nCtrl-C writes a checkpoint; --resume goes on to the same numbers.',
    )
    .action(run);
}

async function settings(options: TrainRecognitionCommand): Promise<RecognitionTrainingConfig> {
  const defaults = DEFAULT_RECOGNITION_TRAINING;
  const file = options.config ? await readSettings(options.config, defaults) : {};
  const name = options.loss ?? file.loss?.loss ?? defaults.loss.loss;
  const loss: LossSpec = { loss: name, ...USUAL_MARGINS[name], ...(options.loss ? {} : file.loss) };
  if (options.s !== undefined) loss.s = options.s;
  if (options.m !== undefined) loss.m = options.m;
  const config = {
    ...defaults,
    ...file,
    model: { ...defaults.model, ...file.model },
    augment: { ...defaults.augment, ...file.augment },
    degrade: { ...defaults.degrade, ...file.degrade },
    loss,
  };
  if (options.teacher && !file.distillation) config.distillation = 10;
  const given = {
    steps: options.steps,
    batchSize: options.batch,
    seed: options.seed,
    learningRate: options.lr,
    balanced: options.balanced,
    distillation: options.distillation,
    unlabelledBatch: options.unlabelled,
  };
  return Object.assign(config, Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}

/** The checkpoint's settings; of those given, the steps alone may be others. @throws ArgumentError for any other */
async function resumedConfig(checkpoint: string, options: TrainRecognitionCommand): Promise<RecognitionTrainingConfig> {
  const config = RecognitionTrainer.configOf(await readCheckpoint(checkpoint));
  const file = options.config ? await readSettings(options.config, DEFAULT_RECOGNITION_TRAINING) : {};
  checkResumed(checkpoint, config, [
    // --loss takes the place of the file's whole loss, as in a new run.
    ...settingsGiven(options.config!, options.loss ? { ...file, loss: {} } : file),
    { said: '--loss', setting: 'loss.loss', value: options.loss },
    { said: '--s', setting: 'loss.s', value: options.s },
    { said: '--m', setting: 'loss.m', value: options.m },
    { said: '--batch', setting: 'batchSize', value: options.batch },
    { said: '--seed', setting: 'seed', value: options.seed },
    { said: '--lr', setting: 'learningRate', value: options.lr },
    { said: '--balanced', setting: 'balanced', value: options.balanced },
    { said: '--distillation', setting: 'distillation', value: options.distillation },
    { said: '--unlabelled', setting: 'unlabelledBatch', value: options.unlabelled },
  ]);
  return { ...config, steps: options.steps ?? file.steps ?? config.steps };
}

async function run(options: TrainRecognitionCommand): Promise<void> {
  const data = dataFolder(options.data);
  const checkpoint = checkpointOf(options.out, options.resume);
  const config = options.resume ? await resumedConfig(checkpoint, options) : await settings(options);
  say(`settings: ${JSON.stringify(config)}`);

  const teacher = options.teacher ? await readRecognizerOf(options.teacher, recognizerPlaces(data)) : undefined;
  for (const name of ['model', 'best']) await refuseInput(join(options.out, `${name}.safetensors`), [options.teacher]);
  const shipped = config.generatedBatch > 0 ? await readCodec() : undefined;
  let made: KltAutoencoder | undefined;
  const codec = shipped && { id: shipped.modelId, model: (gpu: Gpu) => (made = loadKlt(gpu, shipped.file)) };
  const device = new LazyDevice(openDevice);
  const stop = stopOnInterrupt();
  let bar: Progress | undefined;
  const preparing = startStages();
  const faces = facesInStep(config);
  const smooth = { loss: Number.NaN, distance: Number.NaN, time: Number.NaN };
  const blend = (key: keyof typeof smooth, value: number): number => {
    smooth[key] = Number.isNaN(smooth[key]) ? value : 0.97 * smooth[key] + 0.03 * value;
    return smooth[key];
  };
  let last = performance.now();
  try {
    const result = await trainRecognition({
      gpu: device.open,
      config,
      data,
      sources: options.sources?.split(','),
      validationSources: options.validateOn?.split(','),
      out: options.out,
      resume: options.resume,
      checkpointEvery: options.checkpointEvery,
      teacher,
      codec,
      embeddings: teacher && embeddingsFile(teacher.modelId),
      signal: stop.signal,
      metadata: { 'cameo.license': 'see the model card beside this file' },
      onProgress: preparing.update,
      onStart: ({ gpu, faces: set, labelling, firstStep, parameters }) => {
        preparing.stop();
        noteOwn(set);
        for (const line of labelReportText(labelling.report)) say(line);
        const { identities, labelled, unlabelled } = labelling;
        say(
          `${parameters} parameters; ${labelled.length} faces of ${identities.length} identities and ${unlabelled.length} without label of ${resolve(set.root)}, on ${gpu.description.description}`,
        );
        bar = startBar(FORMAT, config.steps, firstStep, { loss: '-', distance: '-', speed: '-' });
        last = performance.now();
      },
      onStep: (step) => {
        const now = performance.now();
        bar?.update(step.step + 1, {
          loss: blend('loss', step.classification).toFixed(3),
          distance: teacher ? blend('distance', step.distance).toFixed(3) : '-',
          speed: ((1000 * faces) / blend('time', now - last)).toFixed(1),
        });
        last = now;
      },
      onCheckpoint: async (log, validation) => {
        await writeFileAtomic(join(options.out, 'training.svg'), trainingPlot(log));
        if (validation) {
          const { tar3, tar2, accuracy, distance } = validation;
          const far = distance !== undefined ? `, distance to the teacher ${distance.toFixed(3)}` : '';
          say(
            `\nheld-out identities: TAR ${percent(tar3, 1)} at FAR 1e-3, ${percent(tar2, 1)} at 1e-2, accuracy ${percent(accuracy, 1)}${far}`,
          );
        }
        last = performance.now();
      },
    });
    bar?.stop();
    if (result.unchanged) {
      say(
        `finished already, after ${result.steps} steps, and left as it is: ${join(options.out, 'model.safetensors')}; more --steps go on`,
      );
    } else tellOutcome(result, options.out, ' and best.safetensors');
  } finally {
    preparing.stop();
    bar?.stop();
    stop.release();
    teacher?.dispose();
    made?.dispose();
    await device.close();
  }
}

/** The codec that makes faces: the one that CAMEO_MODEL names, else the one that is shipped. */
async function readCodec(): Promise<WeightsOf<'budget'>> {
  return expectKind(await readWeights(weightsPath(undefined, 'budget')), 'budget');
}

/** Losses and figures of the held-out identities over the steps. */
export function trainingPlot(log: TrainingLog): string {
  const loss = { xLabel: 'step', yLabel: 'loss, nats' };
  const plots = [
    { ...loss, title: 'Training loss on labels', series: [{ name: 'loss', points: log.series('classification') }] },
  ];
  const validation = [
    { name: 'TAR at FAR 1e-3', points: log.series('val_tar_3'), markers: true },
    { name: 'TAR at FAR 1e-2', points: log.series('val_tar_2'), markers: true },
    { name: 'accuracy', points: log.series('val_accuracy'), markers: true },
  ];
  if (validation[0].points.length > 0) {
    plots.push({ title: 'Held-out identities', xLabel: 'step', yLabel: 'share of pairs', series: validation });
  }
  const distance = [
    { name: 'training, spoilt faces', points: log.series('distance') },
    { name: 'held-out faces', points: log.series('val_distance'), markers: true },
  ];
  if (distance[1].points.length > 0) {
    plots.push({ title: 'Distance to the teacher', xLabel: 'step', yLabel: '1 − cosine', series: distance });
  }
  return stackedPlots(plots);
}
