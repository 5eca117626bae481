import { join } from 'node:path';
import { CheckpointError } from '../common/errors.js';
import type { AbortSignal } from '../common/platform-types.js';
import type { FaceAligner, FaceSet } from '../data/faces/face-set.js';
import { prepareFolder, writeFileAtomic } from '../data/files/atomic-file.js';
import { readRegularFile } from '../data/files/read-file.js';
import { TRAINING_LOCK, withWriterLock } from '../data/files/writer-lock.js';
import type { DeviceSource } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkSetting } from './check-setting.js';
import { type LogRow, TrainingLog } from './training-log.js';

/** A folder of pictures that a run learns from. */
export interface PictureFolder {
  readonly root: string;
  /** Pictures that are left out because Cameo made them. */
  readonly own: number;
}

/** Information on a run when it begins. */
export interface TrainingStart<Faces extends PictureFolder = FaceSet> {
  gpu: Gpu;
  faces: Faces;
  firstStep: number;
  /** Number of trained parameters. */
  parameters: number;
}

/** Options of every training. */
export interface TrainingOptions<Start, Step, Validation> {
  /** The device, or a function that opens it after everything else has been checked. */
  gpu: DeviceSource;
  /** Finds the faces of photographs among the pictures; without it they are unreadable. */
  align?: FaceAligner;
  /** Folder for checkpoint.safetensors, log.csv and model.safetensors. */
  out: string;
  /** Goes on from the checkpoint in `out`. */
  resume?: boolean;
  /** Steps between checkpoints, each of which validates. */
  checkpointEvery?: number;
  /** Text to store in the model's metadata (command, data, licence). */
  metadata?: Record<string, string>;
  /** Ends after the current step, with a checkpoint that does not validate. */
  signal?: AbortSignal;
  onStart?: (start: Start) => void;
  /** Called before the first step, with the progress of the preparations. */
  onProgress?: (what: string, done: number, total: number) => void;
  onStep?: (step: Step) => void;
  /** Called after each checkpoint that has validated. */
  onCheckpoint?: (log: TrainingLog, validation: Validation) => Promise<void> | void;
}

export interface TrainingResult<Validation> {
  /** False when `signal` ended the run before its last step. */
  finished: boolean;
  steps: number;
  /** Of the last step; NaN if no step was left to do. */
  lastLoss: number;
  /** The last one; null for a run that was stopped before it. */
  validation: Validation | null;
}

/** What learns. All of its state is in its checkpoints. */
export interface Trainer {
  /** Steps done. */
  readonly step: number;
  /** Everything that is needed to go on. */
  checkpoint(): Promise<Uint8Array>;
  /** @throws CheckpointError for a checkpoint that does not fit */
  restore(checkpoint: Uint8Array): void;
  dispose(): void;
}

/** What a training computes. `runTraining` calls it step by step, and writes log, checkpoints and models. */
export interface Training<Start, Step extends { loss: number }, Validation, Batch> {
  readonly trainer: Trainer;
  /** Steps of the whole run. */
  readonly steps: number;
  readonly start: Omit<Start, 'firstStep'>;
  /** Columns of the log; the first is the step. */
  readonly columns: readonly string[];
  /** Default number of steps between checkpoints. */
  readonly checkpointEvery: number;
  /** Makes what a new run starts with; that is kept in a checkpoint before the first step. */
  begin?(): Promise<void>;
  /** Opens what the steps need, after `restore` or `begin`. */
  open?(): Promise<void>;
  /** What the GPU has to do for a batch before it is loaded. */
  prepare?(step: number): Promise<void>;
  /** The batch of a step, which depends on the settings and the step alone. The CPU loads it while the GPU trains. */
  load(step: number): Promise<Batch>;
  train(batch: Batch): Promise<Step>;
  /** A step's row of the log. */
  rowOf(step: Step): LogRow;
  /** Tries the network on held-out faces. */
  validate(): Promise<Validation>;
  /** What the log says of a validation. */
  validationRow(validation: Validation): LogRow;
  /** How good the network of a row is: the best so far is kept in best.safetensors. NaN for a row without validation. */
  score?(row: LogRow): number;
  /** The name of the part of the run that the last step ended, whose model is kept; null in the middle of one. */
  endedPart?(): string | null;
  /** Writes what else is kept at each checkpoint. */
  save?(): Promise<void>;
  /** The weights file as of now. */
  model(validation: Validation | null): Promise<Uint8Array>;
  /** Writes what else a finished run leaves. */
  finish?(): Promise<void>;
  /** Frees what it has beside its trainer. */
  dispose?(): void;
}

const CHECKPOINT = 'checkpoint.safetensors';
const LOG = 'log.csv';
const MODEL = 'model.safetensors';
const BEST = 'best.safetensors';

/**
 * Lets a training work in its folder, alone.
 * @param body gets the checkpoint to go on from; null for a new run
 * @param more files that it writes beside checkpoint, log and model
 * @throws FileError for a folder that cannot be written, or in which another run works; CheckpointError if there is none
 */
export async function inTrainingFolder<T>(
  { out, resume }: { out: string; resume?: boolean },
  body: (checkpoint: Uint8Array | null) => Promise<T>,
  more: readonly string[] = [],
): Promise<T> {
  await prepareFolder(out, [CHECKPOINT, LOG, MODEL, ...more]);
  return withWriterLock(join(out, TRAINING_LOCK), out, async () =>
    body(resume ? await readCheckpoint(join(out, CHECKPOINT)) : null),
  );
}

/** Reads a checkpoint's bytes. @throws CheckpointError when there is none */
export async function readCheckpoint(path: string): Promise<Uint8Array> {
  try {
    return await readRegularFile(path, Infinity);
  } catch (cause) {
    throw new CheckpointError(`no checkpoint to resume from: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Does the steps of a training, with a log and checkpoints in the folder `out`, and writes the model at the end. A run that
 * is stopped and resumed computes the same bits as one that is not. The training is disposed of.
 *
 * @param checkpoint to go on from; null for a new run
 * @throws ArgumentError for a `checkpointEvery` that is not a positive integer; CheckpointError for a checkpoint or a log that does not fit; FileError
 */
export async function runTraining<Start, Step extends { loss: number }, Validation, Batch>(
  training: Training<Start, Step, Validation, Batch>,
  options: TrainingOptions<Start, Step, Validation>,
  checkpoint: Uint8Array | null,
): Promise<TrainingResult<Validation>> {
  try {
    if (options.checkpointEvery !== undefined) {
      checkSetting('checkpointEvery', options.checkpointEvery, 1, Number.MAX_SAFE_INTEGER, true);
    }
    const run = new Run(training, options);
    await run.open(checkpoint);
    return await run.train();
  } finally {
    training.dispose?.();
    training.trainer.dispose();
  }
}

class Run<Start, Step extends { loss: number }, Validation, Batch> {
  readonly #log: TrainingLog;
  #validation: Validation | null = null;

  constructor(
    private readonly training: Training<Start, Step, Validation, Batch>,
    private readonly options: TrainingOptions<Start, Step, Validation>,
  ) {
    this.#log = new TrainingLog(join(options.out, LOG), training.columns);
  }

  async open(checkpoint: Uint8Array | null): Promise<void> {
    const { training } = this;
    if (checkpoint) {
      training.trainer.restore(checkpoint);
      await this.#log.resume(training.trainer.step);
    } else if (training.begin) {
      await training.begin();
      await this.#writeCheckpoint();
    }
    await training.open?.();
    this.options.onStart?.({ ...training.start, firstStep: training.trainer.step } as Start);
  }

  async train(): Promise<TrainingResult<Validation>> {
    const { training } = this;
    const { signal, onStep } = this.options;
    let lastLoss = Number.NaN;
    let next = await this.#load(training.trainer.step);
    while (next && !signal?.aborted) {
      const batch = await next.batch;
      next = await this.#load(training.trainer.step + 1);
      const step = await training.train(batch);
      lastLoss = step.loss;
      onStep?.(step);
      await this.#keep(step);
    }
    await next?.batch; // no read is left behind when the run was stopped
    const finished = training.trainer.step >= training.steps;
    if (finished) {
      // A run that ended after its last checkpoint, before its model was written, has not validated here.
      this.#validation ??= await training.validate();
      await this.#writeModel(MODEL);
      await training.finish?.();
    }
    return { finished, steps: training.trainer.step, lastLoss, validation: this.#validation };
  }

  /** Begins to load the batch of a step; null after the last one. In an object, for it is not to be awaited yet. */
  async #load(step: number): Promise<{ batch: Promise<Batch> } | null> {
    const { training } = this;
    if (step >= training.steps) return null;
    await training.prepare?.(step);
    return { batch: training.load(step) };
  }

  /** Adds a step to the log; with a checkpoint where one is due. */
  async #keep(step: Step): Promise<void> {
    const { training, options } = this;
    const row = training.rowOf(step);
    const ended = training.endedPart?.() ?? null;
    const every = options.checkpointEvery ?? training.checkpointEvery;
    const due = training.trainer.step % every === 0 || training.trainer.step === training.steps || ended !== null;
    if (due) {
      const validation = await this.#validate(row, ended);
      await this.#save();
      await options.onCheckpoint?.(this.#log, validation);
    } else {
      this.#log.add(row);
      // Without a validation, which a run that is not stopped here would not have.
      if (options.signal?.aborted) await this.#save();
    }
  }

  /** Adds a step's row with a validation to the log; keeps the model of a part that it ended, and the best model. */
  async #validate(row: LogRow, ended: string | null): Promise<Validation> {
    const { training } = this;
    const validation = await training.validate();
    this.#validation = validation;
    this.#log.add({ ...row, ...training.validationRow(validation) });
    // The model of each part is kept: what is gained by the next one is then known.
    if (ended !== null) await this.#writeModel(`model-${ended}.safetensors`);
    if (training.score) {
      const scores = this.#log.records().map((record) => training.score!(record));
      const own = scores.pop()!;
      if (own > Math.max(...scores.filter((score) => !Number.isNaN(score)))) await this.#writeModel(BEST);
    }
    return validation;
  }

  async #save(): Promise<void> {
    await this.training.save?.();
    // The log first: rows that the checkpoint does not cover are dropped on resuming, but rows that are missing stay missing.
    await this.#log.write();
    await this.#writeCheckpoint();
  }

  async #writeCheckpoint(): Promise<void> {
    await writeFileAtomic(join(this.options.out, CHECKPOINT), await this.training.trainer.checkpoint(), {
      durable: true,
    });
  }

  async #writeModel(name: string): Promise<void> {
    await writeFileAtomic(join(this.options.out, name), await this.training.model(this.#validation), {
      durable: true,
    });
  }
}
