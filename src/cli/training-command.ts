import { join } from 'node:path';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { LazyDevice } from '../gpu/device-source.js';
import type { PictureFolder, TrainingOptions, TrainingStart } from '../training/training-run.js';
import { openDevice } from './device.js';
import { FaceFinder } from './face-finder.js';
import { stopOnInterrupt } from './interrupt.js';
import { noteOwn } from './note-own.js';
import { type Progress, startBar, startStages } from './progress.js';
import { say, warn } from './terminal.js';
import { plotTraining, type TrainingPlot } from './training-plots.js';
import type { TrainingCommandOptions } from './training-settings.js';

/** For --help. */
export const INTERRUPT_HELP =
  'Ctrl-C writes a checkpoint; --resume goes on from it, with the same result as without the stop.';

/** Averages a figure over the last steps. */
export type Smooth = (name: string, value: number) => number;

/** What a command shows during training. */
export interface TrainingDisplay<Start, Step, Validation> {
  /** Steps of the whole run. */
  steps: number;
  /** Faces of a step. */
  batch: number;
  /** The progress bar: `{value}`, `{total}`, `{speed}` (images a second), `{eta_formatted}`, and what `figures` names. */
  format: string;
  figures(step: Step, smooth: Smooth): Readonly<Record<string, string>>;
  /** Lines about network, faces and device. */
  started(start: Start): readonly string[];
  /** A line of each validation's result; none where there is nothing to say. */
  validated?(validation: Validation): readonly string[];
  /** An SVG that is written at each checkpoint: its name in --out, and what it shows. */
  plot: { name: string; plots: readonly TrainingPlot[] };
  /** What a finished run has written beside its model, for the last line. */
  more?: string;
}

/** Options of a command for every training, so that `display` shows its progress. */
type ShownTraining<Start, Step, Validation> = Required<
  Pick<
    TrainingOptions<Start, Step, Validation>,
    'gpu' | 'out' | 'metadata' | 'signal' | 'onStart' | 'onProgress' | 'onStep' | 'onCheckpoint'
  >
> &
  Pick<TrainingOptions<Start, Step, Validation>, 'resume' | 'checkpointEvery' | 'align'>;

/**
 * Runs a training as a command: with a device that is opened when it is needed, a progress bar, a plot, a checkpoint at
 * Ctrl-C, and a last line about the outcome.
 */
export async function runTrainingCommand<
  Start extends TrainingStart<PictureFolder>,
  Step extends { step: number },
  Validation,
>(
  { out, resume, checkpointEvery, detector }: TrainingCommandOptions,
  display: TrainingDisplay<Start, Step, Validation>,
  train: (shown: ShownTraining<Start, Step, Validation>) => Promise<Outcome>,
): Promise<void> {
  const finder = await FaceFinder.forFolder(detector);
  const device = new LazyDevice(openDevice);
  const stop = stopOnInterrupt();
  const preparing = startStages();
  const steps = new StepBar(display);
  try {
    const outcome = await train({
      gpu: device.open,
      align: finder.aligner(),
      out,
      resume,
      checkpointEvery,
      signal: stop.signal,
      metadata: { 'cameo.license': 'see the model card beside this file' },
      onProgress: preparing.update,
      onStart: (start) => {
        preparing.stop();
        noteOwn(start.faces);
        for (const line of display.started(start)) say(line);
        steps.start(start.firstStep);
      },
      onStep: (step) => steps.update(step),
      onCheckpoint: async (log, validation) => {
        await writeFileAtomic(join(out, display.plot.name), plotTraining(log, display.plot.plots));
        for (const line of display.validated?.(validation) ?? []) say(`\n${line}`);
        steps.resetClock();
      },
    });
    steps.stop();
    tellOutcome(outcome, out, display.more);
  } finally {
    preparing.stop();
    steps.stop();
    stop.release();
    finder.close();
    await device.close();
  }
}

/** The progress bar of the steps, with figures averaged over the last ones. */
class StepBar<Step extends { step: number }> {
  #bar: Progress | undefined;
  readonly #averages = new Map<string, number>();
  #last = 0;

  constructor(
    private readonly display: Pick<TrainingDisplay<never, Step, never>, 'steps' | 'batch' | 'format' | 'figures'>,
  ) {}

  start(firstStep: number): void {
    const { format, steps } = this.display;
    const names = [...format.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const own = names.filter((name) => !['value', 'total', 'eta_formatted'].includes(name));
    this.#bar = startBar(format, steps, firstStep, Object.fromEntries(own.map((name) => [name, '-'])));
    this.resetClock();
  }

  update(step: Step): void {
    const { batch, figures } = this.display;
    const now = performance.now();
    const time = this.#smooth('time of a step', now - this.#last);
    this.#last = now;
    this.#bar?.update(step.step + 1, {
      ...figures(step, this.#smooth),
      speed: ((1000 * batch) / time).toFixed(1),
    });
  }

  /** Time between two steps is not counted. */
  resetClock(): void {
    this.#last = performance.now();
  }

  stop(): void {
    this.#bar?.stop();
  }

  readonly #smooth: Smooth = (name, value) => {
    const before = this.#averages.get(name) ?? value;
    const average = 0.97 * before + 0.03 * value;
    this.#averages.set(name, average);
    return average;
  };
}

/** How a run ended. */
interface Outcome {
  finished: boolean;
  steps: number;
  /** True if a resumed run was already finished. */
  unchanged?: boolean;
}

/**
 * Says how a run ended, and sets the exit code of one that was stopped.
 * @param more what else the run has written
 */
function tellOutcome({ finished, steps, unchanged }: Outcome, out: string, more = ''): void {
  const model = join(out, 'model.safetensors');
  if (unchanged)
    say(`already finished after ${steps} steps, and left unchanged: ${model}; to go on, give more --steps`);
  else if (finished) say(`done: ${model}${more}`);
  else {
    warn(`stopped after ${steps} steps; go on with --resume -o ${out}`);
    process.exitCode = 130;
  }
}
