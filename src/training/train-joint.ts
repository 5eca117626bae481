import { join } from 'node:path';
import { readKlt, writeKlt } from '../codec/klt-file.js';
import { ArgumentError } from '../common/errors.js';
import { loadRecognizers, type OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { DEFAULT_AUGMENTATION, FaceBatches, NO_AUGMENTATION, sourceWeights } from '../data/faces/batches.js';
import { type FaceSet, openFaceFolder, openFacesIfAny } from '../data/faces/face-set.js';
import { type Labelling, labelFaces } from '../data/faces/identity-set.js';
import { prepareFolder, writeFileAtomic } from '../data/files/atomic-file.js';
import { TRAINING_LOCK, withWriterLock } from '../data/files/writer-lock.js';
import { type DeviceSource, deviceOf } from '../gpu/device-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { KltAutoencoder } from '../models/klt-autoencoder.js';
import { writeRecognizer } from '../models/recognizer-file.js';
import { checkTensors } from '../nn/host-tensor.js';
import { loadState, saveState } from '../nn/state.js';
import { fitKlt } from './components/fit-klt.js';
import { trainingSource } from './describe-source.js';
import { checkJointTraining, type JointTrainingConfig, stageAt, totalSteps, usesRecognizers } from './joint-config.js';
import { type JointBatch, type JointStep, JointTrainer } from './joint-trainer.js';
import { type JointValidation, validateJoint } from './joint-validation.js';
import { teacherEmbeddings } from './teacher-targets.js';
import { readCheckpoint } from './train-codec.js';
import { TrainingLog } from './training-log.js';

export interface TrainJointOptions {
  /** Opened, where it is to be opened, when all else has been checked. */
  gpu: DeviceSource;
  config: JointTrainingConfig;
  /** A folder of aligned 112×96 faces; with identities where a stage has a CosFace term. */
  data: string;
  /** Folder for checkpoint, log and models. */
  out: string;
  resume?: boolean;
  /** A model to go on from, in place of fitting principal components: the bytes of its file. */
  from?: Uint8Array;
  /** Who looks at restored faces, in evaluation mode; the first one has the CosFace term. */
  recognizers: readonly OpenRecognizer[];
  /** Default 200. */
  checkpointEvery?: number;
  /** Faces of split `val` to try after each checkpoint; default 64. */
  validationFaces?: number;
  metadata?: Record<string, string>;
  signal?: AbortSignal;
  onStart?: (info: { gpu: Gpu; faces: FaceSet; firstStep: number; parameters: number }) => void;
  onProgress?: (what: string, done: number, total: number) => void;
  onStep?: (step: JointStep) => void;
  onCheckpoint?: (log: TrainingLog, validation: JointValidation[]) => Promise<void> | void;
}

export const JOINT_LOG_COLUMNS = [
  'step',
  'stage',
  'quantizer',
  'loss',
  'psnr',
  'bytes',
  'distance',
  'cosface',
  'learning_rate',
  'val_bytes_low',
  'val_psnr_low',
  'val_distance_low',
  'val_bytes_high',
  'val_psnr_high',
  'val_distance_high',
] as const;

/**
 * Trains a codec by the stages of its configuration, alone and together with recognisers; checkpoints and log in `out`.
 * Without a model to go on from, the principal components of the faces come first. A run that is stopped and resumed
 * computes the same as one that is not.
 *
 * @throws CheckpointError for a checkpoint that is missing or does not fit, FileError, ArgumentError
 */
export async function trainJoint(options: TrainJointOptions): Promise<{ finished: boolean; steps: number }> {
  await prepareFolder(options.out, ['checkpoint.safetensors', 'log.csv', 'model.safetensors']);
  return withWriterLock(join(options.out, TRAINING_LOCK), options.out, () => trainJointAlone(options));
}

async function trainJointAlone(options: TrainJointOptions): Promise<{ finished: boolean; steps: number }> {
  const { data, out, signal, recognizers, onProgress } = options;
  const { checkpointEvery = 200, validationFaces = 64 } = options;
  const config = checkJointTraining(options.config);
  if (options.from && options.resume) {
    throw new ArgumentError('training: a run goes on from its checkpoint or from another model; expected one of them');
  }
  if (usesRecognizers(config) && recognizers.length === 0) {
    throw new ArgumentError('training: a stage has a distance or CosFace term; expected at least one recogniser');
  }
  for (const { name, recognizer } of recognizers) {
    if (recognizer.height !== config.model.height || recognizer.width !== config.model.width) {
      const { width, height } = config.model;
      throw new ArgumentError(
        `recogniser ${name} takes faces of ${recognizer.width}×${recognizer.height}; expected ${width}×${height}`,
      );
    }
  }
  const checkpointPath = join(out, 'checkpoint.safetensors');
  const from = options.from && readKlt(options.from).tensors;
  if (from) checkTensors(from, new KltAutoencoder(config.model).entries(), 'the network');
  const faces = await openFaceFolder(data, { split: 'train' });
  const labelling = await labelFaces(faces, (done, total) => onProgress?.('reading faces', done, total));
  const usable = [...labelling.labelled, ...labelling.unlabelled].sort((a, b) => a - b);
  const weights = Object.keys(config.sourceWeights).length
    ? sourceWeights(faces.entries, config.sourceWeights)
    : undefined;
  const validation = validationFaces > 0 ? await openFacesIfAny(data, { split: 'val', limit: validationFaces }) : null;

  if (usesRecognizers(config) && labelling.labelled.length === 0) {
    throw new ArgumentError(`${data}: no identity has two faces; expected some for stages with recognisers`);
  }
  const checkpoint = options.resume ? await readCheckpoint(checkpointPath) : null;
  const gpu = await deviceOf(options.gpu);
  const embeddings: Float32Array[] = [];
  if (usesRecognizers(config)) {
    loadRecognizers(gpu, recognizers);
    for (const one of recognizers) {
      const cache = join(out, `${one.modelId}.embeddings`);
      const what = `embeddings of ${one.name}`;
      const { dimension } = one.recognizer;
      const report = (done: number, total: number): void => onProgress?.(what, done, total);
      embeddings.push(await teacherEmbeddings(gpu, one, faces, labelling.labelled, { dimension, cache }, report));
    }
  }
  const draw = batchSource(config, faces, labelling, usable, weights, embeddings, recognizers);

  const model = new KltAutoencoder(config.model).initialize(gpu, config.seed);
  const first = recognizers.map(({ recognizer }, k) => ({
    recognizer,
    classes: k === 0 && embeddings[0] ? classMeans(embeddings[0], recognizer.dimension, labelling) : undefined,
  }));
  const classes = usable.map((index) => labelling.classOf[index]);
  const watching = usesRecognizers(config) ? recognizers.map(({ modelId }) => modelId).join(' ') : null;
  const source = trainingSource(
    usable.map((index) => faces.entries[index]),
    classes,
    watching,
  );
  const trainer = new JointTrainer(gpu, config, model, first, source);
  try {
    const log = new TrainingLog(join(out, 'log.csv'), JOINT_LOG_COLUMNS);
    if (checkpoint) {
      trainer.restore(checkpoint);
      await log.resume(trainer.step);
    } else if (from) {
      loadState(model, from);
    } else {
      await fitKlt(gpu, model, faces.subset(usable), weights && usable.map((index) => weights[index]), onProgress);
    }
    // The principal components take minutes: from here on they are not lost.
    if (!checkpoint) await writeFileAtomic(checkpointPath, await trainer.checkpoint(), { durable: true });
    options.onStart?.({ gpu, faces, firstStep: trainer.step, parameters: model.parameterCount });

    const modelFile = async (): Promise<Uint8Array> => {
      const metadata: Record<string, string> = {
        ...options.metadata,
        'cameo.training': JSON.stringify(config),
        'cameo.steps': String(trainer.step),
      };
      if (recognizers.length > 0) {
        metadata['cameo.recognizers'] = recognizers.map(({ name, modelId }) => `${name} ${modelId}`).join(', ');
      }
      return writeKlt(config.model, await saveState(model), metadata);
    };
    const save = async (row: Record<string, number>): Promise<void> => {
      const results = validation
        ? await validateJoint(
            gpu,
            model,
            recognizers.map(({ recognizer }) => recognizer),
            validation,
          )
        : [];
      for (const [k, suffix] of (['low', 'high'] as const).entries()) {
        if (!results[k]) continue;
        row[`val_bytes_${suffix}`] = results[k].bytes;
        row[`val_psnr_${suffix}`] = results[k].psnr;
        row[`val_distance_${suffix}`] = results[k].distance;
      }
      log.add(row);
      await writeFileAtomic(checkpointPath, await trainer.checkpoint(), { durable: true });
      await log.write();
      await options.onCheckpoint?.(log, results);
    };

    let next = trainer.finished ? null : draw(trainer.step);
    while (next && !signal?.aborted) {
      const batch = await next;
      next = trainer.step + 1 < totalSteps(config) ? draw(trainer.step + 1) : null; // decoded while the GPU works
      const before = stageAt(config, trainer.step);
      const step = await trainer.train(batch);
      options.onStep?.(step);
      const { learningRate, stage: _, ...rest } = step;
      const row: Record<string, number> = { ...rest, stage: before.index, learning_rate: learningRate };
      const stageEnds = before.step + 1 === before.stage.steps;
      // What each stage made is kept: what the codec gains by the next one is then known.
      if (stageEnds) await writeFileAtomic(join(out, `model-${before.stage.name}.safetensors`), await modelFile());
      if (trainer.step % checkpointEvery === 0 || stageEnds || signal?.aborted) await save(row);
      else log.add(row);
    }
    await next; // no read is left behind when the run was stopped
    if (trainer.finished) {
      await writeFileAtomic(join(out, 'model.safetensors'), await modelFile());
      if (config.stages.some(({ recognizer }) => recognizer === 'trained')) {
        const { recognizer, name } = recognizers[0];
        const path = join(out, `recognizer-${name}.safetensors`);
        const description = recognizers[0].description;
        if (description) await writeFileAtomic(path, writeRecognizer(description, await saveState(recognizer)));
      }
    }
    return { finished: trainer.finished, steps: trainer.step };
  } finally {
    trainer.dispose();
  }
}

/**
 * The batch of a step: it depends on seed and step alone. Where a stage looks through a recogniser, faces come as they
 * are, for their embeddings are known, and with a label; elsewhere all of them do, flipped and shifted.
 */
function batchSource(
  config: JointTrainingConfig,
  faces: FaceSet,
  labelling: Labelling,
  usable: readonly number[],
  weights: Float64Array | undefined,
  embeddings: readonly Float32Array[],
  recognizers: readonly OpenRecognizer[],
): (step: number) => Promise<JointBatch> {
  const source = (indices: readonly number[], augment: object) => {
    const own = weights && Float64Array.from(indices, (index) => weights[index]);
    const { batchSize, seed } = config;
    return {
      indices,
      set: faces.subset(indices),
      batches: new FaceBatches({ count: indices.length, batchSize, seed, augment, weights: own }),
    };
  };
  // Not shifted: the principal components are those of faces as the landmarks align them.
  const free = source(usable, { ...DEFAULT_AUGMENTATION, shift: 0 });
  const watched = embeddings.length > 0 ? source(labelling.labelled, NO_AUGMENTATION) : null;
  return async (step) => {
    const { stage } = stageAt(config, step);
    const looks = watched !== null && (stage.distance > 0 || stage.cosface > 0);
    const { indices, set, batches } = looks ? watched : free;
    const { plan, images } = await batches.load(set, step);
    const chosen = [...plan.indices].map((index) => indices[index]);
    return {
      images,
      labels: chosen.map((index) => Math.max(0, labelling.classOf[index])),
      embeddings: embeddings.map((all, k) => {
        const { dimension } = recognizers[k].recognizer;
        const own = new Float32Array(chosen.length * dimension);
        chosen.forEach((index, n) => {
          own.set(all.subarray(index * dimension, (index + 1) * dimension), n * dimension);
        });
        return own;
      }),
    };
  };
}

/** The mean direction of each class: where the weights of the CosFace loss start. */
function classMeans(embeddings: Float32Array, dimension: number, { labelled, classOf, identities }: Labelling) {
  const means = new Float32Array(identities.length * dimension);
  for (const index of labelled) {
    for (let d = 0; d < dimension; d++) means[classOf[index] * dimension + d] += embeddings[index * dimension + d];
  }
  return means;
}
