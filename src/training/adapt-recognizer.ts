import { CounterRandom } from '../common/random.js';
import type { Gpu } from '../gpu/gpu.js';
import { Embedder } from '../models/embedder.js';
import type { Recognizer } from '../models/recognizer.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import { Adam } from '../nn/adam.js';
import { cosine } from '../nn/schedule.js';
import { mul } from '../ops/binary.js';
import { l2Normalize } from '../ops/normalize.js';
import { sum } from '../ops/reduce.js';
import { Tape } from '../ops/tape.js';
import { affine } from '../ops/unary.js';
import { recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { unitEmbeddings } from './teacher.js';

/** Aligned faces of the size that the recogniser takes, RGB bytes, and the same as a codec restores them. */
export interface RestoredFaces {
  originals: readonly Uint8Array[];
  restored: readonly Uint8Array[];
}

export interface AdaptOptions {
  gpu: Gpu;
  /** In evaluation mode, and left in it: the statistics of batch norms do not change. Its parameters are changed. */
  recognizer: Recognizer;
  training: RestoredFaces;
  /** Faces of other persons, to measure the gain. */
  validation: RestoredFaces;
  steps: number;
  batchSize: number;
  /** Peak learning rate of Adam, falling along half a cosine to a hundredth. */
  learningRate: number;
  seed: number;
  signal?: AbortSignal;
  onProgress?: (what: string, done: number, total: number) => void;
}

/** 1 − cos between embeddings of a restored face, and of its original before adapting; means over validation faces. */
export interface Adapted {
  before: number;
  after: number;
  /** Steps done. */
  steps: number;
}

/**
 * Trains a recogniser to embed restored faces as it embedded the originals. The loss is 1 − cos between the embedding of a
 * restored face and that of its original by the unchanged recogniser. It needs no identities, so a recogniser can be adapted
 * to every codec in the same way.
 */
export async function adaptRecognizer(options: AdaptOptions): Promise<Adapted> {
  const { gpu, recognizer, training, validation, steps, batchSize, seed, signal, onProgress } = options;
  const { height, width, dimension } = recognizer;
  const embed = async (faces: readonly Uint8Array[], what: string): Promise<Float32Array> => {
    const embedder = new Embedder(gpu, recognizer, batchSize);
    const rows = new Float32Array(faces.length * dimension);
    try {
      for (let first = 0; first < faces.length; first += batchSize) {
        const embeddings = await unitEmbeddings(embedder, faces.slice(first, first + batchSize));
        embeddings.forEach((embedding, k) => {
          rows.set(embedding, (first + k) * dimension);
        });
        signal?.throwIfAborted();
        onProgress?.(what, first + embeddings.length, faces.length);
      }
    } finally {
      embedder.dispose();
    }
    return rows;
  };
  const distance = (a: Float32Array, b: Float32Array): number =>
    1 - a.reduce((total, value, i) => total + value * b[i], 0) / (a.length / dimension);

  const targets = await embed(training.originals, 'embeddings of originals');
  const validationTargets = await embed(validation.originals, 'validation, originals');
  const before = distance(await embed(validation.restored, 'validation before'), validationTargets);

  const x = keep(Tensor.zeros(gpu, [batchSize, height, width, 3]));
  const target = keep(Tensor.zeros(gpu, [batchSize, dimension]));
  const adam = new Adam(recognizer.parameters());
  const rate = cosine(options.learningRate, steps, options.learningRate / 100);
  let step = 0;
  const recorded = recordStep(gpu, { x, target }, (inputs) => {
    const tape = new Tape();
    const loss = tape.record(() =>
      affine(sum(mul(l2Normalize(recognizer.embed(inputs.x)), inputs.target)), -1 / batchSize, 1),
    );
    adam.step(tape.gradients(loss, [...recognizer.parameters().values()]), () => rate(step));
    return { loss };
  });
  try {
    const random = new CounterRandom(seed);
    const pixels = new Float32Array(batchSize * height * width * 3);
    const directions = new Float32Array(batchSize * dimension);
    for (; step < steps && !signal?.aborted; step++) {
      const drawn = Array.from({ length: batchSize }, () => Math.floor(random.uniform() * training.restored.length));
      drawn.forEach((k, n) => {
        directions.set(targets.subarray(k * dimension, (k + 1) * dimension), n * dimension);
      });
      writeUnitPixels(
        drawn.map((k) => training.restored[k]),
        pixels,
      );
      x.write(pixels);
      target.write(directions);
      recorded.run();
      await recorded.outputs.loss.item(); // so that at most one step waits on the device
      onProgress?.('adapting', step + 1, steps);
    }
  } finally {
    recorded.dispose();
    adam.dispose();
    x.dispose();
    target.dispose();
  }
  signal?.throwIfAborted();
  const after = distance(await embed(validation.restored, 'validation after'), validationTargets);
  return { before, after, steps: step };
}
