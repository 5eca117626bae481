import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readKlt } from '../codec/klt-file.js';
import { ArgumentError } from '../common/errors.js';
import { type ReadRecognizer, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { readRegularFile } from '../data/files/read-file.js';
import { LazyDevice } from '../gpu/device-source.js';
import {
  DEFAULT_JOINT_TRAINING,
  DEFAULT_STAGE,
  type JointTrainingConfig,
  totalSteps,
  usesRecognizers,
} from '../training/joint-config.js';
import { JointTrainer } from '../training/joint-trainer.js';
import { readCheckpoint } from '../training/train-codec.js';
import { trainJoint } from '../training/train-joint.js';
import type { TrainingLog } from '../training/training-log.js';
import { openDevice } from './device.js';
import { noteOwn } from './note-own.js';
import { refuseInput } from './outputs.js';
import { dataFolder, recognizerPlaces } from './places.js';
import { type Progress, startBar, startStages } from './progress.js';
import { say } from './terminal.js';
import { checkpointOf, number, readSettings, stackedPlots, stopOnInterrupt, tellOutcome } from './training-run.js';
import { MAX_WEIGHTS_BYTES, named } from './weights.js';

interface TrainJointCommand {
  data?: string;
  out: string;
  config?: string;
  recognizers: string;
  from?: string;
  checkpointEvery?: number;
  resume?: boolean;
}

const FORMAT =
  '{value}/{total}  {stage}  {psnr} dB  {bytes} bytes  distance {distance}  {speed} images/s  left {eta_formatted}';

/** Adds `joint` to `cameo train`. */
export function addTrainJoint(train: Command): void {
  train
    .command('joint')
    .description(
      'train the codec of a byte budget, alone and together with face recognisers that look at what it restores',
    )
    .option('--data <dir>', 'folder of aligned faces with identities (default: CAMEO_DATA)')
    .option('-o, --out <dir>', 'folder for checkpoint, log and models', 'out/joint')
    .option(
      '--config <file>',
      'JSON of settings: stages, their weights, what is frozen (see models/face-training.json)',
    )
    .option(
      '--recognizers <names>',
      'comma-separated recognisers that look at restored faces; the first has the CosFace term',
      'mobilefacenet-casia',
    )
    .option('--from <file>', 'go on from the model of another run, in place of fitting principal components')
    .option('--checkpoint-every <n>', 'steps between checkpoints and validations', number)
    .option(
      '--resume',
      'go on from the checkpoint in --out; stages that have not begun may have changed in --config, all else that contradicts it is refused',
    )
    .addHelpText(
      'after',
      '\nExample: cameo train joint --config models/face-training.json -o out/joint\nCtrl-C writes a checkpoint; --resume goes on to the same numbers.',
    )
    .action(run);
}

async function settings(path: string | undefined): Promise<JointTrainingConfig> {
  const defaults = DEFAULT_JOINT_TRAINING;
  const file = path ? await readSettings(path, defaults) : {};
  const config = { ...defaults, ...file, model: { ...defaults.model, ...file.model } };
  return { ...config, stages: config.stages.map((stage) => ({ ...DEFAULT_STAGE, ...stage })) };
}

async function run(options: TrainJointCommand): Promise<void> {
  const data = dataFolder(options.data);
  const checkpoint = checkpointOf(options.out, options.resume);
  const config =
    options.resume && !options.config
      ? JointTrainer.configOf(await readCheckpoint(checkpoint))
      : await settings(options.config);
  if (options.resume && options.from) {
    throw new ArgumentError(
      `--from ${options.from}: the run in ${options.out} has begun with its own weights; leave it out with --resume, or choose another --out to begin anew`,
    );
  }
  const from = options.from ? await readRegularFile(options.from, MAX_WEIGHTS_BYTES) : undefined;
  if (from) named(options.from!, () => readKlt(from));
  await refuseInput(join(options.out, 'model.safetensors'), [options.from, options.config]);
  say(`settings: ${JSON.stringify(config)}`);

  const recognizers: ReadRecognizer[] = [];
  if (usesRecognizers(config)) {
    for (const name of options.recognizers.split(',')) {
      recognizers.push(await readRecognizerOf(name, recognizerPlaces(data)));
    }
  }
  const device = new LazyDevice(openDevice);
  const stop = stopOnInterrupt();
  let bar: Progress | undefined;
  const preparing = startStages();
  const smooth = new Map<string, number>();
  const blend = (key: string, value: number): number => {
    const before = smooth.get(key) ?? value;
    smooth.set(key, 0.97 * before + 0.03 * value);
    return smooth.get(key)!;
  };
  let last = performance.now();
  try {
    const result = await trainJoint({
      gpu: device.open,
      config,
      data,
      out: options.out,
      resume: options.resume,
      from,
      recognizers,
      checkpointEvery: options.checkpointEvery,
      signal: stop.signal,
      metadata: { 'cameo.license': 'see the model card beside this file' },
      onProgress: preparing.update,
      onStart: ({ gpu, faces, firstStep, parameters }) => {
        noteOwn(faces);
        preparing.stop();
        say(
          `${parameters} parameters; ${faces.count} faces of ${resolve(faces.root)}, on ${gpu.description.description}`,
        );
        bar = startBar(FORMAT, totalSteps(config), firstStep, {
          stage: '-',
          psnr: '-',
          bytes: '-',
          distance: '-',
          speed: '-',
        });
        last = performance.now();
      },
      onStep: (step) => {
        const now = performance.now();
        bar?.update(step.step + 1, {
          stage: step.stage,
          psnr: blend('psnr', step.psnr).toFixed(2),
          bytes: blend('bytes', step.bytes).toFixed(0),
          distance: blend('distance', step.distance).toFixed(3),
          speed: ((1000 * config.batchSize) / blend('time', now - last)).toFixed(1),
        });
        last = now;
      },
      onCheckpoint: async (log, validation) => {
        await writeFileAtomic(join(options.out, 'training.svg'), jointPlot(log));
        for (const { quantizer, psnr, bytes, distance } of validation) {
          const apart = Number.isNaN(distance) ? '' : `, distance ${distance.toFixed(4)}`;
          say(`\nheld-out faces at step ${quantizer}: ${psnr.toFixed(2)} dB, ${bytes.toFixed(0)} bytes${apart}`);
        }
        last = performance.now();
      },
    });
    bar?.stop();
    tellOutcome(result, options.out);
  } finally {
    preparing.stop();
    bar?.stop();
    stop.release();
    for (const one of recognizers) one.dispose();
    await device.close();
  }
}

/** Loss, and what held-out faces lose, over the steps. */
export function jointPlot(log: TrainingLog): string {
  const plots = [
    { title: 'Training loss', xLabel: 'step', yLabel: 'loss', series: [{ name: 'loss', points: log.series('loss') }] },
  ];
  for (const [title, yLabel, column] of [
    ['Held-out faces: PSNR', 'dB', 'psnr'],
    ['Held-out faces: distance of embeddings', '1 − cos', 'distance'],
    ['Held-out faces: estimated bytes', 'bytes', 'bytes'],
  ]) {
    const series = ['low', 'high'].map((rate) => ({
      name: `${rate} rate`,
      points: log.series(`val_${column}_${rate}`),
      markers: true,
    }));
    if (series[0].points.length > 0) plots.push({ title, xLabel: 'step', yLabel, series });
  }
  return stackedPlots(plots);
}
