import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../common/errors.js';
import type { Unreadable } from '../../data/faces/face-listing.js';
import { type LabelledPhoto, listLabelledPhotos } from '../../data/faces/labelled-photos.js';
import { readPhotos } from '../../data/faces/photo-folder.js';
import { deviceOf } from '../../gpu/device-source.js';
import type { Gpu } from '../../gpu/gpu.js';
import { writeSingleShot } from '../../models/single-shot.js';
import { saveState } from '../../nn/state.js';
import type { LogRow } from '../training-log.js';
import {
  inTrainingFolder,
  type PictureFolder,
  runTraining,
  type Training,
  type TrainingOptions,
  type TrainingResult,
  type TrainingStart,
} from '../training-run.js';
import type { TrainingSource } from '../training-source.js';
import { type DetectorBatch, drawBatch } from './batches.js';
import { checkDetectorTraining, type DetectorTrainingConfig } from './config.js';
import type { MosaicPhotos } from './mosaic.js';
import { type TrainingPhoto, trainingPhoto } from './photo-pyramid.js';
import { type DetectorStep, DetectorTrainer } from './trainer.js';
import { type DetectorValidation, validateDetector } from './validation.js';

/** What a run tells of the photographs that it learns from. */
export interface DetectorPhotos extends PictureFolder {
  readonly photos: number;
  readonly faces: number;
  readonly unreadable: readonly Unreadable[];
}

export type DetectorStart = TrainingStart<DetectorPhotos>;

export interface TrainDetectorOptions extends TrainingOptions<DetectorStart, DetectorStep, DetectorValidation | null> {
  config: DetectorTrainingConfig;
  /**
   * A folder with `photos`, or with a manifest of its own: photographs with boxes and landmarks. Beside `photos`, `profiles` with landmarks
   * alone is made use of.
   */
  data: string;
}

export const DETECTOR_LOG_COLUMNS = [
  'step',
  'loss',
  'scores',
  'places',
  'learning_rate',
  'val_recall',
  'val_false_positives',
  'val_nme',
] as const;

/** The photographs of a split, in memory. */
interface LoadedPhotos extends MosaicPhotos {
  readonly unreadable: readonly Unreadable[];
}

/**
 * Trains a face detector on photographs whose faces are known, with checkpoints and a log in `out`, and writes the weights at the end. All
 * photographs are kept in memory. A run that is stopped and resumed computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit; FileError, FormatError, ArgumentError
 */
export async function trainDetector(options: TrainDetectorOptions): Promise<TrainingResult<DetectorValidation | null>> {
  return inTrainingFolder(
    options,
    async (checkpoint) => runTraining(await detectorTraining(options), options, checkpoint),
    ['best.safetensors'],
  );
}

/** The folders of photographs in a data folder. */
function photoFolders(data: string): string[] {
  if (!existsSync(join(data, 'photos'))) return [data];
  return ['photos', 'profiles'].map((name) => join(data, name)).filter((folder) => existsSync(folder));
}

async function detectorTraining(options: TrainDetectorOptions): Promise<DetectorTraining> {
  const { data } = options;
  const config = checkDetectorTraining(options.config);
  const sets = await Promise.all(
    photoFolders(data).map(async (folder) => ({ folder, photos: await listLabelledPhotos(folder) })),
  );
  const train = await loadPhotos(sets, 'train', options.onProgress);
  if (train.boxed.length === 0) {
    throw new ArgumentError(
      `${data}: no photographs of split train whose faces have boxes; expected a manifest.tsv that lists them`,
    );
  }
  const validation = await loadPhotos(sets, 'val', options.onProgress);
  const gpu = await deviceOf(options.gpu);
  const trainer = new DetectorTrainer(gpu, config, sourceOf(sets));
  return new DetectorTraining(trainer, gpu, train, validation.boxed.length > 0 ? validation : null, options);
}

type PhotoSet = { folder: string; photos: readonly LabelledPhoto[] };

async function loadPhotos(
  sets: readonly PhotoSet[],
  split: string,
  onProgress?: (what: string, done: number, total: number) => void,
): Promise<LoadedPhotos> {
  const loaded = { boxed: [] as TrainingPhoto[], pointed: [] as TrainingPhoto[], unreadable: [] as Unreadable[] };
  const wanted = sets.map(({ folder, photos }) => ({
    folder,
    photos: photos.filter((photo) => photo.split === split),
  }));
  const total = wanted.reduce((count, { photos }) => count + photos.length, 0);
  let done = 0;
  for (const { folder, photos } of wanted) {
    for await (const { photo, image } of readPhotos(folder, photos, (file) => loaded.unreadable.push(file))) {
      const pointed = photo.faces.some(({ box }) => box === null);
      loaded[pointed ? 'pointed' : 'boxed'].push(trainingPhoto(image, photo.faces));
      onProgress?.(`reading photographs (${split})`, ++done, total);
    }
  }
  return loaded;
}

function sourceOf(sets: readonly PhotoSet[]): TrainingSource {
  const hash = createHash('sha256');
  const photos = sets.flatMap((set) => set.photos).filter(({ split }) => split === 'train');
  for (const photo of photos) hash.update(`${JSON.stringify(photo)}\n`);
  return { teacher: null, faces: hash.digest('hex').slice(0, 32), count: photos.length };
}

class DetectorTraining implements Training<DetectorStart, DetectorStep, DetectorValidation | null, DetectorBatch> {
  readonly steps: number;
  readonly columns = DETECTOR_LOG_COLUMNS;
  readonly checkpointEvery = 500;
  readonly start: Omit<DetectorStart, 'firstStep'>;

  constructor(
    readonly trainer: DetectorTrainer,
    private readonly gpu: Gpu,
    private readonly photos: LoadedPhotos,
    private readonly validation: LoadedPhotos | null,
    private readonly options: TrainDetectorOptions,
  ) {
    this.steps = trainer.config.steps;
    const all = [...photos.boxed, ...photos.pointed];
    const faces = all.reduce((count, photo) => count + photo.faces.length, 0);
    const { unreadable } = photos;
    this.start = {
      gpu,
      faces: { root: options.data, own: 0, photos: all.length, faces, unreadable },
      parameters: trainer.network.parameterCount,
    };
  }

  load(step: number): Promise<DetectorBatch> {
    return drawBatch(this.photos, this.trainer.config, step);
  }

  train(batch: DetectorBatch): Promise<DetectorStep> {
    return this.trainer.train(batch);
  }

  rowOf({ learningRate, ...figures }: DetectorStep): LogRow {
    return { ...figures, learning_rate: learningRate };
  }

  async validate(): Promise<DetectorValidation | null> {
    if (!this.validation) return null;
    return validateDetector(this.gpu, this.trainer.network, this.validation, this.trainer.config);
  }

  validationRow(validation: DetectorValidation | null): LogRow {
    if (!validation) return {};
    const { recall, falsePositives, nme } = validation;
    return { val_recall: recall, val_false_positives: falsePositives, val_nme: nme };
  }

  /** Recall, less what false positives and errors of landmarks cost. */
  score({ val_recall: recall = Number.NaN, val_false_positives: wrong, val_nme: nme }: LogRow): number {
    return recall - 0.2 * wrong - nme;
  }

  async model(validation: DetectorValidation | null): Promise<Uint8Array> {
    const { config, network, step } = this.trainer;
    return writeSingleShot(config.model, await saveState(network), {
      ...this.options.metadata,
      'cameo.training': JSON.stringify(config),
      'cameo.steps': String(step),
      'cameo.validation': JSON.stringify(validation),
    });
  }
}
