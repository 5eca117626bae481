import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import type { LinePlotOptions } from '../evaluation/reports/plot-svg.js';
import { LazyDevice } from '../gpu/device-source.js';
import { type CodecTrainingConfig, DEFAULT_CODEC_TRAINING } from '../training/codec-config.js';
import { CodecTrainer } from '../training/codec-trainer.js';
import { readCheckpoint, trainCodec } from '../training/train-codec.js';
import type { TrainingLog } from '../training/training-log.js';
import { openDevice } from './device.js';
import { noteOwn } from './note-own.js';
import { dataFolder } from './places.js';
import { type Progress, startBar } from './progress.js';
import { say } from './terminal.js';
import { addTrainAdapted } from './train-adapted.js';
import { addTrainArchitectures } from './train-architectures.js';
import { addTrainJoint } from './train-joint.js';
import { addTrainLosses } from './train-losses.js';
import { addTrainRecognition } from './train-recognition.js';
import { addTrainRecognitionFaces } from './train-recognition-faces.js';
import { addTrainTables } from './train-tables.js';
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

interface TrainOptions {
  data?: string;
  out: string;
  config?: string;
  steps?: number;
  batch?: number;
  seed?: number;
  lr?: number;
  resume?: boolean;
  checkpointEvery: number;
}

const FORMAT = '{value}/{total}  loss {loss}  PSNR {psnr} dB  ~{bytes} B  {speed} images/s  left {eta_formatted}';

/** Adds `cameo train` to the program. */
export function addTrainCommand(program: Command): void {
  const train = program.command('train').description('train a network on your own pictures');
  train
    .command('codec')
    .description('train the compression autoencoder on a folder of aligned 112×96 faces')
    .option('--data <dir>', 'folder of faces (default: CAMEO_DATA, else ../shared/data)')
    .option('-o, --out <dir>', 'where checkpoint, log, plot and model go', 'out/codec')
    .option('--config <file>', 'JSON with any of the settings that the run prints')
    .option('--steps <n>', STEPS_HELP, number)
    .option('--batch <n>', 'faces a step', number)
    .option('--seed <n>', 'seed of weights, order, augmentation and noise', number)
    .option('--lr <x>', 'peak learning rate', number)
    .option('--checkpoint-every <n>', 'steps between checkpoints', number, 200)
    .option('--resume', RESUME_HELP)
    .addHelpText(
      'after',
      '\nExample: cameo train codec --data faces -o out/codec --steps 20000\nCtrl-C writes a checkpoint; --resume goes on to the same numbers.',
    )
    .action(async (options: TrainOptions) => {
      await runTraining(options);
    });
  addTrainRecognition(train);
  addTrainRecognitionFaces(train);
  addTrainArchitectures(train);
  addTrainJoint(train);
  addTrainTables(train);
  addTrainAdapted(train);
  addTrainLosses(train);
}

async function readConfig(options: TrainOptions): Promise<CodecTrainingConfig> {
  const file = options.config ? await readSettings(options.config, DEFAULT_CODEC_TRAINING) : {};
  const model = { ...DEFAULT_CODEC_TRAINING.model, ...file.model };
  const config = { ...DEFAULT_CODEC_TRAINING, ...file, model };
  if (options.steps !== undefined) config.steps = options.steps;
  if (options.batch !== undefined) config.batchSize = options.batch;
  if (options.seed !== undefined) config.seed = options.seed;
  if (options.lr !== undefined) config.learningRate = options.lr;
  return config;
}

/** The checkpoint's settings; of those given, the steps alone may be others. @throws ArgumentError for any other */
async function resumedConfig(checkpoint: string, options: TrainOptions): Promise<CodecTrainingConfig> {
  const config = CodecTrainer.configOf(await readCheckpoint(checkpoint));
  const file = options.config ? await readSettings(options.config, DEFAULT_CODEC_TRAINING) : {};
  checkResumed(checkpoint, config, [
    ...settingsGiven(options.config!, file),
    { said: '--batch', setting: 'batchSize', value: options.batch },
    { said: '--seed', setting: 'seed', value: options.seed },
    { said: '--lr', setting: 'learningRate', value: options.lr },
  ]);
  return { ...config, steps: options.steps ?? file.steps ?? config.steps };
}

async function runTraining(options: TrainOptions): Promise<void> {
  const data = dataFolder(options.data);
  const checkpoint = checkpointOf(options.out, options.resume);
  const config = options.resume ? await resumedConfig(checkpoint, options) : await readConfig(options);
  say(`settings: ${JSON.stringify(config)}`);

  const device = new LazyDevice(openDevice);
  const stop = stopOnInterrupt();
  let bar: Progress | undefined;
  const { rates } = config.model;
  const psnrs: number[] = new Array(rates).fill(0);
  const sizes: number[] = new Array(rates).fill(0);
  let smoothLoss = Number.NaN;
  let stepTime = Number.NaN;
  let last = performance.now();
  try {
    const result = await trainCodec({
      gpu: device.open,
      config,
      data,
      out: options.out,
      resume: options.resume,
      checkpointEvery: options.checkpointEvery,
      signal: stop.signal,
      metadata: { 'cameo.license': 'see the model card beside this file' },
      onStart: ({ gpu, faces, firstStep, parameters }) => {
        noteOwn(faces);
        say(
          `${parameters} parameters, ${faces.count} faces of ${resolve(faces.root)}, on ${gpu.description.description}`,
        );
        bar = startBar(FORMAT, config.steps, firstStep, { loss: '-', psnr: '-', bytes: '-', speed: '-' });
        last = performance.now();
      },
      onStep: (step) => {
        const now = performance.now();
        const blend = (old: number, value: number): number => (Number.isNaN(old) ? value : 0.95 * old + 0.05 * value);
        smoothLoss = blend(smoothLoss, step.loss);
        stepTime = blend(stepTime, now - last);
        last = now;
        psnrs[step.rate] = step.psnr;
        sizes[step.rate] = step.bytes;
        bar?.update(step.step + 1, {
          loss: smoothLoss.toFixed(4),
          psnr: psnrs.map((psnr) => psnr.toFixed(1)).join('/'),
          bytes: sizes.map((bytes) => bytes.toFixed(0)).join('/'),
          speed: ((1000 * config.batchSize) / stepTime).toFixed(1),
        });
      },
      onCheckpoint: async (log) => {
        await writeFileAtomic(join(options.out, 'loss.svg'), lossPlot(log, rates));
        last = performance.now();
      },
    });
    bar?.stop();
    tellOutcome(result, options.out);
  } finally {
    bar?.stop();
    stop.release();
    await device.close();
  }
}

/** Training loss and validation PSNR over the steps, as two panels of one SVG. */
function lossPlot(log: TrainingLog, rates: number): string {
  const psnr = Array.from({ length: rates }, (_, rate) => ({
    name: `validation PSNR at rate ${rate}, dB`,
    points: log.series(`val_psnr_${rate}`),
    markers: true,
  })).filter(({ points }) => points.length > 0);
  const loss = { title: 'Training loss', xLabel: 'step', yLabel: 'loss', logY: true };
  const plots: LinePlotOptions[] = [{ ...loss, series: [{ name: 'loss', points: log.series('loss') }] }];
  if (psnr.length > 0) plots.push({ title: 'Validation', xLabel: 'step', yLabel: 'PSNR, dB', series: psnr });
  return stackedPlots(plots);
}
