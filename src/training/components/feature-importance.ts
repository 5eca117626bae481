import { evenlyFrom } from '../../common/evenly-from.js';
import { CounterRandom } from '../../common/random.js';
import type { FaceSet } from '../../data/faces/face-set.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { GlobalLayers } from '../../models/global-layers.js';
import type { Recognizer } from '../../models/recognizer.js';
import { writeUnitPixels } from '../../models/unit-pixels.js';
import { mul } from '../../ops/binary.js';
import { l2Normalize } from '../../ops/normalize.js';
import { sum } from '../../ops/reduce.js';
import { Tape } from '../../ops/tape.js';
import { affine } from '../../ops/unary.js';
import { recordStep } from '../../tensor/recorded-step.js';
import { keep, Tensor } from '../../tensor/tensor.js';

const BATCH = 8;
/** Faces that the recogniser looks at, at most; whole batches. */
const FACES = 2048;

/** Weights of the terms of a training loss for one face. */
export interface LossWeights {
  /** Of the mean squared error of samples in [0, 1]. */
  error: number;
  /** Of the distance 1 − cos of embeddings. */
  distance: number;
}

/**
 * How much an error in each feature of a face matters in a loss of squared error and distance of embeddings, where it matters 1 in the
 * squared error alone. For small errors e of features, the distance of unit embeddings is ½ |J e|² with the embedding's Jacobian J; its
 * diagonal part is estimated by Hutchinson's method: the mean of (Jᵀu)² over random vectors u, one for each face.
 *
 * @param recognizers in evaluation mode, on the GPU; faces of their size
 * @returns [h · w · features], at least 1
 */
export async function featureImportance(
  gpu: Gpu,
  layers: GlobalLayers,
  recognizers: readonly Recognizer[],
  faces: FaceSet,
  { error, distance }: LossWeights,
  onProgress: (done: number, total: number) => void,
): Promise<Float32Array> {
  const [h, w, features] = layers.mean.shape;
  const { height, width } = recognizers[0];
  const samples = 3 * height * width;
  const importance = new Float64Array(h * w * features).fill(1);
  const usable = await faces.readable();
  const batches = Math.max(1, Math.floor(Math.min(FACES, usable.length) / BATCH));
  const chosen = evenlyFrom(usable, batches * BATCH);
  const random = new CounterRandom(1);
  const pixels = new Float32Array(BATCH * samples);
  for (const [k, recognizer] of recognizers.entries()) {
    const x = keep(Tensor.zeros(gpu, [BATCH, height, width, 3]));
    const direction = keep(Tensor.zeros(gpu, [BATCH, recognizer.dimension]));
    const step = recordStep(gpu, { x, direction }, (inputs) => {
      const tape = new Tape();
      const embedding = tape.record(() => l2Normalize(recognizer.embed(inputs.x)));
      const pictures = tape.gradients(embedding, [inputs.x], inputs.direction).get(inputs.x)!;
      // A convolution with the kernels of a transposed one is its gradient; features are of pictures of −1 to 1.
      const gradient = layers.featuresOf(affine(pictures, 0.5));
      return { squares: sum(mul(gradient, gradient), [0]) };
    });
    try {
      // (J e)² / 2, against a squared error that is a mean over samples of half the range.
      const share = (distance * 2 * samples) / (error * batches * BATCH * recognizers.length);
      for (let batch = 0; batch < batches; batch++) {
        const own = Array.from({ length: BATCH }, (_, n) => chosen[(batch * BATCH + n) % chosen.length]);
        writeUnitPixels(await faces.batch(own), pixels);
        x.write(pixels);
        direction.write(Float32Array.from({ length: BATCH * recognizer.dimension }, () => random.normal()));
        step.run();
        const squares = await step.outputs.squares.read();
        for (let i = 0; i < importance.length; i++) importance[i] += share * squares[i];
        onProgress(k * batches + batch + 1, recognizers.length * batches);
      }
    } finally {
      step.dispose();
      x.dispose();
      direction.dispose();
    }
  }
  return Float32Array.from(importance);
}
