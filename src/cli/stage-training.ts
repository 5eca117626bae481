import { resolve } from 'node:path';
import { type JointSettings, totalSteps } from '../training/joint-config.js';
import type { JointStep } from '../training/joint-trainer.js';
import type { JointTrainingOptions } from '../training/joint-training.js';
import type { RestorationFigures } from '../training/restoration-figures.js';
import type { TrainingResult, TrainingStart } from '../training/training-run.js';
import { dataFolder } from './places.js';
import {
  type StageSource,
  type StageTrainingOptions,
  stageRecognizers,
  stageSettings,
  startingModel,
} from './stage-settings.js';
import { say } from './terminal.js';
import { runTrainingCommand, type TrainingDisplay } from './training-command.js';
import type { TrainingPlot } from './training-plots.js';

const FORMAT =
  '{value}/{total}  {stage}  {psnr} dB  {bytes} bytes  distance {distance}  {speed} images/s  left {eta_formatted}';

/** A training by stages as a command runs and shows it. */
export interface StageTraining<Config extends JointSettings, Validation extends RestorationFigures>
  extends StageSource<Config> {
  /** Refuses a file of another network for --from. */
  read(bytes: Uint8Array): unknown;
  train(options: JointTrainingOptions<Config, Validation>): Promise<TrainingResult<Validation[]>>;
  /** The number of parameters as the line about the run begins with it. */
  parameters(count: number): string;
  /** The rate of held-out faces, and the size of their files, as a line tells them. */
  rateOf(validation: Validation): string;
  sizeOf(validation: Validation): string;
  plots(config: Config): readonly TrainingPlot[];
}

/** Runs a training by stages as a command. */
export async function runStageTraining<Config extends JointSettings, Validation extends RestorationFigures>(
  options: StageTrainingOptions,
  training: StageTraining<Config, Validation>,
): Promise<void> {
  const data = dataFolder(options.data);
  const config = await stageSettings(options, training);
  const from = await startingModel(options, training.read);
  say(`settings: ${JSON.stringify(config)}`);
  const recognizers = await stageRecognizers(options, config, data);
  await runTrainingCommand(options, displayOf(config, training), (shown) =>
    training.train({ ...shown, config, data, from, recognizers }).finally(() => {
      for (const one of recognizers) one.dispose();
    }),
  );
}

const displayOf = <Config extends JointSettings, Validation extends RestorationFigures>(
  config: Config,
  { parameters, rateOf, sizeOf, plots }: StageTraining<Config, Validation>,
): TrainingDisplay<TrainingStart, JointStep, Validation[]> => ({
  steps: totalSteps(config),
  batch: config.batchSize,
  format: FORMAT,
  started: ({ parameters: count, faces, gpu }) => [
    `${parameters(count)} ${faces.count} faces of ${resolve(faces.root)}, on ${gpu.description.description}`,
  ],
  figures: ({ stage, psnr, bytes, distance }, smooth) => ({
    stage,
    psnr: smooth('psnr', psnr).toFixed(2),
    bytes: smooth('bytes', bytes).toFixed(0),
    distance: smooth('distance', distance).toFixed(3),
  }),
  validated: (validation) =>
    validation.map((figures) => {
      const apart = Number.isNaN(figures.distance) ? '' : `, distance ${figures.distance.toFixed(4)}`;
      return `held-out faces at ${rateOf(figures)}: ${figures.psnr.toFixed(2)} dB, ${sizeOf(figures)}${apart}`;
    }),
  plot: { name: 'training.svg', plots: plots(config) },
});

/**
 * What held-out faces lose.
 * @param bytes what the sizes are
 * @param rates names of lines, and how the log's columns of that rate end
 */
export function heldOutPlots(bytes: string, rates: Readonly<Record<string, string>>): TrainingPlot[] {
  const plot = (title: string, yLabel: string, column: string): TrainingPlot => ({
    title: `Held-out faces: ${title}`,
    yLabel,
    lines: Object.fromEntries(Object.entries(rates).map(([name, end]) => [name, `val_${column}_${end}`])),
  });
  return [
    plot('PSNR', 'dB', 'psnr'),
    plot('distance of embeddings', '1 − cos', 'distance'),
    plot(bytes, 'bytes', 'bytes'),
  ];
}
